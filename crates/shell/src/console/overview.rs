//! Owns numbers of the whole proxy and histograms, as JSON for the page: what no table of the console has.

use super::Desk;
use crate::context::Context;
use crate::inspection::shown;
use admin::{Counts, escape};
use observe::{EDGES_US, Spread};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

/// Kinds of encryption that are told apart on each leg; further ones are counted together.
const KINDS_MAX: usize = 50;

/// Numbers of the whole proxy. Sums grow from the start on; the page makes rates of them.
pub(crate) fn overview(context: &Context, takes_clients: bool) -> String {
    let desk = &context.console;
    let setup = context.live.snapshot();
    let (logins, logins_waiting) = context.door.crowd();
    let (resting, lent) = context.exchange.counts();
    let clients = desk.clients.all();
    let now_us = desk.now_us();
    let (in_flight, oldest_us) = shown::under_way(context);
    let waits: Vec<u64> = clients.iter().map(|it| it.waits_us(now_us)).collect();
    let numbers = [
        ("unix_s", super::unix_s()),
        ("up_s", now_us / 1_000_000),
        ("ready", u64::from(takes_clients)),
        ("clients", context.clients.load(Ordering::Relaxed) as u64),
        ("clients_max", setup.limits.max_client_conn as u64),
        ("logins", (logins + logins_waiting) as u64),
        ("waiting", waits.iter().filter(|it| **it > 0).count() as u64),
        ("longest_wait_us", waits.iter().copied().max().unwrap_or(0)),
        ("in_flight", in_flight),
        ("oldest_in_flight_us", oldest_us),
        ("servers_lent", lent as u64),
        ("servers_resting", resting as u64),
        ("inspected", u64::from(setup.inspection.is_some())),
        ("faults", desk.faults.all().values().sum()),
    ];
    let mut text = "{".to_owned();
    for (name, number) in numbers.into_iter().chain(counted(desk)) {
        let _ = write!(text, "\"{name}\":{number},");
    }
    let errors = setup.inspection.is_some().then(|| {
        let rows = context.inspections.merged().rows();
        rows.iter().map(|it| it.sum.all.errors).sum::<u64>()
    });
    match errors {
        Some(errors) => drop(write!(text, "\"statement_errors\":{errors},")),
        None => text.push_str("\"statement_errors\":null,"),
    }
    let _ = write!(text, "\"version\":\"{}\",", env!("CARGO_PKG_VERSION"));
    text.push_str("\"times\":");
    put_times(&all_times(desk), &mut text);
    text.push_str(",\"client_tls\":");
    put_kinds(clients.iter().map(|it| &*it.facts.tls), &mut text);
    let servers = desk.living();
    text.push_str(",\"server_tls\":");
    put_kinds(servers.iter().map(|it| &*it.common.tls), &mut text);
    text.push('}');
    text
}

