//! Owns the tables of what clients execute, made of what is known in this moment.

use super::activity::Running;
use crate::console::{Client, Doing, ServerFacts, places};
use crate::context::Context;
use admin::{Activity, Moment, Pattern, Snapshot, Sum};
use patterns::{Row, Window, WindowLength};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// Rows of `SHOW PATTERNS` and `/patterns`; the statistics themselves may have more.
const ROWS_MAX: usize = 1000;

/// What a client does, in words.
struct State {
    state: &'static str,
    wait_reason: &'static str,
    age_us: u64,
    running: Option<(Running, u64, u64)>,
}

/// `SHOW ACTIVITY`: everybody who does something or keeps something; those who began first in front.
pub(crate) fn activity(context: &Context) -> Snapshot {
    let desk = &context.console;
    let servers: HashMap<u64, Arc<ServerFacts>> = desk
        .living()
        .into_iter()
        .map(|server| (server.number, server))
        .collect();
    let (now, now_us) = (Instant::now(), desk.now_us());
    let row = |client: &Arc<Client>| {
        let state = state(client, now, now_us)?;
        let server = client.server().and_then(|number| servers.get(&number));
        Some(row(client, state, server.map(|it| &**it)))
    };
    let mut rows: Vec<Activity> = desk.clients.all().iter().filter_map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.age_us));
    Snapshot::Activity(rows)
}

