//! Owns the answers to SHOW: tables made of what is known in this moment.

use super::carry::ALL_NAMES;
use super::{Client, Desk, Doing, ServerFacts, unix_s};
use crate::context::Context;
use crate::setup::{Address, Database, HostAddress, Login, PoolMode, Setup};
use admin::{Config, Lists, Moment, Pool, Snapshot, Socket, Table, User, Version, Wire};
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
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The table that was asked for.
pub(super) fn show(context: &Context, table: Table) -> Snapshot {
    let desk = &context.console;
    let setup = context.live.snapshot();
    match table {
        Table::Clients => Snapshot::Clients(clients(desk)),
        Table::Servers => Snapshot::Servers(servers(desk)),
        Table::Sockets => Snapshot::Sockets(sockets(desk)),
        // No bytes wait between two turns of a session: each direction's credit sees to it.
        Table::ActiveSockets => Snapshot::ActiveSockets(Vec::new()),
        Table::Pools => Snapshot::Pools(pools(desk, &setup)),
        Table::Databases => Snapshot::Databases(databases(desk, &setup)),
        Table::Users => Snapshot::Users(users(desk, &setup)),
        Table::Lists => Snapshot::Lists(lists(context, &setup).rows()),
        Table::Config => Snapshot::Config(config(&setup)),
        Table::State => Snapshot::State(desk.holds.pauses().rows()),
        Table::Version => Snapshot::Version(vec![Version {
            version: format!("Portcullis {}", env!("CARGO_PKG_VERSION")),
        }]),
        Table::Stats | Table::StatsTotals | Table::StatsAverages | Table::Totals => {
            Snapshot::of_statistics(table, &desk.statistics())
        }
        // Names are looked up by the system, memory is the allocator's, and there are no peers.
        Table::DnsHosts => Snapshot::DnsHosts(Vec::new()),
        Table::DnsZones => Snapshot::DnsZones(Vec::new()),
        Table::Mem => Snapshot::Mem(Vec::new()),
        Table::Peers => Snapshot::Peers(Vec::new()),
        Table::PeerPools => Snapshot::PeerPools(Vec::new()),
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
        remote_pid: facts.pid,
        tls: facts.tls.clone(),
        application_name: facts.application_name.clone(),
        id: client.number,
        ..places(facts.peer, facts.local)
    }
}

