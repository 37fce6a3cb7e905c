//! Owns the view of clusters: a column for each thing that one wants to know of a host, and a line for each
//! cluster above them. What is wrong comes first in both.

use crate::cells::{Cell, Tone, Weight, age, counted};
use crate::figures;
use crate::tab::{Column, figure, words};
use crate::table::{Row, Table};

/// A standby that is this far behind has more to fetch than what is on its way.
const LAG_BYTES: f64 = 16.0 * 1024.0 * 1024.0;

/// And so is one that has replayed nothing for so long although there is something.
const LAG_MS: f64 = 5000.0;

pub(crate) static COLUMNS: [Column; 11] = [
    words("HOST", (22, 0), |_, row| Cell::text(&name(row))),
    words("CLUSTER", (12, 3), |_, row| Cell::text(row.text("cluster"))),
    words("ROLE", (9, 0), |_, row| role(row)),
    words("STATE", (12, 0), |_, row| state(row)),
    figure("LAG", (7, 1), |_, row| lag(row)),
    figure("BEHIND", (7, 1), |_, row| match row.text("lag_ms") {
        "" => unknown(),
        _ => age(row.number("lag_ms") * 1e3),
    }),
    figure("BUSY", (5, 2), |_, row| counted(row, "busy")),
    figure("SERVERS", (8, 5), |_, row| {
        let (lent, all) = (row.number("sv_active"), row.number("sv_total"));
        let shown = format!("{}/{}", figures::count(lent), figures::count(all));
        Cell::number(all, shown)
    }),
    figure("WEIGHT", (7, 6), |_, row| {
        let tone = match row.number("weight") {
            1.0 => Tone::Faint,
            _ => Tone::Plain,
        };
        counted(row, "weight").toned(tone)
    }),
    words("ZONE", (10, 7), |_, row| Cell::text(row.text("zone"))),
    words("TROUBLE", (0, 4), |_, row| trouble(row)),
];

/// Where a host is reached, as orders name it.
pub(crate) fn name(row: Row<'_>) -> String {
    match (row.text("host"), row.text("port")) {
        (host, port) if host.contains(':') => format!("[{host}]:{port}"),
        (host, port) => format!("{host}:{port}"),
    }
}

/// How much a host asks for a look: the first one most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Refused,
    Down,
    Doubtful,
    Unknown,
    Drained,
    Behind,
    Up,
}

impl Standing {
    fn of(row: Row<'_>) -> Standing {
        let drained = row.text("drained") == "1";
        match row.text("health") {
            _ if row.text("role").starts_with("refused") => Self::Refused,
            "down" => Self::Down,
            "doubtful" => Self::Doubtful,
            "up" if drained => Self::Drained,
            "up" if row.number("lag_bytes") >= LAG_BYTES || row.number("lag_ms") >= LAG_MS => {
                Self::Behind
            }
            "up" => Self::Up,
            _ => Self::Unknown,
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Refused | Self::Down => Tone::Bad,
            Self::Doubtful | Self::Unknown | Self::Drained | Self::Behind => Tone::Warn,
            Self::Up => Tone::Good,
        }
    }
}

fn unknown() -> Cell {
    Cell::number(0.0, "-".to_owned())
}

fn role(row: Row<'_>) -> Cell {
    match row.text("role") {
        "primary" => Cell::text("primary").toned(Tone::Good),
        "read-only" => Cell::text("read-only").toned(Tone::Warn),
        refused if refused.starts_with("refused") => Cell::text("refused").toned(Tone::Bad),
        role => Cell::text(role),
    }
}

/// Sorted by how bad it is, not by its letters.
fn state(row: Row<'_>) -> Cell {
    let standing = Standing::of(row);
    let text = match (row.text("health"), row.text("drained")) {
        ("up", "1") => "drained".to_owned(),
        (health, "1") => format!("{health}, drained"),
        (health, _) => health.to_owned(),
    };
    Cell {
        text,
        weight: Weight::Number(f64::from(standing as u8)),
        tone: standing.tone(),
    }
}

fn lag(row: Row<'_>) -> Cell {
    if row.text("lag_bytes").is_empty() {
        return unknown();
    }
    let bytes = row.number("lag_bytes");
    let cell = Cell::number(bytes, figures::bytes(bytes));
    match bytes >= LAG_BYTES {
        true => cell.toned(Tone::Warn),
        false => cell,
    }
}

