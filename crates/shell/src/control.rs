//! Owns a worker's instructions to its sessions: go on, stand still, finish, stop now, rest. A session looks at
//! two atomics each time it would sleep; a change wakes those it concerns. No session needs a timer
//! for this, which would cost the worker a look at the clock each time it sleeps.

use pool::Home;
use session::statements::Interner;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

/// What sessions are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Go on.
    Running,
    /// End at the next moment without a transaction.
    Draining,
    /// End now.
    Cut,
}

/// Shared by a worker's sessions and whoever steers them.
#[derive(Debug)]
pub struct Control {
    /// The worker whose sessions these are.
    pub home: Home,
    /// Prepared statements that its clients have in common.
    pub statements: Interner,
    phase: AtomicU8,
    suspended: AtomicBool,
    /// Sessions of this worker.
    pub sessions: AtomicUsize,
    /// How often sessions have gone to rest or ended since free memory was last given back.
    pub freed: AtomicUsize,
    /// Sweeps so far: seconds, near enough for keys that live for hours.
    seconds: AtomicU32,
    asleep: Mutex<HashMap<u64, Arc<Sleeper>>>,
}

/// What there is to wake a session, and what it is woken for. How long it has been silent, in sweeps, and when it wants
/// to be woken all the same.
#[derive(Debug)]
pub struct Sleeper {
    /// Its task, from when it has [entered](Control::enter).
    task: OnceLock<Waker>,
    state: AtomicU8,
    wake_at_s: AtomicU32,
    /// The last sweep that found it active.
    active_s: AtomicU32,
    ended: AtomicBool,
    /// It stands still, as it was told.
    still: AtomicBool,
    /// It waits for a server connection, and moves nothing.
    waits: AtomicBool,
    /// It is woken by each sweep.
    looks: AtomicBool,
    /// Its client cancelled what it waits for.
    cancelled: AtomicBool,
}

impl Default for Sleeper {
    fn default() -> Sleeper {
        Sleeper {
            task: OnceLock::new(),
            state: AtomicU8::new(Sleeper::ACTIVE),
            wake_at_s: AtomicU32::new(u32::MAX),
            active_s: AtomicU32::new(0),
            ended: AtomicBool::new(false),
            still: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            looks: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
        }
    }
}

impl Sleeper {
    const ACTIVE: u8 = 0;
    const SWEPT: u8 = 1;
    const RESTED: u8 = 2;

    /// Something moved.
    #[inline]
    pub fn broken(&self) {
        self.state.store(Self::ACTIVE, Ordering::Relaxed);
    }

    /// True, once, if nothing has moved for a whole sweep.
    #[inline]
    pub fn is_rest_due(&self) -> bool {
        let swept = self.state.load(Ordering::Relaxed) == Self::SWEPT;
        if swept {
            self.state.store(Self::RESTED, Ordering::Relaxed);
        }
        swept
    }

    /// True once the session was [told to end](Control::end).
    #[inline]
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// It has nothing left to move, and moves nothing more until that is over.
    pub fn stands_still(&self) {
        self.still.store(true, Ordering::Release);
    }

    /// It waits for a server connection, or does so no more.
    pub fn waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Release);
    }

    /// It wants to be woken by each sweep, or does so no more.
    #[inline]
    pub fn looks(&self, looks: bool) {
        self.looks.store(looks, Ordering::Relaxed);
    }

    /// Its client cancelled what it waits for.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.wake();
    }

    /// True if the client has [cancelled](Self::cancel) since this was asked last.
    #[inline]
    pub fn take_cancel(&self) -> bool {
        self.cancelled.load(Ordering::Acquire) && self.cancelled.swap(false, Ordering::AcqRel)
    }

    fn wake(&self) {
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }

    fn is_still(&self) -> bool {
        self.still.load(Ordering::Acquire) || self.waits.load(Ordering::Acquire)
    }

    /// Asks for a ring at this second; `None`: for none.
    pub fn wake_at(&self, second: Option<u32>) {
        let second = second.unwrap_or(u32::MAX);
        self.wake_at_s.store(second, Ordering::Relaxed);
    }
}

impl Control {
    /// The instructions of a worker.
    pub fn new(home: Home, statements: Interner) -> Control {
        Control {
            home,
            statements,
            phase: AtomicU8::default(),
            suspended: AtomicBool::new(false),
            sessions: AtomicUsize::default(),
            freed: AtomicUsize::default(),
            seconds: AtomicU32::default(),
            asleep: Mutex::default(),
        }
    }

    /// The same for tests.
    #[cfg(test)]
    pub fn of_test() -> Control {
        let cache = session::statements::CacheLimits::default();
        Control::new(Home(0), Interner::new([0; 32], cache))
    }

