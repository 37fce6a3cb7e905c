//! Owns the numbers of the console's tables as families for `/metrics`: each number that a table shows is
//! a family by the name of its column, so that a new column appears there by itself.

use super::{faults::Words, show::show};
use crate::context::Context;
use admin::{Counts, Datum, Snapshot, Table};
use observe::{Family, Kind, Sample, Spread, Value};

/// Rows of one table that are shown; the further ones are left out.
pub(super) const ROWS_MAX: usize = 1000;

/// Families of the console's numbers.
pub(crate) fn families(context: &Context) -> Vec<Family> {
    let desk = &context.console;
    let mut families = Vec::new();
    for (table, prefix, labels) in [
        (Table::Pools, "pool", &["database", "user"][..]),
        (Table::Databases, "database", &["name"]),
        (Table::Users, "user", &["name"]),
        (Table::PeerPools, "peer", &["peer_id"]),
    ] {
        families.extend(of_table(&show(context, table), prefix, labels));
    }
    families.extend(super::clusters::families(context));
    families.extend(super::routes::families(context));
    families.extend(super::mirrors::families(context));
    families.extend(lists(context));
    families.extend(states(context));
    families.extend(statistics(context));
    families.extend(times(context));
    families.push(faults(desk.faults.all()));
    families
}

/// A family for each column of numbers that is not a label.
pub(super) fn of_table(
    rows: &Snapshot,
    prefix: &str,
    labels: &'static [&'static str],
) -> Vec<Family> {
    let columns = rows.table().columns();
    let mut families: Vec<(usize, Family)> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let is_address = column.name == "port";
        let is_number = column.kind != admin::Type::Text && !is_address;
        if is_number && !labels.contains(&column.name) {
            let family = Family {
                name: format!("{prefix}_{}", column.name).into(),
                help: column.meaning,
                kind: Kind::Gauge,
                samples: Vec::new(),
            };
            families.push((at, family));
        }
    }
    for row in (0..rows.len().min(ROWS_MAX)).map(|at| rows.row(at)) {
        let text = |label: &&'static str| {
            let at = columns.iter().position(|it| it.name == *label)?;
            Some((*label, word(row.get(at)?)))
        };
        let labels: Vec<_> = labels.iter().filter_map(text).collect();
        for (at, family) in &mut families {
            if let Some(number) = row.get(*at).and_then(number) {
                family.samples.push(Sample {
                    labels: labels.clone(),
                    value: number.into(),
                });
            }
        }
    }
    let families = families.into_iter().map(|(_, family)| family);
    families
        .filter(|family| !family.samples.is_empty())
        .collect()
}

fn word(datum: &Datum<'_>) -> String {
    match datum {
        Datum::Text(text) => text.clone().into_owned(),
        other => number(other).map_or_else(String::new, |it| it.to_string()),
    }
}

fn number(datum: &Datum<'_>) -> Option<f64> {
    match datum {
        Datum::Null | Datum::Text(_) => None,
        Datum::Int4(value) => Some(f64::from(*value)),
        Datum::Int8(value) => Some(*value as f64),
        Datum::Numeric(value) => Some(*value as f64),
    }
}

/// `SHOW LISTS`.
fn lists(context: &Context) -> Option<Family> {
    let Snapshot::Lists(rows) = show(context, Table::Lists) else {
        return None;
    };
    let sample = |row: admin::List| Sample {
        labels: vec![("list", row.list.to_owned())],
        value: f64::from(row.items).into(),
    };
    Some(Family {
        name: "list_items".into(),
        help: "How many there are of what (SHOW LISTS).",
        kind: Kind::Gauge,
        samples: rows.into_iter().map(sample).collect(),
    })
}

/// `SHOW STATE`.
fn states(context: &Context) -> Option<Family> {
    let Snapshot::State(rows) = show(context, Table::State) else {
        return None;
    };
    let sample = |row: admin::State| Sample {
        labels: vec![("state", row.key.to_owned())],
        value: f64::from(u8::from(row.value == "yes")).into(),
    };
    Some(Family {
        name: "state".into(),
        help: "1 for the state that the proxy is in (SHOW STATE).",
        kind: Kind::Gauge,
        samples: rows.into_iter().map(sample).collect(),
    })
}

