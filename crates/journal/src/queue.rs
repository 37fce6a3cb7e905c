//! Owns the queue: lines one after the other in a buffer of fixed size, which changes places with another one when
//! they are taken; and those who wait for room in it, or for their line to be written. Nobody who pushes ever blocks.

use buf::Plain;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// What becomes of a line for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFull {
    /// Whoever pushes is to wait.
    Block,
    /// It is lost, and counted.
    DropAndCount,
    /// It is lost and counted, and whoever pushes is told so, to do no more.
    Refuse,
}

/// Counts lines: that of the line with this number is written once so many are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It will be written.
    Taken(Ticket),
    /// It is lost.
    Dropped,
    /// It is lost, and what it tells of must not go on.
    Refused,
    /// It has to be pushed again when there is room ([`Journal::poll_room`](crate::Journal::poll_room)).
    Full,
}

/// The file could not be written, and nobody is to wait for it (`refuse`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwritten;

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// For the thread that writes.
    filled: Condvar,
    on_full: OnFull,
    bytes_max: usize,
    dropped: AtomicU64,
    /// Lines that are in the file.
    written: AtomicU64,
    /// The last attempt to write failed.
    is_failing: AtomicBool,
}

#[derive(Debug)]
struct State {
    lines: Plain,
    /// Lines that were ever taken in.
    pushed: u64,
    /// The thread that writes has nothing to do and looks no more by itself.
    is_asleep: bool,
    is_closed: bool,
    /// Somebody wants it to look.
    is_woken: bool,
    /// Who waits, each under a number of its own.
    for_room: HashMap<u64, Waker>,
    for_write: HashMap<u64, Waker>,
}

impl Queue {
    pub(crate) fn new(bytes_max: usize, on_full: OnFull) -> Queue {
        Queue {
            state: Mutex::new(State {
                lines: Plain::with_capacity(bytes_max),
                pushed: 0,
                is_asleep: false,
                is_closed: false,
                is_woken: false,
                for_room: HashMap::new(),
                for_write: HashMap::new(),
            }),
            filled: Condvar::new(),
            on_full,
            bytes_max,
            dropped: AtomicU64::new(0),
            written: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty buffer to change places with.
    pub(crate) fn spare(&self) -> Plain {
        Plain::with_capacity(self.bytes_max)
    }

    #[inline]
    pub(crate) fn push(&self, line: &[u8]) -> Pushed {
        let mut state = self.lock();
        if state.is_closed || state.lines.push(line).is_err() {
            let fits_never = line.len() > self.bytes_max || state.is_closed;
            if self.on_full == OnFull::Block && !fits_never {
                return Pushed::Full;
            }
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return match self.on_full {
                OnFull::Refuse => Pushed::Refused,
                OnFull::Block | OnFull::DropAndCount => Pushed::Dropped,
            };
        }
        state.pushed += 1;
        if state.is_asleep {
            state.is_asleep = false;
            self.filled.notify_one();
        }
        Pushed::Taken(Ticket(state.pushed))
    }

    /// Ready once a line of so many bytes may find room; else `who` is woken when it is to ask again.
    pub(crate) fn poll_room(&self, bytes: usize, who: u64, waker: &Waker) -> Poll<()> {
        let mut state = self.lock();
        if state.is_closed || state.lines.room() >= bytes {
            return Poll::Ready(());
        }
        state.for_room.insert(who, waker.clone());
        Poll::Pending
    }

    /// Ready once a line is written, or it is said that it could not be; else `who` is woken when it is to ask again.
    pub(crate) fn poll_written(
        &self,
        Ticket(line): Ticket,
        who: u64,
        waker: &Waker,
    ) -> Poll<Result<(), Unwritten>> {
        if self.written.load(Ordering::Acquire) >= line {
            return Poll::Ready(Ok(()));
        }
        let mut state = self.lock();
        if self.written.load(Ordering::Acquire) >= line {
            return Poll::Ready(Ok(()));
        }
        if state.is_closed || self.refuses() {
            return Poll::Ready(Err(Unwritten));
        }
        state.for_write.insert(who, waker.clone());
        Poll::Pending
    }

    /// True if the file can't be written at present, and nobody is to wait for that.
    #[inline]
    pub(crate) fn refuses(&self) -> bool {
        self.on_full == OnFull::Refuse && self.is_failing.load(Ordering::Acquire)
    }

    /// Nobody waits under this number any more.
    pub(crate) fn forget(&self, who: u64) {
        let mut state = self.lock();
        state.for_room.remove(&who);
        state.for_write.remove(&who);
    }

    /// Has the thread that writes look.
    pub(crate) fn wake(&self) {
        let mut state = self.lock();
        state.is_woken = true;
        state.is_asleep = false;
        self.filled.notify_one();
    }

    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.wake();
        self.wake_all(|state| &mut state.for_room);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().lines.is_empty()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// All lines up to this one are in the file.
    pub(crate) fn wrote(&self, Ticket(line): Ticket) {
        self.is_failing.store(false, Ordering::Release);
        if self.written.swap(line, Ordering::AcqRel) != line {
            self.wake_all(|state| &mut state.for_write);
        }
    }

    /// The file can't be written.
    pub(crate) fn failed(&self) {
        self.is_failing.store(true, Ordering::Release);
        if self.on_full == OnFull::Refuse {
            self.wake_all(|state| &mut state.for_write);
        }
    }

    /// Nothing will be written any more.
    pub(crate) fn ended(&self) {
        self.wake_all(|state| &mut state.for_write);
    }

    fn wake_all(&self, of: impl FnOnce(&mut State) -> &mut HashMap<u64, Waker>) {
        let waiting = std::mem::take(of(&mut self.lock()));
        waiting.into_values().for_each(Waker::wake);
    }

    /// Takes all lines, and says which is the last, unless `is_busy`: then those taken before are still to be written.
    /// Gathers first, and sleeps while there are none; false once the queue is closed.
    pub(crate) fn take(
        &self,
        (batch, last): (&mut Plain, &mut Ticket),
        is_busy: bool,
        gather: Duration,
    ) -> bool {
        let mut state = self.lock();
        if !state.is_closed && !state.is_woken && !gather.is_zero() {
            let gathered = self.filled.wait_timeout(state, gather);
            state = gathered.unwrap_or_else(PoisonError::into_inner).0;
        }
        while state.lines.is_empty() && !is_busy && !state.is_closed && !state.is_woken {
            state.is_asleep = true;
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.is_asleep = false;
        state.is_woken = false;
        let is_open = !state.is_closed;
        if !is_busy && !state.lines.is_empty() {
            std::mem::swap(&mut state.lines, batch);
            *last = Ticket(state.pushed);
            drop(state);
            self.wake_all(|state| &mut state.for_room);
        }
        is_open
    }

    /// No line was taken so far.
    pub(crate) fn none() -> Ticket {
        Ticket(0)
    }

    /// Lets time pass, unless the queue is closed.
    pub(crate) fn pause(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut state = self.lock();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || state.is_closed || state.is_woken {
                return;
            }
            let paused = self.filled.wait_timeout(state, left);
            state = paused.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