    /// The present instruction.
    #[inline]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Cut,
        }
    }

    /// True while sessions are to stand still.
    #[inline]
    pub fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Acquire)
    }

    /// Has sessions stand still from now on, or move again.
    pub fn suspend(&self, suspended: bool) {
        let asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        self.suspended.store(suspended, Ordering::Release);
        for sleeper in asleep.values() {
            sleeper.still.store(false, Ordering::Release);
            sleeper.wake();
        }
    }

    /// The sessions that have something left to move although all are to stand still.
    pub fn restless(&self) -> Vec<u64> {
        let asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        let moving = asleep.iter().filter(|(_, it)| !it.is_still());
        moving.map(|(number, _)| *number).collect()
    }

    /// Changes it and wakes everybody. It never goes back. Who stands still can't end in order.
    pub fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.suspended.store(false, Ordering::Release);
        let asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        for sleeper in asleep.values() {
            sleeper.wake();
        }
    }

    /// The present second: sweeps so far.
    #[inline]
    pub fn second(&self) -> u32 {
        self.seconds.load(Ordering::Relaxed)
    }

    /// Called by the worker once a second. Wakes the sessions that have been silent since the last sweep, so that
    /// they go to rest, and those that asked to be woken by now, or each time.
    pub fn sweep(&self) {
        let now_s = self.seconds.fetch_add(1, Ordering::Relaxed) + 1;
        let asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        for sleeper in asleep.values() {
            let is_due = sleeper.wake_at_s.load(Ordering::Relaxed) <= now_s;
            if is_due || sleeper.looks.load(Ordering::Relaxed) {
                sleeper.wake();
            }
            match sleeper.state.load(Ordering::Relaxed) {
                Sleeper::ACTIVE => {
                    sleeper.state.store(Sleeper::SWEPT, Ordering::Relaxed);
                    sleeper.active_s.store(now_s, Ordering::Relaxed);
                }
                Sleeper::SWEPT => sleeper.wake(),
                _ => {}
            }
        }
    }

    /// Ends session `number`; nothing if it doesn't sleep here yet.
    pub fn end(&self, number: u64) {
        let asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sleeper) = asleep.get(&number) {
            sleeper.ended.store(true, Ordering::Relaxed);
            sleeper.wake();
        }
    }

    /// Has session `number` look again at what it has; nothing if it doesn't sleep here yet.
    pub fn wake(&self, number: u64) {
        let asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sleeper) = asleep.get(&number) {
            sleeper.wake();
        }
    }

    /// For how many seconds session `number` has been silent, as far as sweeps tell.
    pub fn silent_s(&self, number: u64) -> Option<u32> {
        let asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        let sleeper = asleep.get(&number)?;
        let active = sleeper.state.load(Ordering::Relaxed) == Sleeper::ACTIVE;
        let since = sleeper.active_s.load(Ordering::Relaxed);
        Some(if active {
            0
        } else {
            self.second().saturating_sub(since)
        })
    }

    /// Has session `number` woken by changes until it [leaves](Self::leave): its task, which is one and the same.
    pub fn enter(&self, number: u64, task: &Waker, sleeper: &Arc<Sleeper>) {
        sleeper.task.get_or_init(|| task.clone());
        let mut asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        asleep.insert(number, Arc::clone(sleeper));
    }

    /// Ends that.
    pub fn leave(&self, number: u64) {
        let mut asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        asleep.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Wake;

    #[derive(Default)]
    struct Rung(AtomicUsize);

    impl Wake for Rung {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Who looks is woken each second, whatever it moves; nobody else is.
    #[test]
    fn sweeps_wake_those_who_look() {
        let control = Control::of_test();
        let (rung, sleeper) = (Arc::<Rung>::default(), Arc::<Sleeper>::default());
        control.enter(7, &Waker::from(Arc::clone(&rung)), &sleeper);
        let sweep = || {
            sleeper.broken();
            control.sweep();
            rung.0.swap(0, Ordering::Relaxed)
        };
        assert_eq!((sweep(), sweep()), (0, 0));
        sleeper.looks(true);
        assert_eq!((sweep(), sweep(), control.second()), (1, 1, 4));
        sleeper.looks(false);
        assert_eq!(sweep(), 0);
        sleeper.wake_at(Some(6));
        assert_eq!((sweep(), sweep()), (1, 1));
    }

    /// Whether a cancel comes before the session sleeps or after, it is seen once.
    #[test]
    fn a_cancel_is_seen_once() {
        let control = Control::of_test();
        let (rung, sleeper) = (Arc::<Rung>::default(), Arc::<Sleeper>::default());
        sleeper.cancel();
        assert!(sleeper.take_cancel() && !sleeper.take_cancel());
        control.enter(7, &Waker::from(Arc::clone(&rung)), &sleeper);
        sleeper.cancel();
        assert_eq!(rung.0.load(Ordering::Relaxed), 1);
        assert!(sleeper.take_cancel() && !sleeper.take_cancel());
    }
}
