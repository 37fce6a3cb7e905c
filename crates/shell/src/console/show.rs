//! Owns the answers to SHOW: tables made of what is known in this moment.

use super::carry::ALL_NAMES;
use super::{Client, Desk, Doing, ServerFacts, Shown, State, around, unix_s};
use crate::context::Context;
use crate::inspection::shown;
use crate::setup::{Address, Database, HostAddress, Login, PoolMode, Setup};
use admin::{
    Certificate, Config, Counter, Lists, Moment, Pool, Snapshot, Socket, Sum, Table, User, Version,
    Wire,
};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Seconds of a number of microseconds, and the rest.
fn split(us: u64) -> (u32, u32) {
    let seconds = u32::try_from(us / 1_000_000).unwrap_or(u32::MAX);
    (seconds, (us % 1_000_000) as u32)
}

/// A count as a column holds it.
pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The table that was asked for.
pub(crate) fn show(context: &Context, table: Table) -> Snapshot {
    let desk = &context.console;
    let setup = context.live.snapshot();
    match table {
        Table::Clients => Snapshot::Clients(clients(desk)),
        Table::Servers => Snapshot::Servers(servers(desk, &setup)),
        Table::Sockets => Snapshot::Sockets(sockets(desk, &setup)),
        // No bytes wait between two turns of a session: each direction's credit sees to it.
        Table::ActiveSockets => Snapshot::ActiveSockets(Vec::new()),
        Table::Pools => Snapshot::Pools(pools(desk, &setup)),
        Table::Databases => Snapshot::Databases(databases(desk, &setup)),
        Table::Users => Snapshot::Users(users(desk, &setup)),
        Table::Activity => shown::activity(context),
        Table::Rules => Snapshot::Rules(super::rules::rules(context)),
        Table::Routes => Snapshot::Routes(super::routes::routes(context, &setup)),
        Table::Views => Snapshot::Views(super::views::views(context)),
        Table::Throttles => Snapshot::Throttles(super::rules::throttles(context)),
        Table::Patterns => shown::patterns(context),
        Table::Events => Snapshot::Events(crate::happenings::rows(&context.events)),
        Table::Lists => Snapshot::Lists(lists(context, &setup).rows()),
        Table::Clusters => Snapshot::Clusters(super::clusters::clusters(context)),
        Table::Hosts => Snapshot::Hosts(super::clusters::hosts(context)),
        Table::Mirrors => Snapshot::Mirrors(super::mirrors::mirrors(context)),
        Table::Config => Snapshot::Config(config(&setup)),
        Table::Certificates => Snapshot::Certificates(certificates(context)),
        Table::Counters => Snapshot::Counters(counters(context)),
        Table::State => Snapshot::State(desk.holds.pauses().rows()),
        Table::Version => Snapshot::Version(vec![Version {
            version: format!("Portcullis {}", env!("CARGO_PKG_VERSION")),
        }]),
        Table::Stats | Table::StatsTotals | Table::StatsAverages | Table::Totals => {
            Snapshot::of_statistics(table, &desk.statistics())
        }
        Table::DnsHosts => Snapshot::DnsHosts(around::hosts(desk)),
        // Names are looked up one by one, by the system.
        Table::DnsZones => Snapshot::DnsZones(Vec::new()),
        Table::Mem => Snapshot::Mem(around::memory(context)),
        Table::Peers => Snapshot::Peers(around::peers(&setup)),
        Table::PeerPools => Snapshot::PeerPools(around::peer_pools(context, &setup)),
    }
}

fn clients(desk: &Desk) -> Vec<Socket> {
    let now_us = desk.now_us();
    let row = |client: &Arc<Client>| client_row(client, now_us);
    desk.clients.all().iter().map(row).collect()
}

fn client_row(client: &Client, now_us: u64) -> Socket {
    let facts = &client.facts;
    let (wait, wait_us) = split(client.waits_us(now_us));
    let (control, number) = &client.session;
    let silent_s = control.silent_s(*number).unwrap_or(0);
    Socket {
        kind: "C",
        user: facts.user.clone(),
        database: facts.database.clone(),
        replication: facts.replication,
        state: match client.doing() {
            Doing::Waiting | Doing::Linking => "waiting",
            Doing::Active => "active",
            Doing::Idle if facts.is_console => "active",
            Doing::Idle => "idle",
        },
        connect_time: Moment(client.since_s),
        request_time: Moment(
            unix_s()
                .saturating_sub(u64::from(silent_s))
                .max(client.since_s),
        ),
        wait,
        wait_us,
        ptr: pointer(client.number),
        link: client.server().map(pointer).unwrap_or_default(),
        remote_pid: client.at.pid,
        tls: facts.tls.clone(),
        application_name: facts.application_name.clone(),
        prepared_statements: client.statements(),
        id: client.number,
        ..places(client.at.peer, facts.local)
    }
}

