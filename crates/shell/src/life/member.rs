//! Owns the life of a client that shares server connections with others (pool_mode = "transaction" or
//! "statement"): it is alone until it asks for something, gets a connection for one transaction, and
//! gives it back.

use super::acquire::Lending;
use super::link::Counts;
use super::linked::{End, Held, Next};
use super::lookers::Lookers;
use super::waiting::{Meanwhile, Waiting};
use super::{Life, unboxed};
use crate::alone::Alone;
use crate::cancel::Issued;
use crate::client::{ClientSide, Ending, Keeps};
use crate::console;
use crate::control::Phase;
use crate::exchange::Place;
use crate::log::Begun;
use crate::pump::Pump;
use crate::ready::{Present, Way};
use crate::rest::{Key, ServerSide};
use crate::setup::{PoolMode, PoolRules, RestRules};
use session::ClientStream;
use session::farewell::Farewell;
use session::fault::{Fault, FaultKind, Side};
use session::lending::{self, Asked, Keep, Wanted};
use session::relay;
use session::statements::{Dialect, Mode, Pooled};
use sql::Effects;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;
use wire::{Report, Severity, Sqlstate};

/// A client that is in, and how it gets server connections.
pub(super) struct Member<'a> {
    pub(super) place: Arc<Place<Box<ServerSide>>>,
    pub(super) wanted: pool::Wanted<Key>,
    pub(super) rules: &'a PoolRules,
    /// How long its server connections may rest.
    pub(super) rest: &'a RestRules,
    pub(super) wishes: Wanted,
    pub(super) dialect: Dialect,
    pub(super) way: Arc<Way>,
    pub(super) issued: Issued<'a>,
    /// Its places in the counts, until it leaves.
    #[expect(dead_code, reason = "that they end with the client is their use")]
    pub(super) counted: Counts<'a>,
    /// Likewise, in its pool.
    #[expect(dead_code, reason = "that it ends with the client is its use")]
    pub(super) present: Option<Box<Present<'a>>>,
    /// What the console shows of it.
    pub(super) shown: Arc<console::Client>,
    pub(super) log: Begun,
}

impl Member<'_> {
    /// The connection that was acquired, as the client's; else how its session ended, which it didn't if only this
    /// request came to nothing.
    fn holds(
        &self,
        acquired: Result<Lending, Ending>,
        client: &mut ClientSide,
    ) -> Result<Held, Option<Ending>> {
        let (lease, server) = match acquired {
            Ok(lent) => lent,
            Err(Ending::Fault(fault)) if refused(&fault, client) => return Err(None),
            Err(ending) => return Err(Some(ending)),
        };
        self.shown.linked(&server.server.traffic);
        let lifetime = self.rest.lifetime;
        let next = self.wanted.key.map(|key| Next { key, lifetime });
        Ok(Held {
            server,
            lease,
            next,
        })
    }
}

