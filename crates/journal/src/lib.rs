//! Lines that go to a file: a bounded queue, and a thread that empties it.
//!
//! Owns the queue, the thread, the file and its rotation; sealing lines to recipients, and the chain that proves that
//! none is changed or missing. Takes whole lines from any thread, says whether each was taken, and when it is written.
//! Knows nothing of what stands in them; they lie in memory that is wiped. Who pushes never waits, and makes no system
//! call but one, when the thread had nothing to do and has to be woken.

mod chain;
mod file;
mod queue;
mod resume;
mod sealed;
pub mod time;
pub mod verify;
mod writer;

#[cfg(test)]
mod proofs;
#[cfg(test)]
mod tests;

pub use chain::{BadLink, Link, Writer};
pub use file::Rotation;
pub use queue::{OnFull, Pushed, Ticket, Unwritten};
pub use resume::{Resumed, resumed};

use file::Target;
use queue::Queue;
use seal::Recipient;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;
use writer::Scribe;

/// How long the thread gathers before it looks again, where nobody waits for it.
const GATHER: Duration = Duration::from_millis(20);
/// How long it lets a file be that can't be written.
const RETRY: Duration = Duration::from_millis(250);
/// How long it lets a pipe be that is full.
const SLOW: Duration = Duration::from_millis(5);
/// How long a queue may take to be written when all ends.
const END_RETRIES: usize = 4;
const END_WAIT: Duration = Duration::from_secs(5);

/// For whom lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON object on each line.
    Json,
    /// `name=value` on each line.
    Human,
}

/// What a journal is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    /// Bytes that may wait to be written.
    pub queue_bytes_max: usize,
    /// What becomes of lines beyond.
    pub on_full: OnFull,
    /// When the file makes room for a new one.
    pub rotation: Rotation,
    /// Whom lines are sealed to; nobody: they are not.
    pub recipients: Vec<Recipient>,
    /// The chain, if lines are to be in one.
    pub chain: Option<Chained>,
}

/// How lines are chained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chained {
    /// What an earlier process left ([`resumed`]).
    pub resumed: Resumed,
    /// Who waits for a line to be written is not to wait longer than that takes.
    pub at_once: bool,
    /// The form of the writer's own records.
    pub form: Form,
}

/// Why a journal can't begin.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {path} to write to it: {cause}", path = path.display())]
pub struct StartFault {
    /// The file.
    pub path: PathBuf,
    /// What is in the way.
    pub cause: io::Error,
}

/// What has happened to lines so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Bytes that were written.
    pub written_bytes: u64,
    /// Lines that found no room.
    pub dropped: u64,
    /// Times that writing failed.
    pub failures: u64,
    /// Files that were begun after the first.
    pub rotations: u64,
}

#[derive(Debug)]
struct Shared {
    queue: Queue,
    reopen: AtomicBool,
    written_bytes: AtomicU64,
    failures: AtomicU64,
    rotations: AtomicU64,
}

/// A running journal. Dropping it writes what waits, and ends the thread.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    thread: Mutex<Option<(JoinHandle<()>, Receiver<()>)>>,
}

impl Journal {
    /// Opens the file, which only its owner may read, and starts the thread.
    pub fn start(settings: Settings) -> Result<Journal, StartFault> {
        let path = settings.path.clone();
        let (queue_bytes_max, on_full) = (settings.queue_bytes_max, settings.on_full);
        let gather = match settings.chain {
            Some(Chained { at_once: true, .. }) => Duration::ZERO,
            _ => GATHER,
        };
        let fault = |cause| StartFault { path, cause };
        let scribe = match scribe(settings) {
            Ok(scribe) => scribe,
            Err(cause) => return Err(fault(cause)),
        };
        let shared = Arc::new(Shared {
            queue: Queue::new(queue_bytes_max, on_full),
            reopen: AtomicBool::new(false),
            written_bytes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            rotations: AtomicU64::new(0),
        });
        let (done, is_done) = channel();
        let thread = std::thread::Builder::new().name("journal".to_owned());
        let thread = thread.spawn({
            let shared = Arc::clone(&shared);
            move || {
                write(&shared, scribe, gather);
                shared.queue.ended();
                drop(done);
            }
        });
        Ok(Journal {
            shared,
            thread: Mutex::new(Some((thread.map_err(fault)?, is_done))),
        })
    }

    /// Hands over a line, with its line end.
    #[inline]
    pub fn push(&self, line: &[u8]) -> Pushed {
        self.shared.queue.push(line)
    }