/// How many clients are in each state of [`activity`].
pub(crate) fn states(context: &Context) -> [(&'static str, usize); STATES.len()] {
    let (now, now_us) = (Instant::now(), context.console.now_us());
    let mut counts = STATES.map(|state| (state, 0));
    for client in context.console.clients.all() {
        let Some(State { state, .. }) = state(&client, now, now_us) else {
            continue;
        };
        if let Some((_, count)) = counts.iter_mut().find(|it| it.0 == state) {
            *count += 1;
        }
    }
    counts
}

/// How many statements are under way, and for how many microseconds the oldest of them.
pub(crate) fn under_way(context: &Context) -> (u64, u64) {
    let (now, now_us) = (Instant::now(), context.console.now_us());
    let clients = context.console.clients.all();
    let states = clients.iter().filter_map(|it| state(it, now, now_us));
    let running = states.filter(|it| it.running.is_some());
    running.fold((0, 0), |(count, oldest_us), it| {
        (count + 1, oldest_us.max(it.age_us))
    })
}

/// All states of [`activity`].
const STATES: [&str; 7] = [
    "waiting for a server",
    "connecting",
    "sending",
    "executing",
    "streaming",
    "idle in transaction",
    "linked",
];

/// What a client does; `None` if it does nothing.
fn state(client: &Client, now: Instant, now_us: u64) -> Option<State> {
    let [
        waiting,
        connecting,
        sending,
        executing,
        streaming,
        idle,
        linked,
    ] = STATES;
    let waits = |state| State {
        state,
        wait_reason: "a server connection",
        age_us: client.waits_us(now_us),
        running: None,
    };
    match client.doing() {
        Doing::Idle => return None,
        Doing::Waiting => return Some(waits(waiting)),
        Doing::Linking => return Some(waits(connecting)),
        Doing::Active => {}
    }
    let activity = client.activity.get();
    let reason = activity.map_or(super::Waits::Nothing, |it| it.waits_for());
    if let Some((running, rows, bytes)) = activity.and_then(|it| it.running()) {
        let state = match reason {
            _ if rows > 0 => streaming,
            super::Waits::ClientSends | super::Waits::ServerReads => sending,
            _ => executing,
        };
        let age = now.saturating_duration_since(running.since);
        return Some(State {
            state,
            wait_reason: reason.words(),
            age_us: u64::try_from(age.as_micros()).unwrap_or(u64::MAX),
            running: Some((running, rows, bytes)),
        });
    }
    let (state, age_us) = match activity.and_then(|it| it.stands_since_us()) {
        Some(since_us) => (idle, now_us.saturating_sub(since_us)),
        None => (linked, 0),
    };
    Some(State {
        state,
        wait_reason: reason.words(),
        age_us,
        running: None,
    })
}

fn row(client: &Client, state: State, server: Option<&ServerFacts>) -> Activity {
    let facts = &client.facts;
    let (addr, port) = places(client.at.peer);
    let (rows, bytes) = state.running.as_ref().map_or((0, 0), |it| (it.1, it.2));
    let running = state.running.map(|it| it.0);
    Activity {
        id: client.number,
        user: facts.user.clone(),
        database: facts.database.clone(),
        application_name: facts.application_name.clone(),
        addr,
        port,
        state: state.state,
        wait_reason: state.wait_reason,
        age_us: state.age_us,
        pattern: running.as_ref().map(|it| it.pattern.id.to_string()),
        query: running.as_ref().map(|it| it.pattern.text.to_string()),
        rows,
        bytes,
        queued: running.map_or(0, |it| u32::try_from(it.queued).unwrap_or(u32::MAX)),
        tls: facts.tls.clone(),
        pool_user: facts.pool_user.clone(),
        server: server.map(place).unwrap_or_default(),
        server_pid: server.map_or(0, |it| it.pid),
        server_tls: server.map(|it| it.common.tls.clone()).unwrap_or_default(),
    }
}

/// A server's address and port.
pub(super) fn place(server: &ServerFacts) -> String {
    let (host, port) = &server.common.address;
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// `SHOW PATTERNS`.
pub(crate) fn patterns(context: &Context) -> Snapshot {
    let now_s = crate::console::unix_s();
    let length = context.inspections.length();
    let mut rows = context.inspections.merged().rows();
    // The last one may be that of all others, which always is shown.
    if let Some(last) = rows.pop() {
        rows.truncate(ROWS_MAX - 1);
        rows.push(last);
    }
    Snapshot::Patterns(
        rows.iter()
            .map(|row| pattern(row, (now_s, length)))
            .collect(),
    )
}

fn pattern(row: &Row, (now_s, length): (u64, WindowLength)) -> Pattern {
    let sum = &row.sum;
    let minute = sum.window(Window::Minute, now_s, length);
    let quarter = sum.window(Window::Quarter, now_s, length);
    let states = sum.states.iter();
    let states: Vec<String> = states
        .map(|(state, count)| format!("{state}:{count}"))
        .collect();
    let total = &sum.all.total;
    Pattern {
        pattern: match &row.pattern {
            Some(pattern) => pattern.id.to_string(),
            None => "other".to_owned(),
        },
        query: match &row.pattern {
            Some(pattern) => pattern.text.to_string(),
            None => "(all that have no row of their own)".to_owned(),
        },
        database: row.who.database.to_string(),
        role: row.who.role.to_string(),
        application_name: row.who.application.to_string(),
        calls: Sum(sum.all.calls),
        errors: Sum(sum.all.errors),
        errors_by_state: states.join(" "),
        rows: Sum(sum.all.rows),
        bytes_in: Sum(sum.all.bytes_in),
        bytes_out: Sum(sum.all.bytes_out),
        total_us: Sum(total.sum_us()),
        wait_us: Sum(sum.wait.sum_us()),
        server_us: Sum(sum.server.sum_us()),
        p50_us: total.percentile_us(50),
        p95_us: total.percentile_us(95),
        p99_us: total.percentile_us(99),
        max_us: total.max_us(),
        wait_p95_us: sum.wait.percentile_us(95),
        server_p95_us: sum.server.percentile_us(95),
        calls_1min: Sum(minute.calls),
        errors_1min: Sum(minute.errors),
        p95_us_1min: minute.total.percentile_us(95),
        calls_15min: Sum(quarter.calls),
        errors_15min: Sum(quarter.errors),
        p95_us_15min: quarter.total.percentile_us(95),
        first_seen: Moment(sum.seen_s.0),
        last_seen: Moment(sum.seen_s.1),
    }
}