fn servers(desk: &Desk, setup: &Setup) -> Vec<Socket> {
    let clients: HashMap<u64, Arc<Client>> = desk
        .clients
        .all()
        .into_iter()
        .map(|client| (client.number, client))
        .collect();
    let (now_us, now_s) = (desk.now_us(), unix_s());
    let row = |server: &Arc<ServerFacts>| {
        let client = server.traffic.client();
        let holder = client.and_then(|number| clients.get(&number));
        let request_time = holder.map(|it| client_row(it, now_us).request_time);
        let last = server.since_s + u64::from(server.traffic.freed_s());
        let request_time = request_time.unwrap_or(Moment(last));
        Socket {
            kind: "S",
            user: server.common.user.clone(),
            database: server.common.database.clone(),
            replication: server.common.replication,
            state: match server.state(now_s, setup) {
                State::Active => "active",
                State::Tested => "tested",
                State::BeingCancelled => "being_canceled",
                State::Used => "used",
                State::Idle => "idle",
            },
            connect_time: Moment(server.since_s),
            request_time,
            close_needed: server.traffic.close_needed(),
            ptr: pointer(server.number),
            link: client.map(pointer).unwrap_or_default(),
            remote_pid: server.pid,
            tls: server.common.tls.clone(),
            application_name: holder
                .map(|it| it.facts.application_name.clone())
                .unwrap_or_default(),
            prepared_statements: server.traffic.statements(),
            id: server.number,
            addr: server.common.address.0.clone(),
            port: server.common.address.1,
            ..places(None, server.local)
        }
    };
    desk.living().iter().map(row).collect()
}

/// The address and port of one end of a connection; none is that of a Unix-domain socket.
pub(crate) fn end(place: Option<SocketAddr>) -> (String, u32) {
    let socket = places(place, None);
    (socket.addr, socket.port)
}

/// The addresses of a connection; none are those of a Unix-domain socket.
fn places(peer: Option<SocketAddr>, local: Option<SocketAddr>) -> Socket {
    let of = |place: Option<SocketAddr>| match place {
        Some(place) => (
            place.ip().to_canonical().to_string(),
            u32::from(place.port()),
        ),
        None => ("unix".to_owned(), 0),
    };
    let ((addr, port), (local_addr, local_port)) = (of(peer), of(local));
    Socket {
        addr,
        port,
        local_addr,
        local_port,
        ..Socket::default()
    }
}

fn pointer(number: u64) -> String {
    format!("{number:#x}")
}

fn sockets(desk: &Desk, setup: &Setup) -> Vec<Wire> {
    let prefixed = |mut socket: Socket| {
        socket.state = match (socket.kind, socket.state) {
            ("C", "waiting") => "cl_waiting",
            ("C", _) => "cl_active",
            (_, "active") => "sv_active",
            (_, "tested") => "sv_tested",
            (_, "being_canceled") => "sv_being_canceled",
            (_, "used") => "sv_used",
            _ => "sv_idle",
        };
        Wire {
            socket,
            ..Wire::default()
        }
    };
    let all = clients(desk).into_iter().chain(servers(desk, setup));
    all.map(prefixed).collect()
}

