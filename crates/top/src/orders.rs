//! Owns what may be ordered of a row: whom it would hit, in words that a person can check.

use crate::event::Source;
use crate::tab::{Known, Tab};
use crate::table::Row;

/// What somebody wants of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Cancel,
    Kill,
}

/// An order that waits for a yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) wish: Wish,
    /// The client's number.
    pub(crate) id: String,
    /// Who that is.
    pub(crate) whom: String,
    /// What it executes, if that is known.
    pub(crate) statement: String,
}

impl Proposal {
    /// The order of this wish about a row; `None` if there is no client in it.
    pub(crate) fn of(wish: Wish, tab: Tab, known: &Known<'_>, row: Row<'_>) -> Option<Proposal> {
        let client = match tab {
            Tab::Activity | Tab::Clients => row,
            Tab::Servers => known.linked(Source::Clients, row)?,
            Tab::Patterns | Tab::Pools => return None,
        };
        // It goes into an order: nothing but a number may.
        let id: u64 = client.text("id").parse().ok()?;
        let mut whom = format!("{}@{}", client.text("user"), client.text("database"));
        match (client.text("addr"), client.text("port")) {
            ("", _) => {}
            (addr, "" | "0") => whom.push_str(&format!(" over {addr}")),
            (addr, port) => whom.push_str(&format!(" from {addr} port {port}")),
        }
        if !client.text("application_name").is_empty() {
            whom.push_str(&format!(" ({})", client.text("application_name")));
        }
        Some(Proposal {
            wish,
            id: id.to_string(),
            whom,
            statement: row.text("query").to_owned(),
        })
    }

    /// The question.
    pub(crate) fn question(&self) -> String {
        match self.wish {
            Wish::Cancel => format!("Cancel what client {} executes?", self.id),
            Wish::Kill => format!("End the session of client {}?", self.id),
        }
    }

    /// The same to the console.
    pub(crate) fn order(&self) -> String {
        match self.wish {
            Wish::Cancel => format!("CANCEL_CLIENT {}", self.id),
            Wish::Kill => format!("KILL_CLIENT {}", self.id),
        }
    }
}
