//! Owns a running proxy: its listening sockets, its workers, and its end. Several may run in one
//! process; none of them shares anything.

use crate::acceptor::{Bound, accept, bind};
use crate::cancel::Bounds;
use crate::chance;
use crate::clusters::Keeping;
use crate::console::{Orders, carry};
use crate::context::{Context, Doors};
use crate::control::{Control, Phase};
use crate::elder::PassedBackTo;
use crate::inherit::{Claim, Handed, Inherited, Maker};
use crate::log;
use crate::mirror::Mirroring;
use crate::observed::Observed;
use crate::pulse::{self, Beat, Pulse, Questions};
use crate::ready;
use crate::setup::{Address, Listener, Setup};
use crate::views::Looking;
use crate::worker::Worker;
use events::Events;
use observe::{Counters, Gauges};
use session::fault::Fault;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use wire::startup::CancelRequest;

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
            "; another program has it: stop that one, or choose another address in [listen] (a running \
             portcullis gives it away if both have [listen] takeover_socket)"
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
    listening: Mutex<Vec<Listening>>,
    doors: watch::Sender<Doors>,
    acceptor: Option<JoinHandle<()>>,
    keeping: Keeping,
    mirroring: Mirroring,
    looking: Looking,
    pulse: Pulse,
}

/// A listening socket, as it may be handed on while the doors are not closed.
struct Listening {
    socket: OwnedFd,
    maker: Maker,
    /// Of the file of one in the Unix domain.
    claim: Option<Claim>,
}

impl Proxy {
    /// Binds all addresses, starts the threads, and opens the doors.
    pub fn start(setup: Setup) -> Result<Proxy, StartFault> {
        let proxy = Proxy::prepare(setup, &mut Inherited::default())?;
        proxy.open_doors();
        Ok(proxy)
    }

