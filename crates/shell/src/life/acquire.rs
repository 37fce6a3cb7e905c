//! Owns how a client that shares server connections gets one for its next transaction: at once if one can be had as it
//! is, else by a detour: a turn to wait for, a connection to be woken, a new one.

use super::Life;
use super::follow::Follows;
use super::member::Member;
use super::waiting::{LOOK, Meanwhile, Waiting, cancelled};
use crate::client::{ClientSide, Ending};
use crate::clusters::{is_of_host, while_usable};
use crate::console::Whose;
use crate::dial::forget;
use crate::exchange::{Leased, Lent, Place, Turn};
use crate::log;
use crate::ready;
use crate::rest::ServerSide;
use crate::setup::Servers;
use session::fault::{Fault, FaultKind, Side};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;
use tokio::time::sleep_until;
use wire::{Report, Severity, Sqlstate};

/// A server connection, with its place in the pool.
pub(super) type Lending = (Leased<Box<ServerSide>>, Box<ServerSide>);

/// What a pool said to a client that asked it for a connection.
type Said = Result<Lent<Box<ServerSide>>, Turn<Box<ServerSide>>>;

/// A way to a server connection that is gone seldom, and takes more room than a session that sleeps should keep.
type Detour<'f> = Pin<Box<dyn Future<Output = Result<Lending, Ending>> + Send + 'f>>;

