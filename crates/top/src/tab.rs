//! Owns the views: which tables each needs, and its columns.

use crate::cells::{
    Cell, Tone, address, age, counted, id, in_use, legs, sized, state, statement, tls, took, waited,
};
use crate::clusters;
use crate::event::Source;
use crate::figures;
use crate::history::{self, History};
use crate::table::{Row, Table};
use std::collections::BTreeMap;

/// A view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tab {
    /// What is under way.
    Activity,
    /// Who is there.
    Clients,
    /// Statements by pattern.
    Patterns,
    /// Server connections by database and user.
    Pools,
    /// Server connections.
    Servers,
    /// Hosts of clusters.
    Clusters,
}

/// All that a row is made from.
pub(crate) struct Known<'a> {
    pub(crate) tables: &'a BTreeMap<Source, Table>,
    pub(crate) history: &'a History,
}

impl Known<'_> {
    pub(crate) fn find(&self, source: Source, column: &str, value: &str) -> Option<Row<'_>> {
        if value.is_empty() {
            return None;
        }
        self.tables.get(&source)?.find(column, value)
    }

    /// The other side of a client or of a server connection.
    pub(crate) fn linked(&self, source: Source, row: Row<'_>) -> Option<Row<'_>> {
        self.find(source, "ptr", row.text("link"))
    }

    /// How many server connections a pool may have; 0 if that is not known.
    fn size(&self, row: Row<'_>) -> f64 {
        let own = self.find(Source::Databases, "name", row.text("database"));
        let entry = own.or_else(|| self.find(Source::Databases, "name", "*"));
        entry.map_or(0.0, |it| it.number("pool_size"))
    }
}

/// A column of a view.
pub(crate) struct Column {
    pub(crate) head: &'static str,
    /// Columns of the terminal; 0 takes what is left.
    pub(crate) width: u16,
    /// Those with a higher number go first where there is no room.
    pub(crate) rank: u8,
    /// Numbers: at the right, and the greatest first.
    pub(crate) is_number: bool,
    pub(crate) cell: fn(&Known<'_>, Row<'_>) -> Cell,
}

pub(crate) const fn words(
    head: &'static str,
    (width, rank): (u16, u8),
    cell: fn(&Known<'_>, Row<'_>) -> Cell,
) -> Column {
    let is_number = false;
    Column {
        head,
        width,
        rank,
        is_number,
        cell,
    }
}

pub(crate) const fn figure(
    head: &'static str,
    (width, rank): (u16, u8),
    cell: fn(&Known<'_>, Row<'_>) -> Cell,
) -> Column {
    let is_number = true;
    Column {
        head,
        width,
        rank,
        is_number,
        cell,
    }
}

impl Tab {
    /// All of them, in order.
    pub const ALL: [Tab; 6] = [
        Tab::Activity,
        Tab::Clients,
        Tab::Patterns,
        Tab::Pools,
        Tab::Servers,
        Tab::Clusters,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Activity => "Activity",
            Self::Clients => "Clients",
            Self::Patterns => "Patterns",
            Self::Pools => "Pools",
            Self::Servers => "Servers",
            Self::Clusters => "Clusters",
        }
    }

    /// Whose rows it shows.
    pub(crate) fn source(self) -> Source {
        match self {
            Self::Activity => Source::Activity,
            Self::Clients => Source::Clients,
            Self::Patterns => Source::Patterns,
            Self::Pools => Source::Pools,
            Self::Servers => Source::Servers,
            Self::Clusters => Source::Hosts,
        }
    }

    /// All that has to be asked for it, and for the lines above.
    pub(crate) fn sources(self) -> Vec<Source> {
        let mut sources = vec![Source::Totals, Source::Pools, Source::State, self.source()];
        match self {
            Self::Clients => sources.push(Source::Servers),
            Self::Servers => sources.push(Source::Clients),
            Self::Pools => sources.push(Source::Databases),
            Self::Clusters => sources.push(Source::Clusters),
            Self::Activity | Self::Patterns => {}
        }
        sources.sort();
        sources.dedup();
        sources
    }

    /// What tells its rows apart.
    pub(crate) fn key(self, row: Row<'_>) -> String {
        match self {
            Self::Activity | Self::Clients => row.text("id").to_owned(),
            Self::Servers => row.text("ptr").to_owned(),
            Self::Pools => [row.text("database"), row.text("user")].join("\0"),
            Self::Patterns => history::key(row),
            Self::Clusters => [row.text("cluster"), &clusters::name(row)].join("\0"),
        }
    }

    /// The column that it is sorted by at first.
    pub(crate) fn first_sort(self) -> usize {
        let head = match self {
            Self::Activity => "AGE",
            Self::Clients => "ID",
            Self::Patterns => "CALLS/s",
            Self::Pools => "MAXWAIT",
            Self::Servers | Self::Clusters => "STATE",
        };
        let at = self.columns().iter().position(|it| it.head == head);
        at.unwrap_or(0)
    }

    /// Its columns.
    pub(crate) fn columns(self) -> &'static [Column] {
        match self {
            Self::Activity => &ACTIVITY,
            Self::Clients => &CLIENTS,
            Self::Patterns => &PATTERNS,
            Self::Pools => &POOLS,
            Self::Servers => &SERVERS,
            Self::Clusters => &clusters::COLUMNS,
        }
    }
}

