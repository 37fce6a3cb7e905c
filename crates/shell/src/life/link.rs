//! Owns the last steps of a login: a server connection for the client, and its welcome.

use super::linked::{Held, Linked, Next};
use super::lookers::Lookers;
use super::member::Member;
use super::{Course, Entered, Life, refused};
use crate::cancel::{Aim, Issued};
use crate::clusters::while_usable;
use crate::console::{self, Client, Guest};
use crate::crowd::{Counted, Whose};
use crate::dial::{ServerLogin, forget, full};
use crate::exchange::{Leased, Lent, Place};
use crate::log::{self, Begun, Started};
use crate::port::Port;
use crate::ready::{self, Present, Way, timed_out};
use crate::rest::{Key, ServerSide};
use crate::setup::{Database, Login, PoolMode, PoolRules, RestRules};
use crate::welcomes::{Known, ServerFacts};
use crate::{chance, credentials, lend};
use auth::{Credential, LegFacts, Proof, ServerUser};
use buf::Secret;
use cluster::Wish;
use pool::Wanted;
use session::arrival::{self, Newcomer};
use session::fault::{Fault, FaultKind, Side};
use session::hop;
use session::login::Welcome;
use session::statements::Dialect;
use session::wishes::Wishes;
use session::{lending, welcome};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use wire::from_server::BackendKeyData;
use wire::startup::Replication;
use wire::{CancelKey, ProtocolVersion};

/// A client's places in the counts of its database and its user, where one of them is counted.
pub(super) type Counts<'a> = Option<Box<(Option<Counted<'a>>, Option<Counted<'a>>)>>;

/// A cancel key, and what the client is told of it.
type Told<'a> = (Issued<'a>, BackendKeyData);

/// How a client gets server connections.
struct Plan<'a> {
    wanted: Wanted<Key>,
    wishes: lending::Wanted,
    rules: &'a PoolRules,
    /// It shares them.
    shares: bool,
    key: Option<Key>,
    way: Arc<Way>,
    /// Which hosts of its cluster it wants, if not those of the database.
    wish: Option<Wish>,
}

/// What a client is welcomed with.
enum Connection {
    /// A server connection.
    Held(Held),
    /// What is known of one.
    Known(Arc<Known>),
}

impl Connection {
    /// Facts for the log, with the server's process id if the client keeps it.
    fn facts(&self, shares: bool) -> (ServerFacts, u32) {
        match self {
            Connection::Known(known) => (known.server.clone(), 0),
            Connection::Held(held) => {
                let pid = if shares { 0 } else { held.server.pid() };
                (log::facts(&held.server), pid)
            }
        }
    }
}

/// Appends all that a client reads up to its first ReadyForQuery.
fn greet(
    port: &mut Port,
    last: Option<&[u8]>,
    mut welcome: Welcome,
    cancel_key: Option<&BackendKeyData>,
) -> Result<(), Fault> {
    // The welcome lies in a lent buffer of the same size as the output; what the server sent
    // must leave room for our own messages around it.
    let put = full(welcome::put(last, &welcome, cancel_key, port.room()));
    welcome.0.clear();
    lend::give_back_plain(&mut welcome.0);
    put?;
    port.hibernate();
    Ok(())
}