fn servers(desk: &Desk) -> Vec<Socket> {
    let clients: HashMap<u64, Arc<Client>> = desk
        .clients
        .all()
        .into_iter()
        .map(|client| (client.number, client))
        .collect();
    let now_us = desk.now_us();
    let row = |server: &ServerFacts| {
        let client = server.traffic.client();
        let holder = client.and_then(|number| clients.get(&number));
        let request_time = holder.map(|it| client_row(it, now_us).request_time);
        let last = server.since_s + u64::from(server.traffic.freed_s());
        let request_time = request_time.unwrap_or(Moment(last));
        Socket {
            kind: "S",
            user: server.user.clone(),
            database: server.database.clone(),
            replication: server.replication,
            state: if client.is_some() { "active" } else { "idle" },
            connect_time: Moment(server.since_s),
            request_time,
            close_needed: server.traffic.close_needed(),
            ptr: pointer(server.number),
            link: client.map(pointer).unwrap_or_default(),
            remote_pid: server.pid,
            tls: server.tls.clone(),
            application_name: holder
                .map(|it| it.facts.application_name.clone())
                .unwrap_or_default(),
            id: server.number,
            addr: server.address.0.clone(),
            port: server.address.1,
            ..places(None, server.local)
        }
    };
    desk.living().iter().map(row).collect()
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

fn sockets(desk: &Desk) -> Vec<Wire> {
    let prefixed = |mut socket: Socket| {
        socket.state = match (socket.kind, socket.state) {
            ("C", "waiting") => "cl_waiting",
            ("C", _) => "cl_active",
            (_, "active") => "sv_active",
            _ => "sv_idle",
        };
        Wire {
            socket,
            ..Wire::default()
        }
    };
    let all = clients(desk).into_iter().chain(servers(desk));
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
        ..Pool::default()
    };
    let now_us = desk.now_us();
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
        let (database, user) = (&server.database, &server.user);
        let of = (database.clone(), user.clone());
        let (pool, _) = pools.entry(of).or_insert_with(|| (new(database, user), 0));
        match server.traffic.client() {
            Some(_) => pool.sv_active += 1,
            None => pool.sv_idle += 1,
        }
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
            None => setup.database(name).is_some_and(|it| it.name.is_none()),
        };
        let name = entry.name.as_deref().unwrap_or(ALL_NAMES);
        let (paused, disabled) = desk.holds.of(name);
        let hosts: Vec<String> = entry
            .hosts
            .iter()
            .map(|host| place(&host.address).0)
            .collect();
        let port = entry.hosts.first().map_or(0, |host| place(&host.address).1);
        admin::Database {
            name: name.to_owned(),
            host: (!hosts.is_empty()).then(|| hosts.join(",")),
            port,
            database: entry.dbname.clone().unwrap_or_else(|| name.to_owned()),
            force_user: forced(&entry.login),
            pool_size: count(entry.pools.general.size.unwrap_or(0)),
            reserve_pool_size: count(entry.pools.general.reserve),
            server_lifetime: count(entry.rest.lifetime.as_secs() as usize),
            max_connections: count(entry.connections_max.unwrap_or(0)),
            current_connections: count(servers.iter().filter(|it| is_of(&it.database)).count()),
            current_client_connections: count(
                clients
                    .iter()
                    .filter(|it| is_of(&it.facts.database))
                    .count(),
            ),
            pool_mode: Some(mode(entry.pools.general.mode)),
            paused,
            disabled,
            ..admin::Database::default()
        }
    };
    let mut rows: Vec<_> = setup.databases.iter().map(row).collect();
    rows.extend(
        super::NAMES
            .iter()
            .filter(|name| setup.is_console(name))
            .map(|name| {
                let is_of = |client: &&Arc<Client>| client.facts.database == **name;
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
        at(&server.user, |user| user.current_connections += 1);
    }
    users.into_values().collect()
}

fn lists(context: &Context, setup: &Setup) -> Lists {
    let desk = &context.console;
    let (under_way, waiting) = context.door.crowd();
    Lists {
        databases: count(databases(desk, setup).len()),
        users: count(users(desk, setup).len()),
        pools: count(pools(desk, setup).len()),
        used_clients: count(context.clients.load(Ordering::Relaxed)),
        login_clients: count(under_way + waiting),
        used_servers: count(desk.living().len()),
        ..Lists::default()
    }
}

/// The settings that the shell knows by PgBouncer's names, for tools that read them.
fn config(setup: &Setup) -> Vec<Config> {
    let row = |(key, value): (&str, String)| Config {
        key: key.to_owned(),
        value: Some(value),
        default: None,
        changeable: "yes",
    };
    let limits = &setup.limits;
    let timeouts = &setup.timeouts;
    let seconds = |it: std::time::Duration| it.as_secs().to_string();
    let users = setup.console.clone().unwrap_or_default();
    [
        ("admin_users", users.admins.join(",")),
        ("client_idle_timeout", seconds(timeouts.session.idle)),
        ("client_login_timeout", seconds(timeouts.client_login)),
        (
            "idle_transaction_timeout",
            seconds(timeouts.session.idle_transaction),
        ),
        ("max_client_conn", limits.max_client_conn.to_string()),
        // Portcullis has no such bound yet: zero is none.
        ("max_user_connections", "0".to_owned()),
        ("query_timeout", seconds(timeouts.session.query)),
        ("query_wait_timeout", seconds(timeouts.query_wait)),
        ("stats_users", users.watchers.join(",")),
    ]
    .into_iter()
    .map(row)
    .collect()
}