static ACTIVITY: [Column; 10] = [
    figure("ID", (6, 0), |_, row| id(row.text("id"))),
    words("USER", (12, 1), |_, row| Cell::text(row.text("user"))),
    words("DATABASE", (12, 4), |_, row| {
        Cell::text(row.text("database"))
    }),
    words("STATE", (20, 0), |_, row| state(row.text("state"))),
    words("WAITS FOR", (19, 6), |_, row| {
        Cell::text(row.text("wait_reason")).toned(Tone::Faint)
    }),
    figure("AGE", (7, 0), |_, row| age(row.number("age_us"))),
    figure("ROWS", (6, 3), |_, row| counted(row, "rows")),
    figure("BYTES", (7, 5), |_, row| sized(row, "bytes")),
    words("TLS", (11, 7), |_, row| {
        let (client, server) = (row.text("tls"), row.text("server_tls"));
        legs(client, (!row.text("server").is_empty()).then_some(server))
    }),
    words("STATEMENT", (0, 2), |_, row| statement(row)),
];

static CLIENTS: [Column; 9] = [
    figure("ID", (6, 0), |_, row| id(row.text("id"))),
    words("USER", (14, 0), |_, row| Cell::text(row.text("user"))),
    words("DATABASE", (14, 1), |_, row| {
        Cell::text(row.text("database"))
    }),
    words("STATE", (8, 0), |_, row| state(row.text("state"))),
    figure("WAIT", (7, 4), |_, row| age(waited(row, "wait"))),
    words("ADDRESS", (21, 3), |_, row| Cell::text(&address(row))),
    words("CLIENT TLS", (22, 2), |_, row| tls(row.text("tls"))),
    words("SERVER TLS", (22, 2), |known, row| {
        match known.linked(Source::Servers, row) {
            Some(server) => tls(server.text("tls")),
            None => Cell::text("-").toned(Tone::Faint),
        }
    }),
    words("APPLICATION", (0, 5), |_, row| {
        Cell::text(row.text("application_name"))
    }),
];

static PATTERNS: [Column; 10] = [
    figure("CALLS/s", (8, 0), |known, row| {
        match known.history.rate(row) {
            Some(rate) => Cell::number(rate, figures::rate(rate)),
            None => Cell::number(0.0, "-".to_owned()),
        }
    }),
    figure("CALLS", (7, 2), |_, row| counted(row, "calls")),
    figure("p50", (7, 1), |_, row| took(row, "p50_us")),
    figure("p95", (7, 0), |_, row| took(row, "p95_us")),
    figure("ERRORS", (7, 1), |_, row| {
        let cell = counted(row, "errors");
        let tone = if row.number("errors") > 0.0 {
            Tone::Bad
        } else {
            Tone::Faint
        };
        cell.toned(tone)
    }),
    figure("ROWS", (7, 3), |_, row| counted(row, "rows")),
    figure("TIME", (7, 4), |_, row| took(row, "total_us")),
    words("ROLE", (12, 5), |_, row| Cell::text(row.text("role"))),
    words("DATABASE", (12, 6), |_, row| {
        Cell::text(row.text("database"))
    }),
    words("STATEMENT", (0, 0), |_, row| Cell::text(row.text("query"))),
];

static POOLS: [Column; 9] = [
    words("DATABASE", (16, 0), |_, row| {
        Cell::text(row.text("database"))
    }),
    words("USER", (14, 1), |_, row| Cell::text(row.text("user"))),
    words("MODE", (11, 5), |_, row| Cell::text(row.text("pool_mode"))),
    figure("CLIENTS", (7, 3), |_, row| {
        let clients = row.number("cl_active") + row.number("cl_waiting");
        Cell::number(clients, figures::count(clients))
    }),
    figure("WAITING", (7, 0), |_, row| {
        let tone = if row.number("cl_waiting") > 0.0 {
            Tone::Warn
        } else {
            Tone::Faint
        };
        counted(row, "cl_waiting").toned(tone)
    }),
    figure("MAXWAIT", (8, 2), |_, row| age(waited(row, "maxwait"))),
    figure("ACTIVE", (6, 0), |_, row| counted(row, "sv_active")),
    figure("IDLE", (6, 4), |_, row| {
        let idle = row.number("sv_idle") + row.number("sv_used");
        Cell::number(idle, figures::count(idle))
    }),
    figure("IN USE", (0, 2), |known, row| {
        in_use(row.number("sv_active"), known.size(row))
    }),
];

static SERVERS: [Column; 8] = [
    words("USER", (14, 0), |_, row| Cell::text(row.text("user"))),
    words("DATABASE", (14, 1), |_, row| {
        Cell::text(row.text("database"))
    }),
    words("STATE", (14, 0), |_, row| state(row.text("state"))),
    words("ADDRESS", (21, 2), |_, row| Cell::text(&address(row))),
    figure("PID", (8, 3), |_, row| id(row.text("remote_pid"))),
    words("TLS", (22, 1), |_, row| tls(row.text("tls"))),
    words("SINCE", (19, 5), |_, row| {
        Cell::text(row.text("connect_time").trim_end_matches(" UTC"))
    }),
    words("CLIENT", (0, 4), |known, row| {
        match known.linked(Source::Clients, row) {
            Some(client) => {
                let (id, user) = (client.text("id"), client.text("user"));
                Cell::text(&format!("{id} {user} {}", client.text("application_name")))
            }
            None => Cell::text("-").toned(Tone::Faint),
        }
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_has_something_that_is_never_left_out_and_one_column_that_takes_the_rest() {
        for tab in Tab::ALL {
            let columns = tab.columns();
            assert!(columns.iter().any(|it| it.rank == 0), "{tab:?}");
            assert_eq!(
                columns.iter().filter(|it| it.width == 0).count(),
                1,
                "{tab:?}"
            );
            assert!(tab.sources().contains(&tab.source()));
            assert!(
                columns[tab.first_sort()].head != columns[0].head
                    || tab == Tab::Patterns
                    || tab == Tab::Clients
            );
        }
    }
}
