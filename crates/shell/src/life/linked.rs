//! Owns a client's life from its first ReadyForQuery on: relay, farewell, and whether the server
//! connection may serve the next client.

use super::link::Counts;
use super::{Life, unboxed};
use crate::bell::Bells;
use crate::cancel::Issued;
use crate::chance;
use crate::client::{ClientSide, Ending, Keeps, Upstream};
use crate::console;
use crate::control::Phase;
use crate::exchange::Leased;
use crate::inspection::{Tracker, Wishes};
use crate::keeper::Keeper;
use crate::log::{self, Begun};
use crate::port::Port;
use crate::pump::Pump;
use crate::ready::Present;
use crate::rest::{Key, ServerSide};
use crate::stopwatch::Stopwatch;
use crate::watch::Watch;
use session::fault::{Fault, FaultKind, Side};
use session::{ClientStream, farewell};
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a server may take to act on the first cancel; twice as long on each further one.
const FIRST_PATIENCE: Duration = Duration::from_millis(50);

/// A client that is in, and the server it got.
pub(super) struct Linked<'a> {
    /// Holds the place in the pool, and the cancel key, until the end.
    pub(super) held: Held,
    pub(super) issued: Option<Issued<'a>>,
    /// Its places in the counts, until it leaves.
    pub(super) counted: Counts<'a>,
    pub(super) present: Option<Box<Present<'a>>>,
    /// What the console shows of the client.
    pub(super) shown: Arc<console::Client>,
    pub(super) log: Begun,
}

/// What decides about a connection's next client.
#[derive(Clone, Copy)]
pub(super) struct Next {
    /// What it must have in common with this one.
    pub(super) key: Key,
    /// How old it may become.
    pub(super) lifetime: Duration,
}

/// A server connection in a client's hands.
pub(super) struct Held {
    pub(super) server: Box<ServerSide>,
    pub(super) lease: Leased<Box<ServerSide>>,
    /// `None` if the connection is to serve this client alone.
    pub(super) next: Option<Next>,
}

impl Held {
    /// True if nothing speaks against its serving another client once it is reset.
    pub(super) fn may_serve_another(&self, now: Instant) -> bool {
        self.server.server.may_be_reset()
            && self.server.port.is_quiet()
            && !self.server.port.engine().is_worn()
            && self
                .next
                .is_some_and(|it| now.saturating_duration_since(self.server.born) < it.lifetime)
    }
}

/// The end of a session.
pub(super) struct End<'a> {
    pub(super) ending: Ending,
    pub(super) log: Begun,
    pub(super) issued: Option<Issued<'a>>,
    /// What the console shows of the client.
    pub(super) shown: Arc<console::Client>,
}

