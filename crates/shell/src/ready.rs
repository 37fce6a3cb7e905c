//! Owns the server connections that are made ahead of need (`min_pool_size`): for whom, with what, how many
//! are missing, and how long to leave it after a failure.
//!
//! A role's clients in a database leave here how the latest of them gets its connections; once a second the
//! missing ones are ordered from the workers. With its last client, what that one logged in with is
//! forgotten. A database that has one role for all of its clients needs none, outside session mode: its
//! connections begin as those of clients do that set nothing.

use crate::clusters;
use crate::console::Whose;
use crate::context::Context;
use crate::control::{Control, Phase};
use crate::dial::{Dialled, ServerLogin, dial as reach, forget};
use crate::exchange::{Attending, Leased, Place};
use crate::log;
use crate::rest::{Key, ServerSide};
use crate::setup::{Database, Host, Login, PoolMode, PoolRules, Servers, Setup};
use crate::trouble::Trouble;
use crate::worker::Worker;
use auth::{Credential, ServerUser};
use pool::{Group, Home, Wanted};
use session::fault::{Fault, FaultKind, Side};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wire::ProtocolVersion;
use wire::startup::StartupMessage;

/// Connections of one role and database that are made at once.
const BURST: usize = 8;

/// How long to leave it after the first failure; each further one doubles it, up to `server_login_retry`.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

type Server = Box<ServerSide>;

/// How a new connection is made.
pub(crate) struct Way {
    /// The name of the user whose settings go for it.
    pub(crate) user: String,
    /// The database, as clients name it.
    pub(crate) database: String,
    pub(crate) role: ServerUser,
    pub(crate) credential: Credential,
    pub(crate) startup: StartupMessage,
}

impl Way {
    /// Whether another one leads to the same connections.
    pub(crate) fn same_as(&self, other: &Way) -> bool {
        (&self.user, &self.database) == (&other.user, &other.database)
            && self.role == other.role
            && self.startup == other.startup
            && self.credential.same_as(&other.credential)
    }

    /// What the server is told.
    pub(crate) fn login(&self) -> ServerLogin<'_> {
        ServerLogin {
            user: &self.role,
            credential: self.credential.clone(),
            startup: &self.startup,
        }
    }
}

/// The pool of an entry of the configuration, and a role in it.
type Of = (Option<String>, Group);

/// For whom connections are made.
#[derive(Default)]
pub(crate) struct Ready(Mutex<HashMap<Of, Seed>>);

/// How connections of one role and database are made.
struct Seed {
    user: String,
    clients: usize,
    way: Option<(Key, Arc<Way>)>,
    /// The setup of the database that made it without a client.
    forced: Option<[u8; 32]>,
    pause: Duration,
    until: Option<Instant>,
}

/// A client in its pool, until this is dropped.
pub(crate) struct Present<'a> {
    _attending: Option<Attending<Server>>,
    seed: Option<(&'a Ready, Of)>,
}

/// A connection to be made.
pub(crate) struct Order {
    setup: Arc<Setup>,
    place: Arc<Place<Server>>,
    lease: Leased<Server>,
    key: Key,
    way: Arc<Way>,
    of: Of,
}