impl<'a> Life<'a> {
    /// A server connection for the client's next transaction, or how its session ended instead.
    pub(super) async fn acquire(
        &self,
        (member, follows): (&Member<'a>, Option<&mut Follows>),
        client: &mut ClientSide,
    ) -> Result<Lending, Ending> {
        let Some(follows) = follows else {
            return self.acquire_at(member, &member.place, client).await;
        };
        let picked = match follows.known_place(&member.place) {
            Ok(place) => match self.acquire_at(member, &place, client).await {
                Err(Ending::Fault(fault)) if is_of_host(&fault) => None,
                acquired => return acquired,
            },
            Err(picked) => picked,
        };
        Box::pin(self.acquire_by_wish(member, (follows, picked), client)).await
    }

    /// The same from one pool.
    pub(super) async fn acquire_at(
        &self,
        member: &Member<'a>,
        place: &Arc<Place<Box<ServerSide>>>,
        client: &mut ClientSide,
    ) -> Result<Lending, Ending> {
        let asked = Instant::now();
        let said = place.ask(member.wanted, asked);
        let detour = match self.at_once(member, said, asked) {
            Ok(lent) => {
                client.lent(asked, asked);
                return Ok(lent);
            }
            Err(said) => self.detour(member, client, (said, asked)),
        };
        detour.await
    }

    /// A connection that can be had at `now` as it is; else what the pool said.
    fn at_once(&self, member: &Member<'a>, said: Said, now: Instant) -> Result<Lending, Said> {
        match said {
            Ok(Lent::Rested(lease, mut server)) => {
                match server.is_ready(self.home, member.rest.check_after, now) {
                    true => Ok((lease, server)),
                    false => Err(Ok(Lent::Rested(lease, server))),
                }
            }
            said => Err(said),
        }
    }

    /// To a connection that can't be had at once.
    fn detour<'f>(
        &'f self,
        member: &'f Member<'a>,
        client: &'f mut ClientSide,
        (said, asked): (Said, Instant),
    ) -> Detour<'f> {
        match said {
            Ok(Lent::Rested(lease, server)) => {
                let rested = (lease, server);
                Box::pin(self.wake_or_dial(member, client, (rested, asked)))
            }
            Ok(Lent::Fresh(lease)) => Box::pin(self.dial_for(member, client, (lease, asked))),
            Err(turn) => Box::pin(self.take_turn(member, client, (turn, asked))),
        }
    }

    /// Waits for a turn, and then takes what it gives.
    async fn take_turn(
        &self,
        member: &Member<'a>,
        client: &mut ClientSide,
        (turn, asked): (Turn<Box<ServerSide>>, Instant),
    ) -> Result<Lending, Ending> {
        member.shown.waits(member.shown.at_us(asked));
        client.watch.waits(true);
        let waited = self.wait(member, client, (turn, asked)).await;
        client.watch.waits(false);
        member.shown.called();
        if waited.is_err() {
            member.shown.unlinked();
        }
        let now = Instant::now();
        let detour = match self.at_once(member, Ok(waited?), now) {
            Ok(lent) => {
                client.lent(asked, now);
                return Ok(lent);
            }
            Err(said) => self.detour(member, client, (said, asked)),
        };
        detour.await
    }

    async fn wake_or_dial(
        &self,
        member: &Member<'a>,
        client: &mut ClientSide,
        ((lease, server), asked): (Lending, Instant),
    ) -> Result<Lending, Ending> {
        let limit = self.setup.timeouts.close;
        let check_after = member.rest.check_after;
        let via = server.via.as_deref().cloned();
        let woken = while_usable(self.context, via, server.wake(self.home, check_after));
        let woken = tokio::time::timeout(limit, woken).await;
        match woken {
            Ok(Ok(server)) => {
                client.lent(asked, Instant::now());
                Ok((lease, server))
            }
            // It died at rest: nothing of this client's was sent to it.
            Ok(Err(_)) | Err(_) => {
                self.context.counters.server.died_at_rest.add(1);
                self.dial_for(member, client, (lease, asked)).await
            }
        }
    }

    /// A new connection by the setup in force, which may be another than when the client came.
    async fn dial_for(
        &self,
        member: &Member<'a>,
        client: &mut ClientSide,
        (mut lease, asked): (Leased<Box<ServerSide>>, Instant),
    ) -> Result<Lending, Ending> {
        member.shown.dials();
        let setup = self.context.live.snapshot();
        let way = &member.way;
        let Some(database) = setup.database(&way.database) else {
            let name = way.database.clone();
            let kind = FaultKind::UnknownDatabase { name };
            return Err(Ending::Fault(Fault::new(Side::Client, kind)));
        };
        loop {
            let patience = self.setup.timeouts.query_wait;
            let dialling = ready::dial(
                self.context,
                lease.place(),
                (database, way.login()),
                patience,
            );
            let (dialled, generation) = match &database.servers {
                Servers::Listed(_) => Box::pin(dialling).await.map_err(Ending::Fault)?,
                // There may be nobody to dial for long.
                Servers::Of(_) => {
                    let dialled = Box::pin(self.attend(member, client, dialling)).await?;
                    dialled.map_err(Ending::Fault)?
                }
            };
            lease.renew(generation);
            let (server, welcome) = ServerSide::new(dialled, &database.tcp, self.home);
            let whose = Whose::of(&member.shown);
            self.context.console.register_server(whose, &server);
            forget(welcome);
            if server.via.is_none() || !lease.is_past() {
                client.lent(asked, Instant::now());
                return Ok((lease, server));
            }
            // Another host leads since: this one was not asked for anything.
            let limit = self.setup.timeouts.close;
            tokio::spawn(tokio::time::timeout(limit, server.close()));
        }
    }

    /// Waits for a turn that was asked for at `since`. Meanwhile the client may leave, cancel, or have to go.
    async fn wait(
        &self,
        member: &Member<'a>,
        client: &mut ClientSide,
        (mut turn, since): (Turn<Box<ServerSide>>, Instant),
    ) -> Result<Lent<Box<ServerSide>>, Ending> {
        let timeouts = &self.setup.timeouts;
        let end = since.checked_add(timeouts.query_wait);
        let mut told = timeouts.query_wait_notify.is_zero();
        // Most waits are over before it is near, and need no timer.
        let alarm = |near: bool| match end {
            Some(end) if near => Some(Box::pin(sleep_until(end.into()))),
            _ => None,
        };
        let mut timer = alarm(timeouts.query_wait < 2 * LOOK);
        let mut waiting = Waiting::begin(member, client, self.control);
        let lent = poll_fn(|cx| {
            if let Poll::Ready(lent) = turn.poll(cx) {
                return Poll::Ready(Ok(lent));
            }
            match waiting.happened(cx, client) {
                Meanwhile::Nothing => {}
                Meanwhile::Cancelled => return Poll::Ready(Err(cancelled())),
                Meanwhile::End(ending) => return Poll::Ready(Err(ending)),
                Meanwhile::Second => {
                    let now = Instant::now();
                    let waited = now.saturating_duration_since(since);
                    let long = member.rules.reserve_after.is_some_and(|it| waited >= it);
                    if long && let Some(lease) = turn.reserve(member.rules.reserve) {
                        return Poll::Ready(Ok(Lent::Fresh(lease)));
                    }
                    if !told && waited >= timeouts.query_wait_notify {
                        told = true;
                        tell_of_the_wait(client);
                        let _ = client.port.poll_send(cx);
                    }
                    if timer.is_none() {
                        timer = alarm(end.is_some_and(|end| end < now + 2 * LOOK));
                    }
                }
            }
            let is_late = timer
                .as_mut()
                .is_some_and(|it| it.as_mut().poll(cx).is_ready());
            match is_late {
                true => Poll::Ready(Err(Ending::Fault(turn.too_long()))),
                false => Poll::Pending,
            }
        })
        .await;
        waiting.end(client);
        if lent.is_err() {
            self.context.counters.server.waits_failed.add(1);
            log::waited(&self.peer, since.elapsed());
        }
        lent
    }
}

fn tell_of_the_wait(client: &mut ClientSide) {
    let text =
        "all server connections of this pool are in use; waiting for one (query_wait_timeout)";
    let report = Report::new(Severity::Notice, Sqlstate::new("00000"), text);
    let _ = report.encode_notice(client.port.room());
}