/// A client that is in.
pub(super) enum In<'a> {
    /// With a server connection of its own.
    Linked(Box<Linked<'a>>),
    /// It shares server connections.
    Member(Box<(Member<'a>, Lookers)>),
    /// It is in the console.
    Guest(Guest),
}

impl<'a> Life<'a> {
    /// Finds a server for this client, or what one said to others who wanted the same, and welcomes the
    /// client.
    pub(super) async fn link(
        &self,
        (port, shown): (&mut Port, &Arc<Client>),
        (newcomer, course): (&Newcomer, &Course),
        mut entered: Entered,
        client_leg: LegFacts,
    ) -> Result<In<'a>, Fault> {
        let Some(database) = self.setup.database(&course.database) else {
            let name = course.database.clone();
            return Err(Fault::new(
                Side::Client,
                FaultKind::UnknownDatabase { name },
            ));
        };
        if self.context.console.holds.is_disabled(&course.database) {
            let name = course.database.clone();
            return Err(Fault::new(Side::Proxy, FaultKind::Disabled { name }));
        }
        let counted = self.count(database, (&newcomer.user, course))?;
        let mut plan = self.plan(database, (newcomer, course), &mut entered)?;
        let patience = self.setup.timeouts.query_wait;
        let place = self.context.exchange.place(database, patience);
        let known = self.known(&place, &plan);
        if let (Some(known), Entered::Proved(_)) = (&known, &entered) {
            known.share(&mut plan.way);
        }
        // What is kept for a role is for those who have proved that they are it.
        let present = match &entered {
            Entered::Proved(_) => self.present(&place, &plan, database),
            Entered::Claims(_) => None,
        };
        let (connection, welcome, proved) = match (known, entered) {
            (Some(known), Entered::Proved(proved)) => (
                Connection::Known(Arc::clone(&known)),
                known.bytes()?,
                proved,
            ),
            (_, entered) => {
                let (held, welcome) = {
                    let connecting = pin!(self.connect(shown, database, &plan, &entered));
                    self.while_there(&port.socket, connecting).await?
                };
                let proved = match entered {
                    Entered::Proved(proved) => proved,
                    Entered::Claims(claim) => {
                        let accepted = claim.accepted(&held.server.accepted);
                        accepted.map_err(|refusal| refused(&refusal))?
                    }
                };
                (Connection::Held(held), welcome, proved)
            }
        };
        let present = present.or_else(|| self.present(&place, &plan, database));
        let issued = match &connection {
            Connection::Held(held) if !plan.shares => self.issue(&held.server, newcomer.version)?,
            _ => self.issue_for_any(newcomer.version)?,
        };
        let (issued, cancel_key) = issued.unzip();
        if let Some(issued) = &issued {
            shown.aims(issued.aim());
        }
        if let Some(route) = &course.route {
            self.context.console.routes.note(route);
        }
        let last = proved.last.as_ref().map(auth::AuthRequest::body);
        greet(port, last.as_deref(), welcome, cancel_key.as_ref())?;
        let log = Started::new(
            (&self.peer, newcomer, course),
            (&proved, &client_leg),
            connection.facts(plan.shares),
        );
        if self.setup.log.connections {
            log::started(&log);
        }
        let log = Begun::from(log);
        let shown = Arc::clone(shown);
        match (plan.shares, plan.key, issued) {
            (true, Some(key), Some(issued)) => {
                let dialect = self.dismiss(connection, &plan);
                shown.unlinked();
                let lookers = Lookers::new(self.follows(database, plan.wish));
                let member = member(
                    (place, &database.rest),
                    (plan, key),
                    (dialect, counted, present),
                    (issued, shown, log),
                );
                Ok(In::Member(Box::new((member, lookers))))
            }
            (_, _, issued) => {
                let Connection::Held(mut held) = connection else {
                    return Err(timed_out());
                };
                held.server.port.hibernate();
                Ok(In::Linked(Box::new(Linked {
                    held,
                    issued,
                    counted,
                    present,
                    shown,
                    log,
                })))
            }
        }
    }

    /// Counts the client among those of its database and its user.
    fn count(
        &self,
        database: &Database,
        (user, course): (&str, &Course),
    ) -> Result<Counts<'a>, Fault> {
        let crowd = &self.context.crowd;
        let of_user = database.pools.of(user).clients_max;
        let user = Whose::User(user.to_owned());
        let name = Whose::Database(course.database.clone());
        let of_database = crowd.enter(name, database.clients_max)?;
        let of_user = crowd.enter(user, of_user)?;
        Ok(match (&of_database, &of_user) {
            (None, None) => None,
            _ => Some(Box::new((of_database, of_user))),
        })
    }

    /// Its place among those for whom connections are kept free, or made ahead of need.
    fn present(
        &self,
        place: &Arc<Place<Box<ServerSide>>>,
        plan: &Plan<'_>,
        database: &Database,
    ) -> Option<Box<Present<'a>>> {
        let key = plan.key.map(|key| (key, Arc::clone(&plan.way)));
        let whose = (place, &database.name, plan.wanted.group);
        let present = self.context.ready.enter(whose, plan.rules, key);
        present.map(Box::new)
    }

    /// How this client gets server connections.
    fn plan(
        &self,
        database: &'a Database,
        (newcomer, course): (&Newcomer, &Course),
        entered: &mut Entered,
    ) -> Result<Plan<'a>, Fault> {
        let (role, credential) = self.credential(database, &newcomer.user, entered);
        let name = database.dbname.as_deref().unwrap_or(&course.database);
        let rules = database.pools.of(&newcomer.user);
        let shares = rules.mode != PoolMode::Session && newcomer.replication == Replication::No;
        let names = (role.name(), name);
        let sharing = &self.setup.sharing;
        let (startup, base) = match shares {
            true => {
                arrival::startup_for_shared(newcomer, names, (&sharing.tracked, &sharing.ignored))?
            }
            false => {
                let startup = arrival::startup_for_server(newcomer, names.0, names.1)?;
                (startup, Wishes::none())
            }
        };
        let may_rest = newcomer.replication == Replication::No && !database.rest.lifetime.is_zero();
        let key = match may_rest || shares {
            true => Some(Key::of(&startup, shares, &self.context.key_secret)?),
            false => None,
        };
        Ok(Plan {
            wanted: Wanted {
                // Whom the server itself has to judge is not let in by a connection of before.
                key: key.filter(|_| matches!(entered, Entered::Proved(_))),
                group: self.context.group_of(role.name()),
                group_max: rules.size.filter(|_| shares),
                role_max: database.pools.of(role.name()).role_max,
                home: self.home,
            },
            wishes: lending::Wanted {
                owner: self.number,
                want: Arc::clone(&base),
                base,
            },
            rules,
            shares,
            key,
            wish: course.wish,
            way: Arc::new(Way {
                user: newcomer.user.clone(),
                database: course.database.clone(),
                role,
                credential,
                startup,
            }),
        })
    }

    /// What a server said to others who wanted the same as this client, which shares connections.
    fn known(&self, place: &Place<Box<ServerSide>>, plan: &Plan<'_>) -> Option<Arc<Known>> {
        let key = plan.wanted.key.filter(|_| plan.shares)?;
        let digest = lending::digest(&plan.wishes, &self.context.key_secret);
        let welcomes = &self.context.welcomes;
        welcomes.find(&(key, digest), place.generation(), Instant::now())
    }

    /// A server connection that is as this client wants it, and what its server says.
    async fn connect(
        &self,
        shown: &Client,
        database: &Database,
        plan: &Plan<'_>,
        entered: &Entered,
    ) -> Result<(Held, Welcome), Fault> {
        let connect = |place| self.server(shown, (database, place), plan.wanted, plan.way.login());
        let connected = self.connect_by_wish((shown, database, plan.wish), connect);
        let (lease, server, welcome) = connected.await?;
        let next = plan.key.map(|key| Next {
            key,
            lifetime: database.rest.lifetime,
        });
        let mut held = Held {
            server,
            lease,
            next,
        };
        if !plan.shares {
            return Ok((held, welcome));
        }
        forget(welcome);
        let limit = database.connect_timeout;
        let tried = tokio::time::timeout(limit, held.server.try_on(&plan.wishes)).await;
        if let Err(fault) = tried.unwrap_or_else(|_| Err(timed_out())) {
            // A server that only refused the client's wishes is as good as before.
            if held.server.server.is_idle() {
                self.give_back(held, Instant::now());
            }
            return Err(fault);
        }
        let welcome = held.server.welcome()?;
        if let (Some(key), Entered::Proved(_)) = (plan.key, entered) {
            let secret = &self.context.key_secret;
            let said = (
                Secret::new(welcome.0.bytes()),
                lending::dialect(&plan.wishes, &held.server.server, secret),
                log::facts(&held.server),
            );
            let wanted = (key, lending::digest(&plan.wishes, secret));
            let now = (held.lease.generation(), Instant::now());
            self.context.welcomes.keep(wanted, said, now);
        }
        Ok((held, welcome))
    }

    /// Gives back the connection that a client was welcomed with; how its texts are read.
    fn dismiss(&self, connection: Connection, plan: &Plan<'_>) -> Dialect {
        match connection {
            Connection::Known(known) => known.dialect,
            Connection::Held(held) => {
                let secret = &self.context.key_secret;
                let dialect = lending::dialect(&plan.wishes, &held.server.server, secret);
                self.give_back(held, Instant::now());
                dialect
            }
        }
    }

    /// A connection that rested, or a new one.
    async fn server(
        &self,
        shown: &Client,
        (database, place): (&Database, Arc<Place<Box<ServerSide>>>),
        wanted: Wanted<Key>,
        login: ServerLogin<'_>,
    ) -> Result<(Leased<Box<ServerSide>>, Box<ServerSide>, Welcome), Fault> {
        let patience = self.setup.timeouts.query_wait;
        let counters = &self.context.counters.server;
        let limit = database.connect_timeout;
        shown.waits(self.context.console.now_us());
        let lent = place.lease(wanted, patience).await?;
        shown.called();
        let mut lease = match lent {
            Lent::Fresh(lease) => lease,
            Lent::Rested(lease, rested) => {
                let via = rested.via.as_deref().cloned();
                let woken = rested.wake(self.home, database.rest.check_after);
                let woken = while_usable(self.context, via, woken);
                match tokio::time::timeout(limit, woken).await {
                    Ok(Ok(server)) => {
                        counters.reused.add(1);
                        shown.linked(&server.server.traffic);
                        let welcome = server.welcome()?;
                        return Ok((lease, server, welcome));
                    }
                    // It died at rest: nothing of this client's was sent to it.
                    Ok(Err(_)) | Err(_) => counters.died_at_rest.add(1),
                }
                lease
            }
        };
        let dialling = ready::dial(self.context, &place, (database, login), patience);
        let (dialled, generation) = dialling.await?;
        lease.renew(generation);
        let (server, welcome) = ServerSide::new(dialled, &database.tcp, self.home);
        let whose = console::Whose::of(shown);
        self.context.console.register_server(whose, &server);
        shown.linked(&server.server.traffic);
        if server.via.is_some() && lease.is_past() {
            // Another host leads since the login, and nobody else knows that this connection is there.
            server.server.traffic.cut();
        }
        Ok((lease, server, welcome))
    }

    /// Who Portcullis is towards the server, and what proves it.
    fn credential(
        &self,
        database: &Database,
        user: &str,
        entered: &mut Entered,
    ) -> (ServerUser, Credential) {
        let exception = self.setup.auth.exceptions.get(user);
        let login = exception.and_then(|exception| exception.login.as_ref());
        match (login.unwrap_or(&database.login), entered) {
            (Login::Forced { user, password }, _) => (
                user.clone(),
                match password {
                    Some(password) => Credential::Password(password.clone()),
                    None => Credential::None,
                },
            ),
            (Login::AsClient, Entered::Claims(claim)) => {
                (ServerUser::claimed(claim), claim.credential())
            }
            (Login::AsClient, Entered::Proved(proved)) => {
                let role = ServerUser::same_as_client(&proved.user);
                let kept = credentials::from_users_file(self.setup, role.name());
                let credential = match (std::mem::replace(&mut proved.proof, Proof::None), kept) {
                    // A password fits every server; what a client showed fits one verifier.
                    (_, kept @ Credential::Password(_)) | (Proof::None, kept) => kept,
                    (proof, _) => proof.into_credential(),
                };
                (role, credential)
            }
        }
    }

    /// The client's own cancel key: the server's process id with a secret of ours, which cancels what
    /// that server does.
    fn issue(
        &self,
        server: &ServerSide,
        version: ProtocolVersion,
    ) -> Result<Option<Told<'a>>, Fault> {
        let Some(target) = &server.target else {
            return Ok(None);
        };
        let pid = server.pid();
        let aim = Arc::<Aim>::default();
        aim.take(target);
        let key = self.issued(pid, version)?;
        Ok(key.map(|key| (self.context.cancels.issue(&key, aim), key)))
    }

    /// The cancel key of a client that shares server connections: for whichever works for it.
    fn issue_for_any(&self, version: ProtocolVersion) -> Result<Option<Told<'a>>, Fault> {
        let chance = u32::from_be_bytes(chance::bytes()?);
        let pid = hop::made_up_pid(self.setup.peers.own, chance);
        let key = self.issued(pid, version)?;
        Ok(key.map(|key| (self.context.cancels.issue(&key, Arc::default()), key)))
    }

    /// A new cancel key under this process id.
    fn issued(&self, pid: u32, version: ProtocolVersion) -> Result<Option<BackendKeyData>, Fault> {
        let secret: [u8; 32] = chance::bytes()?;
        let [short, long] = hop::KEY_BYTES;
        let len = match version >= ProtocolVersion::V3_2 {
            true => long,
            false => short,
        };
        Ok(CancelKey::new(&secret[..len]).map(|key| BackendKeyData { pid, key }))
    }
}

fn member<'a>(
    (place, rest): (Arc<Place<Box<ServerSide>>>, &'a RestRules),
    (plan, key): (Plan<'a>, Key),
    (dialect, counted, present): (Dialect, Counts<'a>, Option<Box<Present<'a>>>),
    (issued, shown, log): (Issued<'a>, Arc<Client>, Begun),
) -> Member<'a> {
    Member {
        place,
        wanted: Wanted {
            key: Some(key),
            ..plan.wanted
        },
        rules: plan.rules,
        rest,
        dialect,
        wishes: plan.wishes,
        way: plan.way,
        issued,
        counted,
        present,
        shown,
        log,
    }
}
