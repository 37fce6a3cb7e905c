//! Owns the column descriptions of RowDescription.

use crate::reader::Reader;
use crate::sink::{Sink, SinkExt};
use crate::{MessageFault, Text};
use buf::Full;
use std::fmt;

/// One column of a result (manual, "RowDescription").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// The column's name.
    pub name: Text<'a>,
    /// Oid of the table it comes from, or 0.
    pub table: u32,
    /// Its number in that table, or 0.
    pub attribute: i16,
    /// Oid of its type.
    pub type_oid: u32,
    /// Size of its type, negative if it varies.
    pub type_len: i16,
    /// Type modifier, or -1.
    pub type_modifier: i32,
    /// Format code; 0 while it isn't known yet.
    pub format: i16,
}

impl<'a> Column<'a> {
    /// A column of type `text` in text format: what a virtual table has.
    pub fn text(name: Text<'a>) -> Self {
        Self {
            name,
            table: 0,
            attribute: 0,
            type_oid: 25,
            type_len: -1,
            type_modifier: -1,
            format: 0,
        }
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, MessageFault> {
        Ok(Self {
            name: reader.text("column name")?,
            table: reader.u32("table oid")?,
            attribute: reader.i16("attribute number")?,
            type_oid: reader.u32("type oid")?,
            type_len: reader.i16("type size")?,
            type_modifier: reader.i32("type modifier")?,
            format: reader.i16("format code")?,
        })
    }

    fn write<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.text(self.name)?;
        out.u32(self.table)?;
        out.i16(self.attribute)?;
        out.u32(self.type_oid)?;
        out.i16(self.type_len)?;
        out.i32(self.type_modifier)?;
        out.i16(self.format)
    }
}

/// Columns behind an Int16 count.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Columns<'a> {
    count: u16,
    raw: &'a [u8],
}

impl<'a> Columns<'a> {
    /// The wire form of `items`, appended to `scratch`; nothing if there are more than 65535.
    pub fn pack<'i>(
        items: impl IntoIterator<Item = Column<'i>>,
        scratch: &'a mut Vec<u8>,
    ) -> Option<Self> {
        let start = scratch.len();
        let mut count = 0u16;
        for item in items {
            count = count.checked_add(1)?;
            item.write(scratch).ok()?;
        }
        Some(Self {
            count,
            raw: &scratch[start..],
        })
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The columns in order.
    pub fn iter(&self) -> impl Iterator<Item = Column<'a>> + use<'a> {
        let mut reader = Reader::new("", self.raw);
        (0..self.count).map_while(move |_| Column::read(&mut reader).ok())
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, MessageFault> {
        let count = reader.u16("column count")?;
        let start = *reader;
        for _ in 0..count {
            Column::read(reader)?;
        }
        Ok(Self {
            count,
            raw: start.until(*reader),
        })
    }

    pub(crate) fn write_all<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.u16(self.count)?;
        out.put(self.raw)
    }
}

impl fmt::Debug for Columns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