fn trouble(row: Row<'_>) -> Cell {
    let refused = row.text("role").strip_prefix("refused: ");
    let text = match (refused, row.text("trouble"), row.text("trouble_text")) {
        (Some(why), ..) => why.to_owned(),
        (None, "", _) => return Cell::text("-").toned(Tone::Faint),
        (None, trouble, "") => trouble.to_owned(),
        (None, trouble, text) => format!("{trouble}: {text}"),
    };
    Cell::text(&text).toned(Standing::of(row).tone())
}

/// Piece by piece what is to be said of a cluster.
#[derive(Debug, PartialEq)]
pub(crate) struct Summary {
    /// Its name.
    pub(crate) name: String,
    /// What there is to say, and how much it asks for a look.
    pub(crate) parts: Vec<(String, Tone)>,
}

/// All clusters: those without a leader first, then those that miss hosts or have somebody wait.
pub(crate) fn summaries(table: Option<&Table>) -> Vec<Summary> {
    let mut rows: Vec<Row<'_>> = table.into_iter().flat_map(Table::rows).collect();
    rows.sort_by_key(|row| {
        let is_short = row.number("hosts_up") < row.number("hosts");
        let all_is_well = !is_short && row.number("waiting") == 0.0;
        (!row.text("leader").is_empty(), all_is_well)
    });
    rows.into_iter().map(summary).collect()
}

fn summary(row: Row<'_>) -> Summary {
    let since = row.text("leader_since").trim_end_matches(" UTC");
    let mut parts = match (row.text("leader"), since) {
        ("", _) => vec![(format!("NO PRIMARY: {}", row.text("state")), Tone::Bad)],
        (leader, "") => vec![(leader.to_owned(), Tone::Good)],
        (leader, since) => vec![
            (leader.to_owned(), Tone::Good),
            (format!("since {since}"), Tone::Faint),
        ],
    };
    let [up, hosts, waiting] = ["hosts_up", "hosts", "waiting"].map(|it| row.number(it));
    let tone = match up < hosts {
        true => Tone::Warn,
        false => Tone::Plain,
    };
    let [up, hosts] = [up, hosts].map(figures::count);
    parts.push((format!("{up} of {hosts} hosts up"), tone));
    let tone = match waiting > 0.0 {
        true => Tone::Warn,
        false => Tone::Faint,
    };
    parts.push((format!("{} waiting", figures::count(waiting)), tone));
    if row.text("leader").is_empty() && row.text("without_primary") == "read_only" {
        parts.push(("writers are led to standbys".to_owned(), Tone::Warn));
    }
    for (what, column) in [("timeline", "timeline"), ("for", "databases")] {
        if !row.text(column).is_empty() {
            parts.push((format!("{what} {}", row.text(column)), Tone::Faint));
        }
    }
    Summary {
        name: row.text("name").to_owned(),
        parts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worst_stands_first() {
        let columns = ["role", "health", "drained", "lag_ms"].map(str::to_owned);
        let order = [
            ["refused: split brain", "up", "0", "0"],
            ["unknown", "down", "1", "0"],
            ["standby", "doubtful", "0", "0"],
            ["unknown", "unknown", "0", "0"],
            ["standby", "up", "1", "9000"],
            ["standby", "up", "0", "9000"],
            ["primary", "up", "0", "0"],
        ];
        let rows = order.map(|row| row.map(|it| Some(it.to_owned())).to_vec());
        let table = Table::new(&columns, &rows, 0);
        let standings: Vec<_> = table.rows().map(Standing::of).collect();
        assert!(standings.is_sorted());
        let texts: Vec<_> = table.rows().map(|row| state(row).text).collect();
        let expected = [
            "up",
            "down, drained",
            "doubtful",
            "unknown",
            "drained",
            "up",
            "up",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn hosts_are_named_as_orders_name_them() {
        let columns = ["host", "port"].map(str::to_owned);
        for (host, expected) in [("db-1", "db-1:5432"), ("::1", "[::1]:5432")] {
            let row = vec![Some(host.to_owned()), Some("5432".to_owned())];
            let table = Table::new(&columns, &[row], 0);
            assert_eq!(table.rows().map(name).collect::<Vec<_>>(), [expected]);
        }
    }
}
