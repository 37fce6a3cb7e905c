//! Owns the reference of all tables, as Markdown made from their definitions.

use crate::tables::Table;
use std::fmt::Write;

/// A section for each table: what it shows, and its columns.
pub fn reference() -> String {
    let mut page = String::new();
    for table in Table::ALL {
        let name = table.name();
        let _ = write!(page, "### SHOW {name}\n\n{}\n\n", table.about());
        page.push_str("| column | type | meaning |\n|---|---|---|\n");
        for column in table.columns() {
            let meaning = column.meaning.replace('|', "\\|");
            let (name, kind) = (column.name, column.kind.name());
            let _ = writeln!(page, "| `{name}` | {kind} | {meaning} |");
        }
        page.push('\n');
    }
    page
}
