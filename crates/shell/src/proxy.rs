//! Owns a running proxy: its listening sockets, its workers, and its end. Several may run in one
//! process; none of them shares anything.

use crate::acceptor::{Bound, accept, bind};
use crate::chance;
use crate::console::{Orders, carry};
use crate::context::Context;
use crate::control::{Control, Phase};
use crate::observed::Observed;
use crate::setup::{Address, Setup};
use crate::worker::Worker;
use observe::{Counters, Gauges};
use session::fault::Fault;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Why a proxy did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// An address can't be listened on.
    #[error("cannot listen on {address}: {cause}{}", hint(cause))]
    Listen {
        /// The address.
        address: String,
        /// The operating system's error.
        cause: io::Error,
    },
    /// No random bytes are to be had.
    #[error("{0}")]
    Random(#[source] Fault),
    /// A thread or its event loop could not be made.
    #[error("cannot start a worker thread: {0}")]
    Thread(#[source] io::Error),
}

fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program has it: stop that one, or choose another address in [listen]"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need privileges, and a Unix socket a directory that may be written"
        }
        _ => "",
    }
}

/// A running proxy. Dropping it cuts every session.
pub struct Proxy {
    context: Arc<Context>,
    workers: Arc<Vec<Worker>>,
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Binds all addresses, then starts the threads.
    pub fn start(setup: Setup) -> Result<Proxy, StartFault> {
        let bound = bind_all(&setup)?;
        let addresses = bound
            .iter()
            .filter_map(|bound| match bound {
                Bound::Tcp(listener) => listener.local_addr().ok(),
                Bound::Unix(..) => None,
            })
            .collect();
        let count = setup.workers.max(1);
        let context = Arc::new(Context::new(
            setup,
            chance::bytes().map_err(StartFault::Random)?,
            chance::bytes().map_err(StartFault::Random)?,
        ));
        let workers: Result<Vec<_>, _> = (0..count)
            .map(|index| Worker::start(index, Arc::clone(&context)))
            .collect();
        let workers = Arc::new(workers.map_err(StartFault::Thread)?);
        let (stop, stopped) = watch::channel(false);
        let acceptor = start_acceptor(bound, &context, &workers, stopped)?;
        Ok(Proxy {
            context,
            workers,
            addresses,
            stop,
            acceptor: Some(acceptor),
        })
    }

    /// The TCP addresses listened on, with the ports the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Clients connected now.
    pub fn clients(&self) -> usize {
        self.context.clients.load(Ordering::Relaxed)
    }