impl<'a> Life<'a> {
    /// Lends server connections to the client until its session ends, then says goodbye.
    pub(super) async fn share(
        &self,
        mut client: Box<ClientSide>,
        mut shared: Box<(Member<'a>, Lookers)>,
    ) {
        let (member, lookers) = &mut *shared;
        client.stream = self.stream(member, lookers);
        if client.stream.governor().is_some() {
            let aim = Arc::clone(member.issued.aim());
            let sleeper = Arc::clone(client.watch.sleeper());
            client.hold = Some(self.hold(Some((aim, sleeper))));
        }
        if let Some(tracker) = &client.tracker {
            client.stream.inspect(tracker.inspection());
        }
        let (ending, held) = loop {
            match poll_fn(|cx| client.poll_alone(cx)).await {
                Alone::Request => {}
                Alone::End(ending) => break (ending, None),
            }
            if client.is_held()
                && let Err(ending) = Box::pin(self.wait_apart(&shared.0, &mut client)).await
            {
                break (ending, None);
            }
            if let Some(end) = self.transact(&mut shared, &mut client).await {
                break end;
            }
        };
        let Member {
            issued, log, shown, ..
        } = unboxed(shared).0;
        let end = End {
            ending,
            log,
            issued: Some(issued),
            shown,
        };
        Box::pin(self.finish(unboxed(client), held, end)).await;
    }

    /// Has the client's request carried out by a server connection, which goes back then. How its session ended, if
    /// it did, and the connection that it has not let go of.
    async fn transact(
        &self,
        shared: &mut (Member<'a>, Lookers),
        client: &mut ClientSide,
    ) -> Option<(Ending, Option<Held>)> {
        let (member, lookers) = shared;
        let mirrors = self.context.mirrors.version();
        lookers.renew(client, mirrors, || self.mirrored(&member.way));
        lookers.look(client, &member.wishes.want);
        let acquired = if let Some(fault) = client.unlogged() {
            Err(Ending::Fault(fault))
        } else {
            let follows = lookers.follows.as_deref_mut();
            self.acquire((member, follows), client).await
        };
        let mut held = match member.holds(acquired, client) {
            Ok(held) => held,
            Err(None) => {
                lookers.forget();
                return None;
            }
            Err(Some(ending)) => return Some((ending, None)),
        };
        let ending = self.round(member, client, &mut held).await;
        if client.untrack(&mut held.server).await {
            held.next = None;
        }
        if let Some(pooled) = client.stream.statements() {
            member.shown.holds(pooled.names());
        }
        member.shown.unlinked();
        if !matches!(ending, Ending::Parted) {
            return Some((ending, Some(held)));
        }
        member.issued.aim().leave();
        let rounds = held.server.server.rounds;
        self.give_back(held, client.stopwatch.last());
        lookers.answered(client, rounds, || self.context.born.elapsed());
        None
    }

    fn stream(&self, member: &Member<'_>, lookers: &Lookers) -> ClientStream {
        let mode = match member.rules.mode {
            PoolMode::Statement => Mode::Statement,
            PoolMode::Session | PoolMode::Transaction => Mode::Transaction,
        };
        let interner = self.control.statements.clone();
        let mut pooled = Pooled::new(interner, self.setup.sharing.statements, mode);
        pooled.set_dialect(member.dialect);
        pooled.set_pin_rule(self.setup.sharing.pinning);
        if let Some(governor) = self.governor(&member.shown) {
            pooled.govern(governor);
        }
        if lookers.leads() {
            pooled.take_turns();
        }
        ClientStream::pooled(self.setup.limits.pipeline_max, pooled)
    }

    /// One transaction, or, once the client is pinned, the rest of its session.
    async fn round(
        &self,
        member: &mut Member<'a>,
        client: &mut ClientSide,
        held: &mut Held,
    ) -> Ending {
        let Held { server, lease, .. } = held;
        let sharing = &self.setup.sharing;
        let parties = (&member.wishes, &mut client.stream);
        let lent = lending::lend(
            &mut server.server,
            parties,
            sharing.reset,
            server.port.room(),
        );
        match lent {
            Ok(false) => {}
            Ok(true) => {
                let limit = self.setup.timeouts.close;
                match Box::pin(tokio::time::timeout(limit, server.settle())).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return not_restored(),
                }
            }
            Err(_) => return not_restored(),
        }
        if let Some(target) = &server.target {
            member.issued.aim().take(target);
        }
        client.keeps = Keeps::Round {
            since: server.server.rounds,
        };
        client.bells.server.renew();
        // Not by a variable: it would keep its room across all that follows.
        match pump(client, server).await {
            Ending::Parted => {}
            ending => return ending,
        }
        let effects = match lending::part(&mut server.server, sharing.pinning) {
            Keep::No => return Ending::Parted,
            Keep::AskFirst => match Box::pin(self.ask(member, client, server)).await {
                Asked::Known => return Ending::Parted,
                Asked::Unknown => Effects::SET,
            },
            Keep::Pinned(effects) => effects,
        };
        let Some(_pin) = lease.pin(member.rules.pinned_max) else {
            let setting = "max_pinned";
            let limit = member.rules.pinned_max as u64;
            let kind = FaultKind::Limit { setting, limit };
            return Ending::Fault(Fault::new(Side::Proxy, kind));
        };
        self.context.counters.server.pinned.add(1);
        tell_of_the_pin(client, effects);
        client.keeps = Keeps::Pinned;
        loop {
            if server.server.lease.sets() {
                // What it reset leads back to what it began with, here as elsewhere.
                Box::pin(self.ask(member, client, server)).await;
            }
            // A question of ours took the server's unnamed statement away: all is looked at anew.
            client.stream.link(&mut server.server);
            match pump(client, server).await {
                Ending::Parted => {}
                ending => return ending,
            }
        }
    }

    /// What became of the session's parameters, for good and for this server connection.
    async fn ask(
        &self,
        member: &mut Member<'a>,
        client: &mut ClientSide,
        server: &mut ServerSide,
    ) -> Asked {
        let limit = self.setup.timeouts.close;
        // The client has its answer already; it is not to wait for this one.
        let _ = poll_fn(|cx| Poll::Ready(client.port.poll_send(cx))).await;
        let mut restored = false;
        let asked = tokio::time::timeout(limit, async {
            let asked = server.ask(&mut member.wishes).await?;
            if let Asked::Known = asked {
                restored = server.restore(&member.wishes).await?;
            }
            Ok::<_, Fault>(asked)
        });
        let asked = asked.await;
        // The server told the client of its own values when it reset them.
        if restored {
            let _ = server.server.reported.put(client.port.room());
        }
        let key = &self.context.key_secret;
        member.dialect = lending::dialect(&member.wishes, &server.server, key);
        if let Some(pooled) = client.stream.statements() {
            pooled.set_dialect(member.dialect);
        }
        match asked {
            Ok(Ok(asked)) => asked,
            // The connection is in doubt, and closes with the session that it holds.
            Ok(Err(_)) | Err(_) => Asked::Unknown,
        }
    }

    /// Lets a connection rest whose client's transaction is over, at `now`.
    pub(super) fn give_back(&self, held: Held, now: Instant) {
        let usable = held.may_serve_another(now) && self.control.phase() == Phase::Running;
        let aimed_at = held
            .server
            .target
            .as_ref()
            .filter(|it| it.is_aimed_at())
            .map(Arc::clone);
        let limit = self.setup.timeouts.close;
        match aimed_at {
            None if usable => {
                for over in rest(held, now) {
                    tokio::spawn(tokio::time::timeout(limit, over.close()));
                }
            }
            // A cancel is on its way: it must not hit whoever has the connection next.
            Some(target) if usable => {
                let patience = self.setup.timeouts.cancel;
                tokio::spawn(async move {
                    let mut held = held;
                    let settled = async {
                        target.settled().await;
                        held.server.check().await.is_ok()
                    };
                    let settled = tokio::time::timeout(patience, settled).await;
                    let over = match settled {
                        Ok(true) => rest(held, Instant::now()),
                        Ok(false) | Err(_) => vec![held.server],
                    };
                    for over in over {
                        let _ = tokio::time::timeout(limit, over.close()).await;
                    }
                });
            }
            _ => {
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(limit, held.server.close()).await;
                    drop(held.lease);
                });
            }
        }
    }

    /// Waits until rules let the client's next statement go, without a server connection. Meanwhile the client may
    /// leave, cancel, or have to go.
    async fn wait_apart(&self, member: &Member<'a>, client: &mut ClientSide) -> Result<(), Ending> {
        let mut waiting = Waiting::begin(member, client, self.control);
        let ended = poll_fn(|cx| {
            loop {
                if client.poll_held(cx).is_ready() {
                    return Poll::Ready(Ok(()));
                }
                match waiting.happened(cx, client) {
                    Meanwhile::Nothing | Meanwhile::Second => return Poll::Pending,
                    Meanwhile::Cancelled => client.cancel_held(),
                    Meanwhile::End(ending) => return Poll::Ready(Err(ending)),
                }
            }
        });
        let ended = ended.await;
        waiting.end(client);
        ended
    }
}

