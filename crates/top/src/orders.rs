//! Owns what may be ordered of a row: whom or what it would hit, in words that a person can check.

use crate::clusters;
use crate::event::{Effect, Generation, Source};
use crate::tab::{Known, Tab};
use crate::table::Row;

/// What somebody wants of a client, or of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Cancel,
    Kill,
    Drain,
    Undrain,
    Switchover,
}

impl Wish {
    /// What a key wishes.
    pub(crate) fn of(key: char) -> Option<Wish> {
        Some(match key {
            'c' => Self::Cancel,
            'K' => Self::Kill,
            'd' => Self::Drain,
            'u' => Self::Undrain,
            'S' => Self::Switchover,
            _ => return None,
        })
    }

    /// What is said where there is nobody whom it could be about.
    pub(crate) fn of_nobody(self) -> &'static str {
        match self {
            Self::Cancel | Self::Kill => "choose a client first: in Activity (1) or Clients (2)",
            Self::Drain | Self::Undrain | Self::Switchover => {
                "choose a host first: in Clusters (6)"
            }
        }
    }
}

/// An order that waits for a yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) wish: Wish,
    /// The order, as the console takes it.
    pub(crate) order: String,
    /// The question.
    pub(crate) question: String,
    /// Who that is.
    pub(crate) whom: String,
    /// What it executes, if that is known; or what becomes of it.
    pub(crate) about: String,
    /// The row of the view without which the order means nothing any more.
    pub(crate) key: Option<String>,
    /// What is said when that row is gone.
    pub(crate) gone: String,
}

impl Proposal {
    /// The order of this wish about a row; `None` if that has nobody whom it could be about.
    pub(crate) fn of(wish: Wish, tab: Tab, known: &Known<'_>, row: Row<'_>) -> Option<Proposal> {
        match wish {
            Wish::Cancel | Wish::Kill => of_client(wish, tab, known, row),
            Wish::Drain | Wish::Undrain | Wish::Switchover => {
                (tab == Tab::Clusters).then(|| of_host(wish, known, row))
            }
        }
    }

    /// What a yes has done.
    pub(crate) fn effect(&self, generation: Generation) -> Effect {
        let order = self.order.clone();
        match self.wish {
            Wish::Switchover => Effect::Errand(order),
            _ => Effect::Order { generation, order },
        }
    }
}

fn of_client(wish: Wish, tab: Tab, known: &Known<'_>, row: Row<'_>) -> Option<Proposal> {
    let client = match tab {
        Tab::Activity | Tab::Clients => row,
        Tab::Servers => known.linked(Source::Clients, row)?,
        Tab::Patterns | Tab::Pools | Tab::Clusters => return None,
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
    let (order, question) = match wish {
        Wish::Cancel => (
            "CANCEL_CLIENT",
            format!("Cancel what client {id} executes?"),
        ),
        _ => ("KILL_CLIENT", format!("End the session of client {id}?")),
    };
    Some(Proposal {
        wish,
        order: format!("{order} {id}"),
        question,
        whom,
        about: row.text("query").to_owned(),
        key: (tab != Tab::Servers).then(|| tab.key(row)),
        gone: match tab {
            Tab::Activity => format!("client {id} does nothing any more"),
            _ => format!("client {id} has left"),
        },
    })
}

fn of_host(wish: Wish, known: &Known<'_>, row: Row<'_>) -> Proposal {
    let (cluster, host) = (row.text("cluster"), clusters::name(row));
    // Whatever a name has in it, it stays one name.
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let names = (quoted(cluster), quoted(&host));
    let leader = known.find(Source::Clusters, "name", cluster);
    let leader = leader.map_or("", |it| it.text("leader"));
    let mut whom = format!("{} of {cluster}, {}", row.text("role"), row.text("health"));
    if !row.text("lag_bytes").is_empty() {
        whom.push_str(&format!(", {} bytes behind", row.text("lag_bytes")));
    }
    let (order, question, about) = match wish {
        Wish::Drain => (
            format!("DRAIN {} {}", names.0, names.1),
            format!("Send nothing new to {host}?"),
            "Transactions and sessions that are there end by themselves.".to_owned(),
        ),
        Wish::Undrain => (
            format!("UNDRAIN {} {}", names.0, names.1),
            format!("Use {host} again?"),
            String::new(),
        ),
        _ => (
            format!("SWITCHOVER {} TO {}", names.0, names.1),
            format!("Make {host} the primary of {cluster}?"),
            match leader {
                "" => "There is no primary now.".to_owned(),
                leader => format!("The primary is {leader}. Clients wait until it is done."),
            },
        ),
    };
    Proposal {
        wish,
        order,
        question,
        whom,
        about,
        key: Some(Tab::Clusters.key(row)),
        gone: format!("{host} belongs to {cluster} no more"),
    }
}