    /// What happened so far.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.context.counters
    }

    /// What may be watched of it from other threads.
    pub fn observed(&self) -> Observed {
        let controls = self.workers.iter().map(|it| Arc::clone(&it.control));
        Observed::new(Arc::clone(&self.context), controls.collect())
    }

    /// Where orders of administrators are taken that only the caller can carry out.
    pub fn orders(&self) -> Orders {
        self.context.console.orders.open()
    }

    /// Pauses all databases, as PAUSE does; false if that was so already.
    pub fn pause(&self) -> bool {
        let paused = self.context.console.holds.pause(None).is_ok();
        if paused {
            carry::apply(&self.context);
            self.context.console.servers.close_when_freed(None);
        }
        paused
    }

    /// Ends that; false if they were not paused.
    pub fn resume(&self) -> bool {
        let resumed = self.context.console.holds.resume(None).is_ok();
        if resumed {
            carry::apply(&self.context);
        }
        resumed
    }

    /// Clients connected now, but those of the console.
    pub fn clients_beside_console(&self) -> usize {
        let all = self.context.console.clients.all();
        let consoles = all.iter().filter(|it| it.facts.is_console).count();
        self.clients().saturating_sub(consoles)
    }

    /// Stops accepting; who is connected stays.
    pub fn close_doors(&self) {
        let _ = self.stop.send(true);
    }

    /// What stands now.
    pub fn gauges(&self) -> &Arc<Gauges> {
        &self.context.gauges
    }

    /// Puts another setup in force for clients that connect from now on. Live sessions keep what they
    /// have; pools, cancel keys and counts go on. Addresses and worker threads stay as they are: an
    /// address that `setup` doesn't have keeps its rules, a new one is not listened on.
    pub fn reload(&self, setup: Setup) {
        let setup = self.context.live.replace(setup);
        let patience = setup.timeouts.query_wait;
        // What rested under the setup of before: closing its socket is all it needs.
        drop(self.context.exchange.rebound(&setup.databases, patience));
        carry::apply(&self.context);
    }

    /// Stops accepting, and ends each session at its next moment without a transaction.
    pub fn drain(&self) {
        let _ = self.stop.send(true);
        self.advance(Phase::Draining);
    }

    /// Ends all sessions now.
    pub fn cut(&self) {
        let _ = self.stop.send(true);
        self.advance(Phase::Cut);
    }

    /// Waits until the last client has gone, at most until `deadline`; true if it has.
    pub fn wait_for_clients(&self, deadline: Instant) -> bool {
        while self.clients() > 0 {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        true
    }

    /// How long draining may take, by configuration.
    pub fn drain_timeout(&self) -> Duration {
        self.context.live.snapshot().timeouts.drain
    }

    fn advance(&self, phase: Phase) {
        for worker in self.workers.iter() {
            worker.control.advance(phase);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        if let Some(workers) = Arc::get_mut(&mut self.workers) {
            for worker in workers.drain(..) {
                worker.join();
            }
        }
        self.context.strangers.write_due();
    }
}

fn bind_all(setup: &Setup) -> Result<Vec<Bound>, StartFault> {
    setup
        .listeners
        .iter()
        .map(|listener| {
            bind(&listener.address, &setup.tcp).map_err(|cause| StartFault::Listen {
                address: match &listener.address {
                    Address::Tcp(address) => address.to_string(),
                    Address::Unix { path, .. } => path.display().to_string(),
                },
                cause,
            })
        })
        .collect()
}

/// On the acceptor's thread: sends silent sessions to rest, writes the lines that were left out, has setups freed that no session lives
/// with any more, and gives freed memory back to the system when it is worth a look.
async fn keep_house(context: Arc<Context>, workers: Arc<Vec<Worker>>) {
    const EVERY: Duration = Duration::from_secs(1);
    const WORTH_IT: usize = 32;
    const GOODBYE: Duration = Duration::from_secs(5);
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        let over = context.live.served_their_time();
        if !over.is_empty() {
            drop(tokio::task::spawn_blocking(move || drop(over)));
        }
        let controls = || workers.iter().map(|worker| &worker.control);
        let freed = |control: &Arc<Control>| control.freed.load(Ordering::Relaxed);
        if controls().map(freed).sum::<usize>() >= WORTH_IT {
            controls().for_each(|control| control.freed.store(0, Ordering::Relaxed));
            tls::give_memory_back();
        }
        controls().for_each(|control| control.sweep());
        context.strangers.write_due();
        context.console.tick();
        for over in context.exchange.expire(|it| it.is_gone()) {
            tokio::spawn(tokio::time::timeout(GOODBYE, over.close()));
        }
    }
}

/// The acceptor has a thread of its own, so that a busy worker does not keep clients waiting.
fn start_acceptor(
    bound: Vec<Bound>,
    context: &Arc<Context>,
    workers: &Arc<Vec<Worker>>,
    stopped: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, StartFault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(StartFault::Thread)?;
    let (context, workers) = (Arc::clone(context), Arc::clone(workers));
    std::thread::Builder::new()
        .name("acceptor".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let mut tasks = tokio::task::JoinSet::new();
                for (number, bound) in bound.into_iter().enumerate() {
                    let (context, workers) = (Arc::clone(&context), Arc::clone(&workers));
                    tasks.spawn(accept(bound, number, context, workers, stopped.clone()));
                }
                let janitor = tokio::spawn(keep_house(Arc::clone(&context), Arc::clone(&workers)));
                while tasks.join_next().await.is_some() {}
                janitor.abort();
            });
        })
        .map_err(StartFault::Thread)
}
