//! Owns a client's life from its first ReadyForQuery on: relay, farewell, and whether the server
//! connection may serve the next client.

use super::Life;
use crate::bell::Bells;
use crate::cancel::Issued;
use crate::control::{Control, Phase};
use crate::dial::Dialled;
use crate::exchange::Leased;
use crate::keeper::Keeper;
use crate::log::{self, Begun};
use crate::port::Port;
use crate::pump::{Ending, Pump, Upstream};
use crate::rest::{Kept, Key, Resting};
use crate::watch::{Deadlines, Watch};
use session::fault::{Fault, FaultKind, Side};
use session::{ClientStream, Server, farewell};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client that is in, and the server it got.
pub(super) struct Linked<'a> {
    pub(super) dialled: Dialled,
    /// Holds the place in the pool, and the cancel key, until the end.
    pub(super) lease: Leased<Resting>,
    /// `None` if the connection is to serve this client alone.
    pub(super) next: Option<Next>,
    pub(super) issued: Option<Issued<'a>>,
    pub(super) log: Begun,
}

/// What decides about a connection's next client.
#[derive(Clone, Copy)]
pub(super) struct Next {
    /// What it must have in common with this one.
    pub(super) key: Key,
    /// When the connection was made.
    pub(super) born: Instant,
    /// How old it may become.
    pub(super) lifetime: Duration,
}

/// A session: all that a client who is in costs, in one block.
pub(super) struct Seated<'a> {
    /// Moves the bytes.
    pub(super) pump: Pump,
    /// `None` if the connection is to serve this client alone.
    kept: Option<Box<Kept>>,
    lease: Leased<Resting>,
    next: Option<Next>,
    issued: Option<Issued<'a>>,
    log: Begun,
    control: Arc<Control>,
}

impl<'a> Life<'a> {
    /// The session of a client that is in.
    pub(super) fn seat(
        &self,
        client: Port,
        linked: Box<Linked<'a>>,
        control: Arc<Control>,
        number: u64,
    ) -> Box<Seated<'a>> {
        let Linked {
            dialled,
            lease,
            next,
            issued,
            log,
        } = *linked;
        let Dialled {
            port,
            server,
            accepted,
            leg,
            host,
            ..
        } = dialled;
        let timeouts = &self.setup.timeouts;
        let deadlines = Deadlines {
            idle: timeouts.client_idle,
            idle_transaction: timeouts.idle_transaction,
            query: timeouts.query,
        };
        Box::new(Seated {
            pump: Pump {
                client,
                server: port,
                stream: ClientStream::new(self.setup.limits.pipeline_max),
                link: server,
                watch: Watch::new(Arc::clone(&control), number, deadlines),
                upstream: Upstream::Open,
                bells: Bells::default(),
                keeper: Keeper::new(
                    Arc::clone(&control),
                    Arc::clone(&self.context.counters),
                    self.setup.tls12_limit,
                ),
            },
            kept: next.map(|Next { born, .. }| {
                Box::new(Kept {
                    accepted,
                    leg,
                    host,
                    born,
                })
            }),
            lease,
            next,
            issued,
            log,
            control,
        })
    }

    /// Says goodbye to both sides of a session that has ended.
    pub(super) async fn leave(&self, seated: Box<Seated<'a>>, ending: Ending) {
        let Seated {
            pump,
            kept,
            lease,
            next,
            issued,
            log,
            control,
        } = *seated;
        let timeouts = &self.setup.timeouts;
        if self.setup.log.disconnections {
            log::ended(self.peer, &log, &ending, (&pump.client, &pump.server));
        }
        let Pump {
            mut client,
            mut server,
            stream,
            link,
            mut keeper,
            ..
        } = pump;
        keeper.account(&mut client);
        keeper.account(&mut server);
        if let Ending::Fault(fault) = &ending
            && link.between_frames()
        {
            farewell::put(fault, client.room());
        }
        let close = timeouts.close;
        // Its session ended as sessions should: the connection may serve the next client.
        let in_order = matches!(ending, Ending::Terminated | Ending::ClientGone { .. })
            && stream.between_frames()
            && link.may_be_reset()
            && server.is_quiet()
            && !server.engine().is_worn()
            && control.phase() == Phase::Running;
        let next = next.filter(|it| in_order && it.born.elapsed() < it.lifetime);
        if let (Some(Next { key, .. }), Some(kept)) = (next, kept) {
            let client = Box::pin(tokio::time::timeout(close, client.close()));
            let server = Box::pin(self.bring_to_rest((server, link, *kept), lease, (key, issued)));
            let _ = tokio::join!(client, server);
            return;
        }
        // A server in the middle of a message, or one whose client broke off a copy, is cut: what
        // it got of the session must not look complete.
        if stream.between_frames() && !matches!(&ending, Ending::Fault(f) if f.side == Side::Server)
        {
            let _ = server.room().push(farewell::TERMINATE);
        }
        let client = Box::pin(tokio::time::timeout(close, client.close()));
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
        let server = Box::pin(async {
            if let (true, Some(issued)) = (overdue, &issued) {
                self.stop_query(issued).await;
            }
            let _ = tokio::time::timeout(close, server.close()).await;
            // The place is free once the server is gone, however long the client lingers.
            drop(lease);
        });
        let _ = tokio::join!(client, server);
    }

    /// Resets a connection and lets it rest, or closes it.
    async fn bring_to_rest(
        &self,
        (port, server, kept): (Port, Server, Kept),
        lease: Leased<Resting>,
        (key, issued): (Key, Option<Issued<'_>>),
    ) {
        let limit = self.setup.timeouts.close;
        // From here on no cancel can be meant for this connection; one on its way would hit whoever
        // has it next.
        let untouched = issued.is_none_or(Issued::retire);
        let reset = tokio::time::timeout(limit, Resting::after_reset(port, server, kept));
        match reset.await {
            Ok(Ok(rested)) if untouched => {
                for over in lease.keep(key, rested) {
                    let _ = tokio::time::timeout(limit, over.close()).await;
                }
            }
            Ok(Ok(rested)) => {
                let _ = tokio::time::timeout(limit, rested.close()).await;
            }
            Ok(Err(fault)) => {
                self.context.counters.server.resets_failed.add(1);
                log::reset_failed(self.peer, &fault);
            }
            Err(_) => self.context.counters.server.resets_failed.add(1),
        }
    }

    /// A server that works on a request doesn't notice that its connection is gone.
    async fn stop_query(&self, issued: &Issued<'_>) {
        let deadline = self.setup.timeouts.cancel;
        match self.context.cancels.stop(issued, deadline).await {
            Ok(()) => log::cancelled(self.peer),
            Err(fault) => log::cancel_failed(self.peer, &fault),
        }
    }
}