fn pools(desk: &Desk, setup: &Setup) -> Vec<Pool> {
    let mut pools: BTreeMap<(String, String), (Pool, u64)> = BTreeMap::new();
    let new = |database: &str, user: &str| Pool {
        database: database.to_owned(),
        user: user.to_owned(),
        pool_mode: match setup.database(database) {
            Some(entry) => mode(entry.pools.of(user).mode),
            None => mode(PoolMode::Session),
        },
        load_balance_hosts: setup.database(database).and_then(balance),
        ..Pool::default()
    };
    let (now_us, now_s) = (desk.now_us(), unix_s());
    for client in desk.clients.all() {
        let (database, user) = (&client.facts.database, &client.facts.pool_user);
        let of = (database.clone(), user.clone());
        let (pool, longest) = pools.entry(of).or_insert_with(|| (new(database, user), 0));
        match client.doing() {
            Doing::Waiting => pool.cl_waiting += 1,
            Doing::Linking => {
                pool.cl_waiting += 1;
                pool.sv_login += 1;
            }
            Doing::Active | Doing::Idle => pool.cl_active += 1,
        }
        *longest = (*longest).max(client.waits_us(now_us));
        if client.facts.is_console {
            pool.pool_mode = "statement";
        }
    }
    for server in desk.living() {
        let (database, user) = (&server.common.database, &server.common.user);
        let of = (database.clone(), user.clone());
        let (pool, _) = pools.entry(of).or_insert_with(|| (new(database, user), 0));
        match server.state(now_s, setup) {
            State::Active => pool.sv_active += 1,
            State::Tested => pool.sv_tested += 1,
            State::BeingCancelled => pool.sv_being_canceled += 1,
            State::Used => pool.sv_used += 1,
            State::Idle => pool.sv_idle += 1,
        }
        // Each request has a connection of its own, at once.
        pool.cl_active_cancel_req += count(server.cancels());
        pool.sv_active_cancel += count(server.cancels());
    }
    let finished = |(mut pool, longest): (Pool, u64)| {
        (pool.maxwait, pool.maxwait_us) = split(longest);
        pool
    };
    pools.into_values().map(finished).collect()
}

fn databases(desk: &Desk, setup: &Setup) -> Vec<admin::Database> {
    let (servers, clients) = (desk.living(), desk.clients.all());
    let row = |entry: &Database| {
        let is_of = |name: &str| match &entry.name {
            Some(own) => own == name,
            // The entry for all names has those that nobody else has.
            None => {
                let entry = setup.database(name).filter(|_| !setup.is_console(name));
                entry.is_some_and(|it| it.name.is_none())
            }
        };
        let name = entry.name.as_deref().unwrap_or(ALL_NAMES);
        let (paused, disabled) = desk.holds.of(name);
        let hosts: Vec<String> = entry
            .servers
            .listed()
            .iter()
            .map(|host| place(&host.address).0)
            .collect();
        let port = entry
            .servers
            .listed()
            .first()
            .map_or(0, |host| place(&host.address).1);
        admin::Database {
            name: name.to_owned(),
            host: (!hosts.is_empty()).then(|| hosts.join(",")),
            port,
            database: entry.dbname.clone().unwrap_or_else(|| name.to_owned()),
            force_user: forced(&entry.login),
            pool_size: count(entry.pools.general.size.unwrap_or(0)),
            min_pool_size: count(entry.pools.general.ready),
            reserve_pool_size: count(entry.pools.general.reserve),
            server_lifetime: count(entry.rest.lifetime.as_secs() as usize),
            max_connections: count(entry.connections_max.unwrap_or(0)),
            max_client_connections: count(entry.clients_max.unwrap_or(0)),
            load_balance_hosts: balance(entry),
            current_connections: count(
                servers
                    .iter()
                    .filter(|it| is_of(&it.common.database))
                    .count(),
            ),
            current_client_connections: count(
                clients
                    .iter()
                    .filter(|it| is_of(&it.facts.database))
                    .count(),
            ),
            pool_mode: Some(mode(entry.pools.general.mode)),
            paused,
            disabled,
        }
    };
    let mut rows: Vec<_> = setup.databases.iter().map(row).collect();
    rows.extend(
        super::NAMES
            .iter()
            .filter(|name| setup.is_console(name))
            .map(|name| {
                let is_of = |client: &&Arc<Client>| *client.facts.database == **name;
                admin::Database {
                    name: (*name).to_owned(),
                    database: (*name).to_owned(),
                    port: setup.listeners.first().map_or(0, |it| match &it.address {
                        Address::Tcp(address) => u32::from(address.port()),
                        Address::Unix { .. } => 0,
                    }),
                    pool_mode: Some("statement"),
                    current_client_connections: count(clients.iter().filter(is_of).count()),
                    ..admin::Database::default()
                }
            }),
    );
    rows
}

fn forced(login: &Login) -> Option<String> {
    match login {
        Login::AsClient => None,
        Login::Forced { user, .. } => Some(user.name().to_owned()),
    }
}

/// How a host is chosen: PgBouncer's word for the first that can be reached.
fn balance(entry: &Database) -> Option<String> {
    (entry.servers.listed().len() > 1).then(|| "disable".to_owned())
}

fn mode(mode: PoolMode) -> &'static str {
    match mode {
        PoolMode::Session => "session",
        PoolMode::Transaction => "transaction",
        PoolMode::Statement => "statement",
    }
}

