//! Owns how a table is defined: the struct of a row and its columns from one list, and all tables from
//! another.

use crate::datum::{Datum, Type};

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name; tools find columns by it.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// What stands in it.
    pub meaning: &'static str,
}

/// A row that knows its columns.
pub(crate) trait Row {
    /// The columns in order.
    fn columns() -> Vec<Column>;
    /// The values in the same order.
    fn each<'a>(&'a self, take: &mut dyn FnMut(Datum<'a>));
}

/// The struct of a row. `..field: Row` in front puts the columns of another row there; a name in quotes
/// is for columns that Rust would not let a field be called.
macro_rules! row {
    (
        #[doc = $about:literal]
        $row:ident {
            $( ..$base:ident : $base_row:ident, )?
            $( #[doc = $doc:literal] $field:ident $( $name:literal )? : $type:ty, )*
        }
    ) => {
        #[doc = $about]
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $row {
            $( #[doc = "What it has in common with others."] pub $base: $base_row, )?
            $( #[doc = $doc] pub $field: $type, )*
        }

        impl $crate::tables::Row for $row {
            fn columns() -> Vec<$crate::tables::Column> {
                let own = [ $( $crate::tables::Column {
                    name: $crate::tables::define::column_name!($field $($name)?),
                    kind: <$type as $crate::datum::Value>::TYPE,
                    meaning: $doc.trim_ascii(),
                } ),* ];
                #[allow(unused_mut, reason = "not every row has columns of another")]
                let mut columns: Vec<$crate::tables::Column> = Vec::new();
                $( columns.extend(<$base_row as $crate::tables::Row>::columns()); )?
                columns.extend(own);
                columns
            }

            fn each<'a>(&'a self, take: &mut dyn FnMut($crate::datum::Datum<'a>)) {
                $( $crate::tables::Row::each(&self.$base, take); )?
                $( take($crate::datum::Value::datum(&self.$field)); )*
            }
        }
    };
}

macro_rules! column_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $name:literal) => {
        $name
    };
}

/// All tables: what can be asked for, and the answer of each.
macro_rules! tables {
    ($( #[doc = $about:literal] $table:ident $name:literal $row:ident, )*) => {
        /// A table that can be shown.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Table {
            $( #[doc = $about] $table, )*
        }

        impl Table {
            /// Every table, by name.
            pub const ALL: &'static [Table] = &[ $( Table::$table, )* ];

            /// What stands behind `SHOW`.
            pub fn name(self) -> &'static str {
                match self { $( Table::$table => $name, )* }
            }

            /// What it shows.
            pub fn about(self) -> &'static str {
                match self { $( Table::$table => $about.trim_ascii(), )* }
            }

            /// Its columns in order.
            pub fn columns(self) -> Vec<Column> {
                match self { $( Table::$table => <$row as Row>::columns(), )* }
            }
        }

        /// A table with its rows, as they were in one moment.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Snapshot {
            $( #[doc = $about] $table(Vec<$row>), )*
        }

        impl Snapshot {
            /// The table that it is of.
            pub fn table(&self) -> Table {
                match self { $( Snapshot::$table(_) => Table::$table, )* }
            }

            /// Number of rows.
            pub fn len(&self) -> usize {
                match self { $( Snapshot::$table(rows) => rows.len(), )* }
            }

            /// True if there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The values of one row, in the order of the columns; none past the end.
            pub fn row(&self, at: usize) -> Vec<$crate::datum::Datum<'_>> {
                let mut values = Vec::new();
                match self { $( Snapshot::$table(rows) => {
                    if let Some(row) = rows.get(at) {
                        Row::each(row, &mut |value| values.push(value));
                    }
                } )* }
                values
            }
        }
    };
}

pub(crate) use column_name;
pub(crate) use row;
pub(crate) use tables;