    /// Ready once a line of so many bytes may find room. Until then the waker is kept under the number `who`.
    pub fn poll_room(&self, bytes: usize, who: u64, waker: &Waker) -> Poll<()> {
        self.shared.queue.poll_room(bytes, who, waker)
    }

    /// Ready once the write of a line has returned, or, where nobody is to wait for it, has failed. Until then the
    /// waker is kept under the number `who`.
    #[inline]
    pub fn poll_written(
        &self,
        ticket: Ticket,
        who: u64,
        waker: &Waker,
    ) -> Poll<Result<(), Unwritten>> {
        self.shared.queue.poll_written(ticket, who, waker)
    }

    /// True if the file can't be written at present, and nobody is to wait for that.
    pub fn refuses(&self) -> bool {
        self.shared.queue.refuses()
    }

    /// Nobody waits under this number any more.
    pub fn forget(&self, who: u64) {
        self.shared.queue.forget(who);
    }

    /// Has the file opened anew: somebody has moved it away.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.shared.queue.wake();
    }

    /// Writes what waits, and ends the thread: no line is taken any more.
    pub fn end(&self) {
        self.shared.queue.close();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((thread, is_done)) = thread.take() else {
            return;
        };
        // The other end is dropped, never sent through.
        match is_done.recv_timeout(END_WAIT) {
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                tracing::error!("a log takes nothing; what waits to be written there is lost");
            }
            _ => drop(thread.join()),
        }
    }

    /// What has happened to lines so far.
    pub fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            written_bytes: of(&self.shared.written_bytes),
            dropped: self.shared.queue.dropped(),
            failures: of(&self.shared.failures),
            rotations: of(&self.shared.rotations),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.end();
    }
}

/// Opens the file; makes sure that sealing works.
fn scribe(settings: Settings) -> io::Result<Scribe> {
    let target = Target::open(settings.path, settings.rotation)?;
    if !settings.recipients.is_empty() {
        sealed::line(&settings.recipients, b"", 0)?;
    }
    let form = settings.chain.map_or(Form::Json, |it| it.form);
    let mut scribe = Scribe::new(target, settings.recipients, form);
    if let Some(Chained { resumed, .. }) = settings.chain {
        scribe.chain(resumed)?;
    }
    Ok(scribe)
}

/// The thread: takes what waits, writes it, and sleeps when nothing comes.
fn write(shared: &Shared, mut scribe: Scribe, gather: Duration) {
    let queue = &shared.queue;
    let mut batch = queue.spare();
    let mut last = Queue::none();
    let mut retries = 0;
    loop {
        let is_busy = scribe.is_busy() || !batch.is_empty();
        let is_open = queue.take((&mut batch, &mut last), is_busy, gather);
        if shared.reopen.swap(false, Ordering::AcqRel) {
            scribe.target().close();
        }
        let written = scribe.write(&mut batch, queue.dropped());
        publish(shared, &mut scribe);
        match written {
            Ok(()) => {
                retries = 0;
                queue.wrote(last);
                if !is_open && queue.is_empty() {
                    break;
                }
            }
            Err(error) => {
                let is_slow = error.kind() == io::ErrorKind::WouldBlock;
                if !is_slow {
                    if retries == 0 {
                        let path = scribe.target().path().display();
                        tracing::error!(%path, %error, "a log cannot be written; it is tried again");
                    }
                    shared.failures.fetch_add(1, Ordering::Relaxed);
                    queue.failed();
                    scribe.target().close();
                }
                retries += 1;
                if !is_open && retries >= END_RETRIES {
                    let path = scribe.target().path().display();
                    tracing::error!(%path, %error, "a log could not be written to its end");
                    return;
                }
                match (is_open, is_slow) {
                    (true, true) => queue.pause(SLOW),
                    (true, false) => queue.pause(RETRY),
                    (false, _) => std::thread::park_timeout(RETRY / 4),
                }
            }
        }
    }
    if let Err(error) = scribe.close() {
        let path = scribe.target().path().display();
        tracing::error!(%path, %error, "a log cannot be closed in order");
    }
    publish(shared, &mut scribe);
}

fn publish(shared: &Shared, scribe: &mut Scribe) {
    let (bytes, rotations) = (scribe.target().written_bytes(), scribe.target().rotations());
    shared.written_bytes.store(bytes, Ordering::Relaxed);
    shared.rotations.store(rotations, Ordering::Relaxed);
}