    /// Takes its addresses from what was inherited, binds the others, then starts the threads. Clients
    /// wait until the [doors open](Proxy::open_doors).
    pub fn prepare(setup: Setup, inherited: &mut Inherited) -> Result<Proxy, StartFault> {
        let (bound, listening): (Vec<_>, Vec<_>) = bind_all(&setup, inherited)?.into_iter().unzip();
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
        let workers = workers.map_err(StartFault::Thread)?.into_iter();
        let (workers, mut asked): (Vec<_>, Vec<_>) = workers.unzip();
        let workers = Arc::new(workers);
        let keeping = Keeping::default();
        let setup = context.live.snapshot();
        keeping
            .follow(&context, &setup)
            .map_err(StartFault::Thread)?;
        let mirroring = Mirroring::default();
        mirroring
            .follow(&context, &setup)
            .map_err(StartFault::Thread)?;
        let looking = Looking::default();
        looking
            .follow(&context, &setup)
            .map_err(StartFault::Thread)?;
        let (doors, state) = watch::channel(Doors::NotYet);
        let (acceptors, questions) = pulse::asked("acceptor");
        asked.push(acceptors.until_doors_close());
        let pulse = Pulse::begin(asked, state.clone()).map_err(StartFault::Thread)?;
        let acceptor = start_acceptor(bound, &context, &workers, (state, questions))?;
        Ok(Proxy {
            context,
            workers,
            addresses,
            listening: Mutex::new(listening),
            doors,
            acceptor: Some(acceptor),
            keeping,
            mirroring,
            looking,
            pulse,
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

    /// Where events are posted.
    pub fn events(&self) -> &Arc<Events> {
        &self.context.events
    }

    /// What may be watched of it from other threads.
    pub fn observed(&self) -> Observed {
        let controls = self.workers.iter().map(|it| Arc::clone(&it.control));
        let doors = self.doors.subscribe();
        let beats = self.pulse.beats();
        Observed::new(Arc::clone(&self.context), controls.collect(), doors, beats)
    }

    /// Whether its threads still work: a value every few seconds, the same or another one.
    pub fn beats(&self) -> watch::Receiver<Beat> {
        self.pulse.beats()
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
        carry::release(&self.context, None).is_ok()
    }

    /// Clients connected now, but those of the console.
    pub fn clients_beside_console(&self) -> usize {
        let all = self.context.console.clients.all();
        let consoles = all.iter().filter(|it| it.facts.is_console).count();
        self.clients().saturating_sub(consoles)
    }

    /// Accepts clients from now on.
    pub fn open_doors(&self) {
        self.turn_doors(Doors::Open);
    }

    /// Stops accepting; who is connected stays. The sockets are closed.
    pub fn close_doors(&self) {
        self.turn_doors(Doors::Closed);
        self.listening().clear();
    }

    /// The listening sockets once more, for a process that takes over.
    pub fn sockets(&self) -> io::Result<Vec<Handed>> {
        let listening = self.listening();
        let again = |it: &Listening| {
            Ok(Handed {
                socket: it.socket.try_clone()?,
                maker: it.maker,
            })
        };
        listening.iter().map(again).collect()
    }

    /// The files of our Unix-domain sockets are ours to remove at the end, or another's from now on.
    pub fn claim_files(&self, are_ours: bool) {
        for it in self.listening().iter() {
            if let (Some(claim), Maker::Proxy) = (&it.claim, it.maker) {
                claim.set(are_ours);
            }
        }
    }

    /// Where cancel requests are taken that may be for sessions of the process of before.
    pub fn passed_back(&self) -> PassedBackTo {
        self.context.cancels.elder.open()
    }

    /// True while somebody takes those.
    pub fn has_elder(&self) -> bool {
        self.context.cancels.elder.is_there()
    }

    /// Carries out a cancel request for a session of ours that came to the process that has taken over.
    pub fn cancel_for_heir(
        &self,
        request: CancelRequest,
    ) -> impl Future<Output = ()> + Send + 'static {
        let context = Arc::clone(&self.context);
        async move {
            let setup = context.live.snapshot();
            let bounds = Bounds {
                at_once: setup.limits.cancels_max,
                per_second: setup.limits.cancels_per_second,
                deadline: setup.timeouts.cancel,
            };
            let carried = context.cancels.carry_out_for_heir(&request, bounds).await;
            log::cancelled_for_heir(&carried);
        }
    }

    fn listening(&self) -> MutexGuard<'_, Vec<Listening>> {
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Doors that are closed stay so.
    fn turn_doors(&self, to: Doors) {
        self.doors.send_if_modified(|doors| {
            let turns = *doors != to && *doors != Doors::Closed;
            if turns {
                *doors = to;
            }
            turns
        });
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
        let rules = setup.policy.as_ref();
        (self.context.rules).replace(rules.map(|it| Arc::clone(&it.rules)));
        let patience = setup.timeouts.query_wait;
        // What rested under the setup of before: closing its socket is all it needs.
        drop(self.context.exchange.rebound(&setup.databases, patience));
        carry::apply(&self.context);
        if let Err(error) = self.keeping.follow(&self.context, &setup) {
            tracing::error!(target: "portcullis::clusters", "new clusters are not followed: {error}");
        }
        if let Err(error) = self.mirroring.follow(&self.context, &setup) {
            tracing::error!(target: "portcullis::mirror", "nothing is mirrored: {error}");
        }
        if let Err(error) = self.looking.follow(&self.context, &setup) {
            tracing::error!(target: "portcullis::rules", "nobody looks at views: {error}");
        }
    }

    /// Stops accepting, and ends each session at its next moment without a transaction.
    pub fn drain(&self) {
        self.close_doors();
        self.mirroring.end(&self.context);
        self.advance(Phase::Draining);
    }

    /// Ends all sessions now.
    pub fn cut(&self) {
        self.close_doors();
        self.mirroring.end(&self.context);
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
        self.pulse.stop();
        self.keeping.stop();
        self.mirroring.stop();
        self.looking.stop();
        if let Some(workers) = Arc::get_mut(&mut self.workers) {
            for worker in workers.drain(..) {
                worker.join();
            }
        }
        self.context.strangers.write_due();
    }
}

fn bind_all(
    setup: &Setup,
    inherited: &mut Inherited,
) -> Result<Vec<(Bound, Listening)>, StartFault> {
    let bind = |listener: &Listener| {
        let bound = bind(&listener.address, &setup.tcp, inherited);
        let kept = bound.and_then(|(bound, maker)| Ok((listening(&bound, maker)?, bound)));
        match kept {
            Ok((listening, bound)) => Ok((bound, listening)),
            Err(cause) => Err(StartFault::Listen {
                address: match &listener.address {
                    Address::Tcp(address) => address.to_string(),
                    Address::Unix { path, .. } => path.display().to_string(),
                },
                cause,
            }),
        }
    };
    setup.listeners.iter().map(bind).collect()
}

/// The same socket once more, as it may be handed on.
fn listening(bound: &Bound, maker: Maker) -> io::Result<Listening> {
    let (socket, claim) = match bound {
        Bound::Tcp(listener) => (listener.as_fd(), None),
        Bound::Unix(listener, file) => (listener.as_fd(), Some(file.claim().clone())),
    };
    Ok(Listening {
        socket: socket.try_clone_to_owned()?,
        maker,
        claim,
    })
}

/// On the acceptor's thread: has server connections made ahead of need, writes the lines that were left out, has setups
/// freed that no session lives with any more, and gives freed memory back to the system when it is worth a look.
async fn keep_house(context: Arc<Context>, workers: Arc<Vec<Worker>>) {
    const EVERY: Duration = Duration::from_secs(1);
    const WORTH_IT: usize = 32;
    const GOODBYE: Duration = Duration::from_secs(5);
    let mut tick = tokio::time::interval(EVERY);
    let mut once_more = false;
    loop {
        tick.tick().await;
        let over = context.live.served_their_time();
        if !over.is_empty() {
            drop(tokio::task::spawn_blocking(move || drop(over)));
        }
        let controls = || workers.iter().map(|worker| &worker.control);
        let freed = |control: &Arc<Control>| control.freed.load(Ordering::Relaxed);
        // What goes behind many sessions, as their server connections that are being closed, holds pages that are
        // empty otherwise: these go back at the next look.
        let is_worth_it = controls().map(freed).sum::<usize>() >= WORTH_IT;
        if is_worth_it {
            controls().for_each(|control| control.freed.store(0, Ordering::Relaxed));
        }
        if is_worth_it || once_more {
            tls::give_memory_back();
        }
        once_more = is_worth_it;
        context.strangers.write_due();
        context.console.tick();
        ready::keep(&context, &workers);
        let now = Instant::now();
        for over in context.exchange.expire(|it| it.fate(now)) {
            tokio::spawn(tokio::time::timeout(GOODBYE, over.close()));
        }
    }
}

/// The acceptor has a thread of its own, so that a busy worker does not keep clients waiting.
fn start_acceptor(
    bound: Vec<Bound>,
    context: &Arc<Context>,
    workers: &Arc<Vec<Worker>>,
    (doors, questions): (watch::Receiver<Doors>, Questions),
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
                tokio::spawn(pulse::answer(questions));
                let mut tasks = tokio::task::JoinSet::new();
                for (number, bound) in bound.into_iter().enumerate() {
                    let (context, workers) = (Arc::clone(&context), Arc::clone(&workers));
                    tasks.spawn(accept(bound, number, context, workers, doors.clone()));
                }
                let janitor = tokio::spawn(keep_house(Arc::clone(&context), Arc::clone(&workers)));
                while tasks.join_next().await.is_some() {}
                janitor.abort();
            });
        })
        .map_err(StartFault::Thread)
}