fn counted(desk: &Desk) -> [(&'static str, u64); 5] {
    let all = desk.statistics();
    let sum = |of: fn(&Counts) -> u64| all.iter().map(|it| of(&it.total)).sum();
    [
        ("transactions", sum(|it| it.xact_count)),
        ("queries", sum(|it| it.query_count)),
        ("received_bytes", sum(|it| it.bytes_received)),
        ("sent_bytes", sum(|it| it.bytes_sent)),
        ("client_logins", sum(|it| it.client_login_count)),
    ]
}

/// How long things took: until a server connection was lent, on it, and both.
type Times = [(&'static str, Spread); 3];

fn all_times(desk: &Desk) -> Times {
    let mut sums = [Spread::default(); 3];
    for pool in desk.times.all() {
        for (sum, more) in sums.iter_mut().zip([pool.wait, pool.server, pool.total]) {
            sum.add(&more);
        }
    }
    let [wait, server, total] = sums;
    [("wait", wait), ("server", server), ("total", total)]
}

/// The histograms of each pool.
pub(crate) fn pool_times(context: &Context) -> String {
    let mut text = "[".to_owned();
    for (at, pool) in context.console.times.all().into_iter().enumerate() {
        text.push_str(if at == 0 { "{" } else { ",{" });
        for (name, value) in [("database", &pool.database), ("user", &pool.user)] {
            let _ = write!(text, "\"{name}\":");
            put_text(value, &mut text);
            text.push(',');
        }
        text.push_str("\"times\":");
        let times = [
            ("wait", pool.wait),
            ("server", pool.server),
            ("total", pool.total),
        ];
        put_times(&times, &mut text);
        text.push('}');
    }
    text.push(']');
    text
}

/// The histograms of a pattern, whoever executes it; `None` if there is none with this number.
pub(crate) fn pattern_times(context: &Context, pattern: u64) -> Option<String> {
    let rows = context.inspections.merged().rows();
    let is_it = |row: &&patterns::Row| row.pattern.as_ref().is_some_and(|it| it.id.0 == pattern);
    let mut found = rows.iter().filter(is_it).peekable();
    found.peek()?;
    let mut sums = [const { None }; 3];
    for row in found {
        let sum = &row.sum;
        for (all, more) in sums
            .iter_mut()
            .zip([&sum.wait, &sum.server, &sum.all.total])
        {
            all.get_or_insert_with(patterns::Spread::default).add(more);
        }
    }
    let mut text = "{".to_owned();
    for (name, spread) in ["wait", "server", "total"].into_iter().zip(&sums) {
        let comma = if name == "wait" { "" } else { "," };
        let _ = write!(text, "{comma}\"{name}\":");
        put_buckets(spread.iter().flat_map(|it| it.buckets()), &mut text);
    }
    text.push('}');
    Some(text)
}

fn put_times(times: &Times, text: &mut String) {
    for (at, (name, spread)) in times.iter().enumerate() {
        let open = if at == 0 { '{' } else { ',' };
        let _ = write!(text, "{open}\"{name}\":");
        let edges = EDGES_US.iter().copied().chain([u64::MAX]);
        let buckets = edges.zip(spread.counts);
        put_buckets(buckets.filter(|it| it.1 > 0), text);
    }
    text.push('}');
}

/// A list of edges in microseconds, each included and the last one null if it has none, and counts.
fn put_buckets(buckets: impl Iterator<Item = (u64, u64)>, text: &mut String) {
    text.push('[');
    for (at, (edge_us, count)) in buckets.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = match edge_us {
            u64::MAX => write!(text, "{comma}[null,{count}]"),
            edge_us => write!(text, "{comma}[{edge_us},{count}]"),
        };
    }
    text.push(']');
}

/// How many connections have which version, suite and group, the most frequent in front.
fn put_kinds<'a>(all: impl Iterator<Item = &'a str>, text: &mut String) {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for kind in all {
        let known = kinds.len() < KINDS_MAX || kinds.contains_key(kind);
        *kinds.entry(if known { kind } else { "other" }).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|it| std::cmp::Reverse(it.1));
    text.push('[');
    for (at, (kind, count)) in kinds.into_iter().enumerate() {
        text.push_str(if at == 0 { "[" } else { ",[" });
        put_text(kind, text);
        let _ = write!(text, ",{count}]");
    }
    text.push(']');
}

fn put_text(value: &str, text: &mut String) {
    text.push('"');
    value.chars().for_each(|it| escape(it, text));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_pairs_and_the_last_has_no_edge() {
        let mut spread = Spread::default();
        spread.counts[0] = 3;
        spread.counts[EDGES_US.len()] = 1;
        let mut text = String::new();
        let times = [
            ("wait", Spread::default()),
            ("server", spread),
            ("total", spread),
        ];
        put_times(&times, &mut text);
        let full = "[[50,3],[null,1]]";
        let wanted = format!("{{\"wait\":[],\"server\":{full},\"total\":{full}}}");
        assert_eq!(text, wanted);
    }

    #[test]
    fn kinds_of_encryption_are_counted_and_have_a_bound() {
        let mut text = String::new();
        put_kinds(["a", "b", "a", "\"<"].into_iter(), &mut text);
        assert_eq!(text, r#"[["a",2],["\"<",1],["b",1]]"#);
        let many: Vec<String> = (0..KINDS_MAX + 5).map(|it| it.to_string()).collect();
        let mut text = String::new();
        put_kinds(many.iter().map(String::as_str), &mut text);
        assert!(text.starts_with("[[\"other\",5],"), "{text}");
    }
}