/// `SHOW STATS_TOTALS`; times in seconds.
fn statistics(context: &Context) -> Vec<Family> {
    const US_PER_S: f64 = 1e6;
    type Of = fn(&Counts) -> u64;
    let all = context.console.statistics();
    let family = |name: &'static str, help, of: Of, unit: f64| {
        let sample = |it: &admin::Statistics| Sample {
            labels: vec![("database", it.database.clone())],
            value: (of(&it.total) as f64 / unit).into(),
        };
        Family {
            name: name.into(),
            help,
            kind: Kind::Counter,
            samples: all.iter().take(ROWS_MAX).map(sample).collect(),
        }
    };
    let count = |name, help, of: Of| family(name, help, of, 1.0);
    let seconds = |name, help, of: Of| family(name, help, of, US_PER_S);
    let families = vec![
        count(
            "stats_server_assignments",
            "Server connections lent.",
            |it| it.server_assignment_count,
        ),
        count("stats_transactions", "Transactions.", |it| it.xact_count),
        count("stats_queries", "Queries.", |it| it.query_count),
        count("stats_received_bytes", "Bytes from clients.", |it| {
            it.bytes_received
        }),
        count("stats_sent_bytes", "Bytes to clients.", |it| it.bytes_sent),
        seconds("stats_transaction_seconds", "Time in transactions.", |it| {
            it.xact_time
        }),
        seconds(
            "stats_query_seconds",
            "Time in which servers worked on queries.",
            |it| it.query_time,
        ),
        seconds(
            "stats_wait_seconds",
            "Time that clients waited for a server connection.",
            |it| it.wait_time,
        ),
        count(
            "stats_client_parses",
            "Parse messages from clients.",
            |it| it.client_parse_count,
        ),
        count(
            "stats_server_parses",
            "Parse messages that went to servers.",
            |it| it.server_parse_count,
        ),
        count("stats_binds", "Bind messages.", |it| it.bind_count),
        count("stats_client_logins", "Clients that logged in.", |it| {
            it.client_login_count
        }),
    ];
    let is_there = |it: &Family| !it.samples.is_empty();
    families.into_iter().filter(is_there).collect()
}

/// How long things took, by pool.
fn times(context: &Context) -> Vec<Family> {
    let pools = context.console.times.all();
    let family = |name: &'static str, help, of: fn(&super::times::PoolTimes) -> Spread| {
        let sample = |pool: &super::times::PoolTimes| Sample {
            labels: vec![
                ("database", pool.database.clone()),
                ("user", pool.user.clone()),
            ],
            value: Value::Spread(Box::new(of(pool))),
        };
        Family {
            name: name.into(),
            help,
            kind: Kind::Histogram,
            samples: pools.iter().map(sample).collect(),
        }
    };
    let families = vec![
        family(
            "pool_wait_seconds",
            "From a client's wish for a server connection until it had one.",
            |it| it.wait,
        ),
        family(
            "pool_server_seconds",
            "Transactions, from the first request to a server to the last answer.",
            |it| it.server,
        ),
        family(
            "pool_total_seconds",
            "Transactions with the wait before them.",
            |it| it.total,
        ),
    ];
    let is_there = |it: &Family| !it.samples.is_empty();
    families.into_iter().filter(is_there).collect()
}

/// Sessions that ended with a fault; a family of its own even before there is one.
fn faults(all: impl IntoIterator<Item = (Words, u64)>) -> Family {
    let sample = |((side, kind), count): (Words, u64)| Sample {
        labels: vec![("side", side.to_owned()), ("kind", kind.to_owned())],
        value: (count as f64).into(),
    };
    Family {
        name: "faults".into(),
        help: "Sessions that ended with a fault, or clients refused for one, by whose it was.",
        kind: Kind::Counter,
        samples: all.into_iter().map(sample).collect(),
    }
}
