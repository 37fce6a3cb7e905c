//! Owns the last steps of a login: a server connection for the client, and its welcome.

use super::linked::{Held, Linked, Next};
use super::member::{Member, Way};
use super::{Entered, Life, refused};
use crate::cancel::{Aim, Issued};
use crate::console::{Client, Guest};
use crate::dial::{ServerLogin, dial, full};
use crate::exchange::{Leased, Lent};
use crate::log::{self, Started};
use crate::port::Port;
use crate::rest::{Key, ServerSide};
use crate::setup::{Database, Login, PoolMode};
use crate::{chance, credentials, lend};
use auth::{Credential, LegFacts, Proof, ServerUser};
use pool::Wanted;
use session::arrival::{self, Newcomer};
use session::fault::{Fault, FaultKind, Side};
use session::login::Welcome;
use session::wishes::Wishes;
use session::{lending, welcome};
use std::sync::Arc;
use wire::from_server::BackendKeyData;
use wire::startup::Replication;
use wire::{CancelKey, ProtocolVersion};

/// A client that is in.
pub(super) enum In<'a> {
    /// With a server connection of its own.
    Linked(Linked<'a>),
    /// It shares server connections.
    Member(Member<'a>),
    /// It is in the console.
    Guest(Guest),
}

impl<'a> Life<'a> {
    /// Leases a server, logs in to it as this client, and welcomes the client.
    pub(super) async fn link(
        &self,
        (port, shown): (&mut Port, &Arc<Client>),
        newcomer: &Newcomer,
        mut entered: Entered,
        client_leg: LegFacts,
    ) -> Result<In<'a>, Fault> {
        let Some(database) = self.setup.database(&newcomer.database) else {
            let name = newcomer.database.clone();
            return Err(Fault::new(
                Side::Client,
                FaultKind::UnknownDatabase { name },
            ));
        };
        if self.context.console.holds.is_disabled(&newcomer.database) {
            let name = newcomer.database.clone();
            return Err(Fault::new(Side::Proxy, FaultKind::Disabled { name }));
        }
        let (role, credential) = self.credential(database, &newcomer.user, &mut entered);
        let name = database.dbname.as_deref().unwrap_or(&newcomer.database);
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
        let wishes = lending::Wanted {
            owner: self.number,
            want: Arc::clone(&base),
            base,
        };
        let may_rest = newcomer.replication == Replication::No && !database.rest.lifetime.is_zero();
        let key = match may_rest || shares {
            true => Some(Key::of(&startup, shares, &self.context.key_secret)?),
            false => None,
        };
        let wanted = Wanted {
            // Whom the server itself has to judge is not let in by a connection of before.
            key: key.filter(|_| matches!(entered, Entered::Proved(_))),
            group: self.context.group_of(role.name()),
            group_max: rules.size.filter(|_| shares),
            home: self.home,
        };
        let login = ServerLogin {
            user: &role,
            credential: credential.clone(),
            startup: &startup,
        };
        let (lease, mut server, mut welcome) = self.server(shown, database, wanted, login).await?;
        let proved = match entered {
            Entered::Proved(proved) => proved,
            Entered::Claims(claim) => {
                let accepted = claim.accepted(&server.accepted);
                accepted.map_err(|refusal| refused(&refusal))?
            }
        };
        if shares {
            let limit = database.connect_timeout;
            let tried = tokio::time::timeout(limit, server.try_on(&wishes)).await;
            tried.unwrap_or_else(|_| Err(timed_out()))?;
            welcome.0.clear();
            lend::give_back_plain(&mut welcome.0);
            welcome = server.welcome()?;
        }
        let last = proved.last.as_ref().map(auth::AuthRequest::body);
        let issued = match shares {
            true => self.issue_for_any(newcomer.version)?,
            false => self.issue(&server, newcomer.version)?,
        };
        let cancel_key = issued.as_ref().map(|issued| issued.key().clone());
        // The welcome lies in a lent buffer of the same size as the output; what the server sent
        // must leave room for our own messages around it.
        full(welcome::put(
            last.as_deref(),
            &welcome,
            cancel_key.as_ref(),
            port.room(),
        ))?;
        welcome.0.clear();
        lend::give_back_plain(&mut welcome.0);
        port.hibernate();
        server.port.hibernate();
        let started = match shares {
            true => Started::sharing,
            false => Started::new,
        };
        let log = started(self.peer, newcomer, &proved, &client_leg, &server);
        if self.setup.log.connections {
            log::started(&log);
        }
        let next = key.map(|key| Next {
            key,
            lifetime: database.rest.lifetime,
        });
        let held = Held {
            server,
            lease,
            next,
        };
        let (key, issued) = match (shares, key, issued) {
            (true, Some(key), Some(issued)) => (key, issued),
            (_, _, issued) => {
                let shown = Arc::clone(shown);
                return Ok(In::Linked(Linked {
                    held,
                    issued,
                    shown,
                    log,
                }));
            }
        };
        let key_secret = &self.context.key_secret;
        let dialect = lending::dialect(&wishes, &held.server.server, key_secret);
        self.give_back(held);
        shown.unlinked();
        Ok(In::Member(Member {
            place: self
                .context
                .exchange
                .place(database, self.setup.timeouts.query_wait),
            wanted: Wanted {
                key: Some(key),
                ..wanted
            },
            key,
            rules: rules.clone(),
            dialect,
            wishes,
            way: Way {
                database: newcomer.database.clone(),
                role,
                credential,
                startup,
            },
            issued,
            shown: Arc::clone(shown),
            log,
        }))
    }

    /// A connection that rested, or a new one.
    async fn server(
        &self,
        shown: &Client,
        database: &Database,
        wanted: Wanted<Key>,
        login: ServerLogin<'_>,
    ) -> Result<(Leased<Box<ServerSide>>, Box<ServerSide>, Welcome), Fault> {
        let patience = self.setup.timeouts.query_wait;
        let counters = &self.context.counters.server;
        let limit = database.connect_timeout;
        let place = self.context.exchange.place(database, patience);
        shown.waits(self.context.console.now_us());
        let lent = place.lease(wanted, patience).await?;
        shown.called(self.context.console.now_us());
        let lease = match lent {
            Lent::Fresh(lease) => lease,
            Lent::Rested(lease, rested) => {
                let woken = rested.wake(self.home, database.rest.check_after);
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
        let dialling = dial(&database.hosts, &database.tcp, &self.context.deriver, login);
        let dialled = tokio::time::timeout(limit, dialling).await;
        let dialled = dialled.unwrap_or_else(|_| Err(timed_out()))?;
        counters.dialled.add(1);
        let (server, welcome) = ServerSide::new(dialled, &database.tcp, self.home);
        self.context.console.register_server(shown, &server);
        shown.linked(&server.server.traffic);
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
    ) -> Result<Option<Issued<'a>>, Fault> {
        let Some(target) = &server.target else {
            return Ok(None);
        };
        let pid = server.server.key.as_ref().map_or(0, |key| key.pid);
        let aim = Arc::<Aim>::default();
        aim.take(target);
        Ok(self
            .issued(pid, version)?
            .map(|key| self.context.cancels.issue(key, aim)))
    }

    /// The cancel key of a client that shares server connections: for whichever works for it.
    fn issue_for_any(&self, version: ProtocolVersion) -> Result<Option<Issued<'a>>, Fault> {
        let pid = u32::from_be_bytes(chance::bytes()?) & 0x7fff_ffff;
        let issued = self.issued(pid, version)?;
        Ok(issued.map(|key| self.context.cancels.issue(key, Arc::default())))
    }

    /// A new cancel key under this process id.
    fn issued(&self, pid: u32, version: ProtocolVersion) -> Result<Option<BackendKeyData>, Fault> {
        let secret: [u8; 32] = chance::bytes()?;
        let len = if version >= ProtocolVersion::V3_2 {
            32
        } else {
            4
        };
        Ok(CancelKey::new(&secret[..len]).map(|key| BackendKeyData { pid, key }))
    }
}

/// A server that could not be reached in time.
pub(super) fn timed_out() -> Fault {
    Fault::new(
        Side::Server,
        FaultKind::Timeout {
            setting: "server_connect_timeout",
            phase: "connecting to the server",
        },
    )
}
