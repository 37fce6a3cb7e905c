//! Owns how a serving process ends: by a signal, by an order of the console, or because another process
//! has taken over. SIGTERM waits for clients to leave, SIGINT lets sessions end with their transactions,
//! SIGQUIT cuts; whatever waits, a second signal cuts it.

use crate::metrics::Serving;
use crate::notify;
use crate::reload::{Keeper, Reloader};
use crate::takeover::{Desk, Elder, Heir, TakeoverFault, link_to_elder};
use shell::Proxy;
use shell::console::Shutdown;
use shell::inherit::Inherited;
use std::future::pending;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, interval, sleep_until};

/// How often it is looked whether clients have gone.
const LOOK: Duration = Duration::from_millis(20);

/// The signals that end the process, listened to from now on.
pub(crate) struct Signals {
    runtime: Runtime,
    stops: Stops,
}

struct Stops {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

/// A proxy that serves, and what there is beside it.
pub(crate) struct Running<'a> {
    proxy: &'a Proxy,
    /// Where it is taken over.
    desk: Option<Desk>,
    /// It says until the end that no client is taken any more, unless another process says what it does.
    web: Option<Serving>,
}

/// Why the process is to end.
enum Cause {
    /// Somebody wants it to.
    Told(Shutdown),
    /// Another one has taken over.
    TakenOver(Heir),
}

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> std::io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let stops = Stops {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        };
        drop(entered);
        Ok(Signals { runtime, stops })
    }

    /// Lets the proxy serve until told to stop, and ends its sessions in order.
    pub(crate) fn serve(mut self, proxy: &Proxy) {
        tracing::info!(addresses = ?proxy.addresses(), "ready");
        notify::ready();
        self.runtime.block_on(async {
            let how = self.stops.next().await;
            end(proxy, &mut self.stops, how).await;
        });
    }

    /// Begins to listen to SIGHUP, too, and to watch files.
    pub(crate) fn with_reloads(&self, reloader: Reloader) -> std::io::Result<Keeper> {
        let _inside = self.runtime.enter();
        Keeper::begin(reloader)
    }

    /// Begins to give sockets away at this path.
    pub(crate) fn give_at(
        &self,
        path: &Path,
        inherited: &mut Inherited,
    ) -> Result<Desk, TakeoverFault> {
        let _inside = self.runtime.enter();
        Desk::open(path, inherited)
    }

    /// Takes the place of the process that has given its sockets.
    pub(crate) fn take_over(
        &self,
        elder: Elder,
        running: &Running<'_>,
    ) -> Result<(), TakeoverFault> {
        let pid = elder.pid();
        let connection = elder.ready()?;
        running.proxy.claim_files(true);
        if let Some(desk) = &running.desk {
            desk.claim(true);
        }
        tracing::info!(target: "portcullis::takeover", pid, "took over");
        if let Some(stream) = connection {
            let requests = running.proxy.passed_back();
            self.runtime.spawn(link_to_elder(stream, requests));
        }
        Ok(())
    }

    /// As [`serve`](Self::serve), with what goes on beside it.
    pub(crate) fn serve_and_keep(mut self, running: &mut Running<'_>, mut keeper: Keeper) {
        tracing::info!(addresses = ?running.proxy.addresses(), "ready");
        notify::ready();
        notify::keep_alive(running.proxy);
        self.runtime.block_on(async {
            let cause = tokio::select! {
                how = self.stops.next() => Cause::Told(how),
                ordered = keeper.keep(running.proxy) => Cause::Told(ordered),
                heir = running.heir() => Cause::TakenOver(heir),
            };
            match cause {
                Cause::Told(how) => {
                    // Whoever would ask for the sockets now finds nobody, and makes its own.
                    running.desk = None;
                    end(running.proxy, &mut self.stops, how).await;
                }
                Cause::TakenOver(heir) => {
                    let patience = keeper.takeover_timeout();
                    running.leave(heir, &mut self.stops, patience).await;
                }
            }
        });
    }
}

impl Stops {
    /// The next wish to stop.
    async fn next(&mut self) -> Shutdown {
        tokio::select! {
            _ = self.terminate.recv() => Shutdown::WaitForClients,
            _ = self.interrupt.recv() => Shutdown::WaitForServers,
            _ = self.quit.recv() => Shutdown::Immediate,
        }
    }
}

impl<'a> Running<'a> {
    /// This proxy, with what there is beside it.
    pub(crate) fn new(proxy: &'a Proxy, desk: Option<Desk>, web: Option<Serving>) -> Running<'a> {
        Running { proxy, desk, web }
    }

    /// Ready when another process has taken over.
    async fn heir(&self) -> Heir {
        match &self.desk {
            Some(desk) => desk.heir(self.proxy, self.web.as_ref()).await,
            None => pending().await,
        }
    }

    /// Ends the sessions that began here, for which the heir passes cancel requests back.
    async fn leave(&mut self, heir: Heir, stops: &mut Stops, patience: Option<Duration>) {
        let proxy = self.proxy;
        proxy.close_doors();
        self.desk = None;
        self.web = None;
        notify::stopping("another process has taken over; clients leave");
        tracing::info!(
            target: "portcullis::takeover",
            pid = heir.pid(),
            clients = proxy.clients(),
            takeover_timeout_s = patience.map(|it| it.as_secs()),
            "taken over: clients stay until they leave; a signal ends their sessions"
        );
        let leaving = async {
            let limit = patience.map(|it| Instant::now() + it);
            // What began before this process took over itself is told of cancels by way of it.
            let gone = || proxy.clients_beside_console() == 0 && !proxy.has_elder();
            let how = tokio::select! {
                () = until(gone) => Shutdown::Immediate,
                () = at(limit) => Shutdown::WaitForServers,
                told = stops.next() => match told {
                    Shutdown::Immediate => Shutdown::Immediate,
                    _ => Shutdown::WaitForServers,
                },
            };
            end(proxy, stops, how).await;
        };
        tokio::select! {
            () = leaving => {}
            () = heir.serve(proxy) => {}
        }
    }
}

/// Takes no more clients, and ends the sessions of those that are there.
async fn end(proxy: &Proxy, stops: &mut Stops, how: Shutdown) {
    match how {
        Shutdown::Immediate => notify::stopping("sessions end"),
        Shutdown::WaitForClients => wait_for_clients(proxy, stops).await,
        Shutdown::WaitForServers => drain(proxy, stops).await,
    }
    tracing::info!(clients = proxy.clients(), "stopping");
    proxy.cut();
}

/// Waits for those that are there to leave by themselves, or for a signal.
async fn wait_for_clients(proxy: &Proxy, stops: &mut Stops) {
    notify::stopping("clients leave");
    tracing::info!(
        clients = proxy.clients(),
        "waiting for clients to leave; a second signal cuts them"
    );
    proxy.close_doors();
    tokio::select! {
        () = until(|| proxy.clients_beside_console() == 0) => {}
        _ = stops.next() => {}
    }
}

/// Lets sessions end with their transactions, for some time or until a signal.
async fn drain(proxy: &Proxy, stops: &mut Stops) {
    let timeout = proxy.drain_timeout();
    notify::draining(timeout);
    tracing::info!(
        clients = proxy.clients(),
        drain_timeout_s = timeout.as_secs(),
        "draining: no new clients, sessions end with their transactions; a second signal cuts them"
    );
    proxy.drain();
    tokio::select! {
        () = until(|| proxy.clients() == 0) => {}
        () = at(Some(Instant::now() + timeout)) => {}
        _ = stops.next() => {}
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let mut tick = interval(LOOK);
    while !is_so() {
        tick.tick().await;
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