impl<'a> Life<'a> {
    /// Moves bytes until the session ends, then says goodbye to both sides.
    #[expect(
        clippy::manual_async_fn,
        reason = "the arguments of an `async fn` are kept twice: as they came and as it uses them"
    )]
    pub(super) fn relay(
        &self,
        mut client: Box<ClientSide>,
        linked: Box<Linked<'a>>,
    ) -> impl Future<Output = ()> + Send {
        async move {
            let Linked {
                mut held,
                issued,
                counted: _counted,
                present: _present,
                shown,
                log,
            } = unboxed(linked);
            match self.governed_alone(&shown) {
                Some(stream) => {
                    let inspection = client.tracker.as_ref().map(|it| it.inspection());
                    client.stream = stream;
                    if let Some(inspection) = inspection {
                        client.stream.inspect(inspection);
                    }
                    client.stream.link(&mut held.server.server);
                    let sleeper = client.watch.sleeper();
                    let aim = issued.as_ref().map(|it| Arc::clone(it.aim()));
                    let aim = aim.map(|aim| (aim, Arc::clone(sleeper)));
                    client.hold = Some(self.hold(aim));
                }
                None => client.stream.watch(&mut held.server.server),
            }
            let ending = poll_fn(|cx| {
                let (client, server) = (&mut *client, &mut *held.server);
                Pump { client, server }.poll(cx)
            });
            let ending = ending.await;
            let end = End {
                ending,
                log,
                issued,
                shown,
            };
            Box::pin(self.unlink(client, held, end)).await;
        }
    }

    /// The end of a session with a server connection of its own.
    async fn unlink(&self, mut client: Box<ClientSide>, mut held: Held, end: End<'_>) {
        if client.untrack(&mut held.server).await {
            held.next = None;
        }
        end.shown.unlinked();
        self.finish(unboxed(client), Some(held), end).await;
    }

    /// Says goodbye to both sides, where the server may be none.
    pub(super) async fn finish(&self, client: ClientSide, held: Option<Held>, end: End<'_>) {
        let End {
            ending,
            log,
            issued,
            shown,
        } = end;
        let ClientSide {
            port: mut client,
            mut stream,
            mut keeper,
            ..
        } = client;
        if let Ending::Fault(fault) = &ending {
            self.context.console.faults.note(fault);
        }
        if self.setup.log.disconnections {
            let server = held.as_ref().map(|it| &it.server.port);
            log::ended((&self.peer, &shown), &log, &ending, (&client, server));
        }
        keeper.account(&mut client);
        let between_frames = held
            .as_ref()
            .is_none_or(|it| it.server.server.between_frames());
        if let Ending::Fault(fault) = &ending
            && between_frames
        {
            farewell::put(fault, client.room());
        }
        let close = self.setup.timeouts.close;
        let client = Box::pin(tokio::time::timeout(close, client.close()));
        let Some(mut held) = held else {
            let _ = client.await;
            return;
        };
        keeper.account(&mut held.server.port);
        // Its session ended as sessions should: the connection may serve the next client.
        let in_order = matches!(ending, Ending::Terminated | Ending::ClientGone { .. })
            && stream.between_frames()
            && held.may_serve_another(Instant::now())
            && self.control.phase() == Phase::Running;
        if in_order {
            let server = Box::pin(self.bring_to_rest(held, issued));
            let _ = tokio::join!(client, server);
            return;
        }
        let left_behind = matches!(ending, Ending::ClientGone { .. })
            && stream.between_frames()
            && held.server.server.ledger.ends_by_itself()
            && held.next.is_some()
            && self.control.phase() == Phase::Running;
        if left_behind {
            let server = Box::pin(self.salvage(held, stream, issued));
            let _ = tokio::join!(client, server);
            return;
        }
        let Held {
            mut server, lease, ..
        } = held;
        if server.server.traffic.is_cut() {
            // It is not the server that this was meant for. The network may hide it now and show it again later: it
            // must not be told then what was meant for a primary.
            server.port.break_off();
            drop(lease);
            let _ = client.await;
            return;
        }
        // A server in the middle of a message, or one whose client broke off a copy, is cut: what
        // it got of the session must not look complete.
        if stream.between_frames() && !matches!(&ending, Ending::Fault(f) if f.side == Side::Server)
        {
            let _ = server.port.room().push(farewell::TERMINATE);
        }
        let overdue = matches!(
            &ending,
            Ending::Fault(Fault {
                kind: FaultKind::Timeout {
                    setting: "query_timeout",
                    ..
                },
                ..
            })
        );
        // What nobody waits for any more must not go on beside the pool's limit. After a Terminate it may:
        // the client has seen to it that it is done.
        let vanished = match &ending {
            Ending::ClientGone { .. } => true,
            Ending::Fault(fault) => fault.side == Side::Client,
            _ => false,
        };
        let shares = stream.shares();
        let abandoned = vanished && shares && !server.server.ledger.is_settled();
        let server = Box::pin(async {
            if overdue || abandoned {
                let limit = self.setup.timeouts.cancel;
                let stopped = self.stop(&mut server, &mut stream, issued.as_ref());
                let _ = tokio::time::timeout(limit, stopped).await;
            }
            let _ = tokio::time::timeout(close, server.port.close()).await;
            // The place is free once the server is gone, however long the client lingers.
            drop(lease);
        });
        let _ = tokio::join!(client, server);
    }

    /// The client, from its first ReadyForQuery on.
    pub(super) fn client_side(
        &self,
        port: Port,
        shown: &Arc<console::Client>,
        number: u64,
    ) -> Box<ClientSide> {
        let tracker = self.tracker(shown);
        let mut stream = ClientStream::new(self.setup.limits.pipeline_max);
        if let Some(tracker) = &tracker {
            stream.inspect(tracker.inspection());
        }
        Box::new(ClientSide {
            tracker,
            hold: None,
            port,
            stream,
            watch: Watch::new(
                Arc::clone(self.control),
                number,
                *self.setup.timeouts.of(&shown.facts.user),
            ),
            upstream: Upstream::Open,
            bells: Bells::default(),
            keeps: Keeps::ForGood,
            stopwatch: self.stopwatch(shown),
            keeper: Keeper::new(
                Arc::clone(self.control),
                Arc::clone(&self.context.counters),
                self.setup.tls12_limit,
            ),
        })
    }

    /// Who follows the client's statements, if they are looked at.
    fn tracker(&self, shown: &Arc<console::Client>) -> Option<Box<Tracker>> {
        let rules = self.setup.inspection.as_ref()?;
        let (context, home) = (self.context, self.home);
        let worker = context.inspections.of(home, context.patterns_key(), rules);
        let (log, spans) = (rules.log.as_ref(), rules.spans.as_ref());
        // Without chance of its own a client's sample begins where another's does.
        let seed = || chance::bytes().map_or(shown.number, u64::from_le_bytes);
        let has_either = log.is_some() || spans.is_some();
        let wishes = Wishes {
            log,
            spans,
            seed: if has_either { seed() } else { 0 },
        };
        Some(Box::new(Tracker::new(worker, Arc::clone(shown), wishes)))
    }

    /// A stopwatch for a client that may have had a server connection for its welcome.
    fn stopwatch(&self, shown: &console::Client) -> Stopwatch {
        let times = self.context.console.times(shown, self.home);
        let (lent, waited_us) = shown.lent();
        if lent > 0 {
            times.wait.note(waited_us);
        }
        Stopwatch::new(times)
    }

    /// Stops what a client left behind that vanished in the middle of its requests, so that the
    /// connection is not wasted; closes it where that takes long.
    async fn salvage(&self, mut held: Held, mut stream: ClientStream, issued: Option<Issued<'_>>) {
        let timeouts = &self.setup.timeouts;
        let stopped = self.stop(&mut held.server, &mut stream, issued.as_ref());
        match tokio::time::timeout(timeouts.cancel, stopped).await {
            Ok(Ok(())) if held.may_serve_another(Instant::now()) => {
                self.context.counters.server.salvaged.add(1);
                self.bring_to_rest(held, issued).await;
            }
            _ => {
                let _ = tokio::time::timeout(timeouts.close, held.server.port.close()).await;
                drop(held.lease);
            }
        }
    }

    /// Resets a connection and lets it rest, or closes it.
    async fn bring_to_rest(&self, held: Held, issued: Option<Issued<'_>>) {
        let Held {
            mut server,
            lease,
            next,
        } = held;
        let limit = self.setup.timeouts.close;
        // From here on no cancel can be meant for this connection; one on its way would hit whoever
        // has it next.
        if let Some(issued) = &issued {
            issued.aim().leave();
        }
        let untouched = !server.target.as_ref().is_some_and(|it| it.is_aimed_at());
        let reset = tokio::time::timeout(limit, server.reset()).await;
        match (reset, next) {
            (Ok(Ok(())), Some(Next { key, lifetime })) if untouched => {
                server.port.hibernate();
                let now = Instant::now();
                server.rest(now, lifetime);
                let home = server.home;
                for over in lease.keep((key, home), server, now) {
                    let _ = tokio::time::timeout(limit, over.close()).await;
                }
            }
            (Ok(Ok(())), _) => {
                let _ = tokio::time::timeout(limit, server.close()).await;
            }
            (Ok(Err(fault)), _) => {
                self.context.counters.server.resets_failed.add(1);
                log::reset_failed(&self.peer, &fault);
            }
            (Err(_), _) => self.context.counters.server.resets_failed.add(1),
        }
    }

    /// Has a server stop what it does, which doesn't notice that its client is gone, and takes in what it
    /// still says; the caller holds the deadline. A cancel that comes before the server has read the
    /// request is lost, so it is sent again for as long as the server works.
    async fn stop(
        &self,
        server: &mut ServerSide,
        stream: &mut ClientStream,
        issued: Option<&Issued<'_>>,
    ) -> Result<(), Fault> {
        let mut patience = FIRST_PATIENCE;
        let deadline = self.setup.timeouts.cancel;
        loop {
            if let Some(issued) = issued {
                match self.context.cancels.stop(issued, deadline).await {
                    Ok(()) => log::cancelled(&self.peer),
                    Err(fault) => log::cancel_failed(&self.peer, &fault),
                }
            }
            match tokio::time::timeout(patience, server.drain(stream)).await {
                Ok(drained) => return drained,
                Err(_) => patience = 2 * patience,
            }
        }
    }
}