/// A server's host and port.
pub(super) fn place(address: &HostAddress) -> (String, u32) {
    match address {
        HostAddress::Tcp(host, port) => (host.clone(), u32::from(*port)),
        HostAddress::Unix(path) => (path.display().to_string(), 0),
    }
}

/// Users that are connected, and those that the users file or an exception names.
fn users(desk: &Desk, setup: &Setup) -> Vec<User> {
    let mut users: BTreeMap<String, User> = BTreeMap::new();
    let mut at = |name: &str, add: fn(&mut User)| match users.get_mut(name) {
        Some(user) => add(user),
        None => {
            let mut user = User {
                name: name.to_owned(),
                ..User::default()
            };
            add(&mut user);
            users.insert(name.to_owned(), user);
        }
    };
    for (name, _) in setup.auth.users.iter() {
        at(name, |_| {});
    }
    for name in setup.auth.exceptions.keys() {
        at(name, |_| {});
    }
    for client in desk.clients.all() {
        at(&client.facts.user, |user| {
            user.current_client_connections += 1
        });
    }
    for server in desk.living() {
        at(&server.common.user, |user| user.current_connections += 1);
    }
    for user in users.values_mut() {
        limits(user, setup);
    }
    users.into_values().collect()
}

/// What is configured for a user alone, or for all. A database's own rules are those of the first that
/// has some for the user.
fn limits(user: &mut User, setup: &Setup) {
    let own = |entry: &&Database| entry.pools.of_users.contains_key(&user.name);
    let has_own = setup.databases.iter().find(own);
    let Some(pools) = has_own.or(setup.databases.first()).map(|it| &it.pools) else {
        return;
    };
    let (rules, general) = (pools.of(&user.name), &pools.general);
    user.max_user_connections = count(rules.role_max.unwrap_or(0));
    user.max_user_client_connections = count(rules.clients_max.unwrap_or(0));
    let differs = |own: Option<usize>, general: Option<usize>| match own {
        Some(own) if Some(own) != general => own.to_string(),
        _ => String::new(),
    };
    user.pool_size = differs(rules.size, general.size);
    user.reserve_pool_size = differs(Some(rules.reserve), Some(general.reserve));
    user.pool_mode = (rules.mode != general.mode).then(|| mode(rules.mode));
}

fn lists(context: &Context, setup: &Setup) -> Lists {
    let desk = &context.console;
    let (under_way, waiting) = context.door.crowd();
    Lists {
        databases: count(databases(desk, setup).len()),
        users: count(users(desk, setup).len()),
        peers: count(setup.peers.others.len()),
        peer_pools: count(setup.peers.others.len()),
        dns_names: count(around::hosts(desk).len()),
        pools: count(pools(desk, setup).len()),
        used_clients: count(context.clients.load(Ordering::Relaxed)),
        login_clients: count(under_way + waiting),
        used_servers: count(desk.living().len()),
        ..Lists::default()
    }
}

fn certificates(context: &Context) -> Vec<Certificate> {
    let mut rows = Vec::new();
    let now = i64::try_from(unix_s()).unwrap_or(i64::MAX);
    context.gauges.each(now, |reading| {
        if reading.name == "certificate_days_left" {
            let label = |wanted| {
                let found = reading.labels.iter().find(|(name, _)| *name == wanted);
                found.map_or_else(String::new, |(_, value)| (*value).to_owned())
            };
            rows.push(Certificate {
                file: label("file"),
                kind: label("kind"),
                days_left: u32::try_from(reading.value).unwrap_or(0),
                expired: reading.value < 0,
            });
        }
    });
    rows
}

fn counters(context: &Context) -> Vec<Counter> {
    let mut rows = Vec::new();
    context.counters.each(|reading| {
        rows.push(Counter {
            name: reading.name,
            value: Sum(reading.value),
            meaning: reading.help,
        });
    });
    rows
}

/// Every setting; where "auto" was worked out, what came of it.
fn config(setup: &Setup) -> Vec<Config> {
    let row = |setting: &Shown| Config {
        key: setting.key.clone(),
        value: match setting.key.as_str() {
            "max_client_conn" => Some(setup.limits.max_client_conn.to_string()),
            _ => setting.value.clone(),
        },
        default: setting.default.clone(),
        changeable: if setting.is_changeable { "yes" } else { "no" },
    };
    setup.settings.iter().map(row).collect()
}
