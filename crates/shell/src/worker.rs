//! Owns one worker: a thread with a single-threaded runtime on which its sessions live from the
//! first byte to the last. Takes accepted sockets, and orders for server connections, through its mailbox.

use crate::acceptor::{Accepted, Incoming};
use crate::context::Context;
use crate::control::{Control, Phase};
use crate::lend;
use crate::life::serve;
use crate::pulse::{self, Asked, Questions};
use crate::ready;
use pool::Home;
use session::statements::{CacheLimits, Interner};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::MissedTickBehavior;

/// How often silent sessions are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// How long sessions may take to say goodbye once they were told to end now.
const CUT_GRACE: Duration = Duration::from_secs(2);

/// What a worker is to do.
enum Errand {
    /// Serve a client.
    Serve(Accepted),
    /// Make a server connection ahead of need.
    Prepare(Box<ready::Order>),
}

/// A running worker.
pub struct Worker {
    /// Steers its sessions and counts them.
    pub control: Arc<Control>,
    mailbox: UnboundedSender<Errand>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts worker `index`; also gives where it is asked whether it works.
    pub fn start(index: usize, context: Arc<Context>) -> io::Result<(Worker, Asked)> {
        let name = format!("worker-{index}");
        let (asked, questions) = pulse::asked(&name);
        let control = Arc::new(Control::new(
            Home(index as u16),
            Interner::new(context.statements_key(), CacheLimits::default()),
        ));
        context.console.workers.enter(&control);
        let (mailbox, errands) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            // A worker that waits has nothing of its clients' in its registers.
            .on_thread_park(guard::clear_registers)
            .max_blocking_threads(context.live.snapshot().limits.derivations_max.max(1) + 4)
            .build()?;
        let thread = std::thread::Builder::new().name(name).spawn({
            let control = Arc::clone(&control);
            move || {
                tls::spare_wiping();
                runtime.block_on(work(context, control, errands, questions));
            }
        })?;
        let worker = Worker {
            control,
            mailbox,
            thread: Some(thread),
        };
        Ok((worker, asked))
    }

    /// Has a connection made ahead of need; what it holds goes if the worker is gone.
    pub fn prepare(&self, order: ready::Order) {
        drop(self.mailbox.send(Errand::Prepare(Box::new(order))));
    }

    /// Hands a socket over; false if the worker is gone.
    pub fn hand_over(&self, accepted: Accepted) -> bool {
        self.control.sessions.fetch_add(1, Ordering::Relaxed);
        let handed = self.mailbox.send(Errand::Serve(accepted)).is_ok();
        if !handed {
            self.control.sessions.fetch_sub(1, Ordering::Relaxed);
        }
        handed
    }

    /// Takes no more sockets; ends when the sessions have. Blocks.
    pub fn join(self) {
        let Worker {
            mailbox, thread, ..
        } = self;
        drop(mailbox);
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

async fn work(
    context: Arc<Context>,
    control: Arc<Control>,
    mut errands: UnboundedReceiver<Errand>,
    questions: Questions,
) {
    tokio::spawn(pulse::answer(questions));
    tokio::spawn(sweep(Arc::clone(&control)));
    let numbers = AtomicU64::new(0);
    while let Some(errand) = errands.recv().await {
        let accepted = match errand {
            Errand::Serve(accepted) => accepted,
            Errand::Prepare(order) => {
                let (context, control) = (Arc::clone(&context), Arc::clone(&control));
                tokio::spawn(async move { ready::make(&context, &control, *order).await });
                continue;
            }
        };
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let session = Counted {
            context: Arc::clone(&context),
            control: Arc::clone(&control),
        };
        match Incoming::from_accepted(accepted, number) {
            Ok(incoming) => drop(tokio::spawn(serve(session, Box::new(incoming)))),
            Err(error) => tracing::debug!(%error, "an accepted socket was gone already"),
        }
    }
    wait_for_sessions(&control).await;
}

/// Sweeps once a second, as long as there is a worker. So one timer is always due before those that sessions set for a
/// second and more: of a timer that is due before all others the runtime tells itself by two system calls.
async fn sweep(control: Arc<Control>) {
    let mut tick = tokio::time::interval(SWEEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        control.sweep();
    }
}

/// Sessions end by themselves: idle ones when draining begins, all others at the cut.
async fn wait_for_sessions(control: &Control) {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let mut cut_at = None;
    while control.sessions.load(Ordering::Relaxed) > 0 {
        tick.tick().await;
        if control.phase() == Phase::Cut {
            let since = cut_at.get_or_insert_with(tokio::time::Instant::now);
            if since.elapsed() > CUT_GRACE {
                return;
            }
        }
    }
}

/// One session in the counts.
pub(crate) struct Counted {
    pub(crate) context: Arc<Context>,
    pub(crate) control: Arc<Control>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.control.sessions.fetch_sub(1, Ordering::Relaxed);
        self.context.clients.fetch_sub(1, Ordering::Relaxed);
        self.control.freed.fetch_add(1, Ordering::Relaxed);
        lend::leave();
    }
}