impl Ready {
    /// A client is there, and gets its connections this way; `None` if nothing is kept or made for it.
    pub(crate) fn enter(
        &self,
        (place, name, group): (&Arc<Place<Server>>, &Option<String>, Group),
        rules: &PoolRules,
        way: Option<(Key, Arc<Way>)>,
    ) -> Option<Present<'_>> {
        if rules.guaranteed == 0 && rules.ready == 0 {
            return None;
        }
        let guaranteed = (rules.guaranteed > 0).then(|| place.attend(group, rules.guaranteed));
        let way = way.filter(|_| rules.ready > 0);
        let seed = way.map(|(key, way)| {
            let of = (name.clone(), group);
            let mut seeds = self.lock();
            let seed = seeds.entry(of.clone()).or_insert_with(Seed::new);
            seed.clients += 1;
            if seed.forced.is_none() {
                seed.user.clone_from(&way.user);
                seed.way = Some((key, way));
            }
            (self, of)
        });
        Some(Present {
            _attending: guaranteed,
            seed,
        })
    }

    fn failed(&self, of: &Of, most: Duration, now: Instant) {
        if let Some(seed) = self.lock().get_mut(of) {
            seed.pause = match seed.until {
                Some(_) => (2 * seed.pause).min(most),
                None => FIRST_PAUSE.min(most),
            };
            seed.until = Some(now + seed.pause);
        }
    }

    fn succeeded(&self, of: &Of) {
        if let Some(seed) = self.lock().get_mut(of) {
            seed.until = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Of, Seed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seed {
    fn new() -> Seed {
        Seed {
            user: String::new(),
            clients: 0,
            way: None,
            forced: None,
            pause: FIRST_PAUSE,
            until: None,
        }
    }

    fn is_of_use(&self) -> bool {
        self.clients > 0 || self.forced.is_some()
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        let Some((ready, of)) = &self.seed else {
            return;
        };
        if let Some(seed) = ready.lock().get_mut(of) {
            seed.clients -= 1;
            if !seed.is_of_use() {
                seed.way = None;
            }
        }
    }
}

/// Called once a second: what exists stays, and what is missing is ordered.
pub(crate) fn keep(context: &Context, workers: &[Worker]) {
    let setup = context.live.snapshot();
    let now = Instant::now();
    for database in &setup.databases {
        if !makes_ready(database) {
            continue;
        }
        force(context, database);
        for order in missing(context, &setup, database, now) {
            let turn = order.place.existing(order.of.1);
            if let Some(worker) = workers.get(turn % workers.len().max(1)) {
                worker.prepare(order);
            }
        }
    }
    let known = |of: &Of| setup.databases.iter().any(|it| it.name == of.0);
    let mut seeds = context.ready.lock();
    seeds.retain(|of, seed| known(of) || seed.clients > 0);
}

/// Connections to standbys are made when they are wanted: who gets one where is not known before.
fn makes_ready(database: &Database) -> bool {
    match &database.servers {
        Servers::Listed(_) => true,
        Servers::Of(followed) => followed.wish == cluster::Wish::Primary,
    }
}

/// Sees to the role that all clients of a database have, which needs no client.
fn force(context: &Context, database: &Database) {
    let rules = &database.pools.general;
    let (Login::Forced { user, password }, Some(name)) = (&database.login, &database.name) else {
        return;
    };
    let group = context.group_of(user.name());
    let of = (database.name.clone(), group);
    let mut seeds = context.ready.lock();
    if rules.ready == 0 || rules.mode == PoolMode::Session {
        if let Some(seed) = seeds.get_mut(&of) {
            seed.forced = None;
        }
        return;
    }
    let made = Some(database.fingerprint);
    if seeds.get(&of).is_some_and(|seed| seed.forced == made) {
        return;
    }
    let server_name = database.dbname.as_deref().unwrap_or(name);
    let names = [("user", user.name()), ("database", server_name)];
    let names = names.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let Ok(startup) = StartupMessage::new(ProtocolVersion::V3_0, names) else {
        return;
    };
    let Ok(key) = Key::of(&startup, true, &context.key_secret) else {
        return;
    };
    let credential = match password {
        Some(password) => Credential::Password(password.clone()),
        None => Credential::None,
    };
    let way = Way {
        user: user.name().to_owned(),
        database: name.clone(),
        role: user.clone(),
        credential,
        startup,
    };
    let seed = seeds.entry(of).or_insert_with(Seed::new);
    seed.user.clone_from(&way.user);
    seed.way = Some((key, Arc::new(way)));
    seed.forced = made;
}

/// The connections of a database that are missing and can be made; the others stay from now on.
fn missing(context: &Context, setup: &Arc<Setup>, database: &Database, now: Instant) -> Vec<Order> {
    let mut seeds = context.ready.lock();
    let is_of = |of: &Of| of.0 == database.name;
    if !seeds.keys().any(is_of) {
        return Vec::new();
    }
    let patience = setup.timeouts.query_wait;
    let place = context.exchange.place(database, patience);
    seeds.retain(|of, seed| !is_of(of) || seed.is_of_use() || place.existing(of.1) > 0);
    let least = |seed: &Seed| database.pools.of(&seed.user).ready;
    let of_database = || seeds.iter().filter(|(of, _)| is_of(of));
    let ready = of_database().map(|(of, seed)| (of.1, least(seed)));
    place.keep_ready(ready.collect());
    let disabled = |name: &str| context.console.holds.is_disabled(name);
    if database.name.as_deref().is_some_and(disabled) {
        return Vec::new();
    }
    let mut orders = Vec::new();
    for (of, seed) in of_database() {
        let Some((key, way)) = &seed.way else {
            continue;
        };
        if seed.until.is_some_and(|until| now < until) {
            continue;
        }
        let rules = database.pools.of(&seed.user);
        let wanted = Wanted {
            key: Some(*key),
            group: of.1,
            group_max: rules.size.filter(|_| rules.mode != PoolMode::Session),
            role_max: database.pools.of(way.role.name()).role_max,
            home: Home(0),
        };
        let leases = std::iter::from_fn(|| place.prepare(&wanted, rules.ready));
        orders.extend(leases.take(BURST).map(|lease| Order {
            setup: Arc::clone(setup),
            place: Arc::clone(&place),
            lease,
            key: *key,
            way: Arc::clone(way),
            of: of.clone(),
        }));
    }
    orders
}

/// Makes a connection on this worker, and lets it rest or gives it to whoever waits by then.
pub(crate) async fn make(context: &Context, control: &Control, order: Order) {
    let Order {
        setup,
        place,
        mut lease,
        key,
        way,
        of,
    } = order;
    let Some(database) = setup.database(&way.database) else {
        return;
    };
    if control.phase() != Phase::Running {
        return;
    }
    let dialled = dial(context, &place, (database, way.login()), Duration::ZERO).await;
    let (dialled, generation) = match dialled {
        Ok(dialled) => dialled,
        Err(fault) => {
            context.counters.server.prepare_failed.add(1);
            context
                .ready
                .failed(&of, database.login_retry, Instant::now());
            return log::not_prepared(&way.database, way.role.name(), &fault);
        }
    };
    context.ready.succeeded(&of);
    context.counters.server.prepared.add(1);
    lease.renew(generation);
    let (mut server, welcome) = ServerSide::new(dialled, &database.tcp, control.home);
    forget(welcome);
    let whose = Whose {
        role: way.role.name(),
        database: &way.database,
        replication: "none",
    };
    context.console.register_server(whose, &server);
    if lease.is_past() {
        let _ = tokio::time::timeout(setup.timeouts.close, server.close()).await;
        return;
    }
    server.port.hibernate();
    let now = Instant::now();
    server.rest(now, database.rest.lifetime);
    for over in lease.keep((key, control.home), server, now) {
        let _ = tokio::time::timeout(setup.timeouts.close, over.close()).await;
    }
}

/// A new connection, unless it is known that none can be had at present, and the generation of the pool that it
/// belongs to. Who wants the leader of a cluster that has none waits so long for one.
pub(crate) async fn dial<C>(
    context: &Context,
    place: &Place<C>,
    (database, login): (&Database, ServerLogin<'_>),
    patience: Duration,
) -> Result<(Dialled, u64), Fault> {
    let generation = place.generation();
    let hosts = match &database.servers {
        Servers::Listed(hosts) => hosts,
        Servers::Of(followed) => {
            let Some(fleet) = context.clusters.find(&followed.cluster) else {
                return Err(timed_out());
            };
            let whose = (database, &login);
            return match &place.standby {
                None => clusters::to_leader(context, &fleet, place, whose, patience).await,
                Some(key) => {
                    let dialled = clusters::to_standby(context, &fleet, key, whose).await?;
                    Ok((dialled, generation))
                }
            };
        }
    };
    let dialled = dial_listed(context, &place.trouble, (hosts, database), login).await?;
    Ok((dialled, generation))
}

async fn dial_listed(
    context: &Context,
    trouble: &Trouble,
    (hosts, database): (&[Arc<Host>], &Database),
    login: ServerLogin<'_>,
) -> Result<Dialled, Fault> {
    if let Some(fault) = trouble.known(Instant::now()) {
        return Err(fault);
    }
    let dialling = reach(hosts, &database.tcp, &context.deriver, login);
    let dialled = tokio::time::timeout(database.connect_timeout, dialling).await;
    let dialled = dialled.unwrap_or_else(|_| Err(timed_out()));
    let outcome = dialled.as_ref().map(|_| ());
    trouble.note(outcome, database.login_retry, Instant::now());
    let dialled = dialled?;
    context.counters.server.dialled.add(1);
    Ok(dialled)
}

/// A server that could not be reached in time.
pub(crate) fn timed_out() -> Fault {
    Fault::new(
        Side::Server,
        FaultKind::Timeout {
            setting: "server_connect_timeout",
            phase: "connecting to the server",
        },
    )
}