/// Tells a client that only this request comes to nothing, where that is so.
fn refused(fault: &Fault, client: &mut ClientSide) -> bool {
    let (FaultKind::Cancelled | FaultKind::Unlogged, Farewell::Fatal { sqlstate, message }) =
        (&fault.kind, fault.farewell())
    else {
        return false;
    };
    let error = Report::new(Severity::Error, Sqlstate::new(sqlstate), &message);
    client.port.room();
    relay::refuse(
        &mut client.port.plain_in,
        &error,
        &mut client.port.plain_out,
    )
}

/// Ends a lease at `now`; the connections that are to be closed for it.
#[expect(
    clippy::vec_box,
    reason = "they are boxed already, and move as they are"
)]
fn rest(held: Held, now: Instant) -> Vec<Box<ServerSide>> {
    let Held {
        mut server,
        lease,
        next,
    } = held;
    let Some(Next { key, lifetime }) = next else {
        return vec![server];
    };
    server.rest(now, lifetime);
    let home = server.home;
    lease.keep((key, home), server, now)
}

async fn pump(client: &mut ClientSide, server: &mut ServerSide) -> Ending {
    poll_fn(|cx| Pump { client, server }.poll(cx)).await
}

fn not_restored() -> Ending {
    Ending::Fault(Fault::new(Side::Server, FaultKind::NotRestored))
}

fn tell_of_the_pin(client: &mut ClientSide, effects: Effects) {
    let text = format!(
        "this session keeps its server connection from now on, for what only that one has: \
         {effects:?} (pinning)"
    );
    let report = Report::new(Severity::Notice, Sqlstate::new("00000"), &text);
    let _ = report.encode_notice(client.port.room());
}
