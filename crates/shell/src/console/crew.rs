//! Owns the console's way to all workers: what all sessions are to do, and which don't yet.

use crate::control::Control;
use std::sync::{Arc, Mutex, PoisonError};

/// The instructions of all workers.
#[derive(Default)]
pub(crate) struct Crew(Mutex<Vec<Arc<Control>>>);

impl Crew {
    /// A worker begins.
    pub(crate) fn enter(&self, control: &Arc<Control>) {
        self.lock().push(Arc::clone(control));
    }

    /// Has all sessions stand still, or move again.
    pub(crate) fn suspend(&self, suspended: bool) {
        for control in self.lock().iter() {
            control.suspend(suspended);
        }
    }

    /// True once no session has anything left to move.
    pub(crate) fn stands_still(&self) -> bool {
        self.lock().iter().all(|it| it.restless().is_empty())
    }

    /// Ends the sessions that still have; gives how many there were.
    pub(crate) fn end_restless(&self) -> usize {
        let mut count = 0;
        for control in self.lock().iter() {
            let restless = control.restless();
            count += restless.len();
            restless.into_iter().for_each(|number| control.end(number));
        }
        count
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Control>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Sleeper;
    use std::task::Waker;

    #[test]
    fn all_have_to_stand_still() {
        let crew = Crew::default();
        let controls = [Control::of_test(), Control::of_test()].map(Arc::new);
        let sleepers = [(); 3].map(|()| Arc::new(Sleeper::default()));
        for (number, sleeper) in sleepers.iter().enumerate() {
            controls[number % 2].enter(number as u64, Waker::noop(), sleeper);
        }
        controls.iter().for_each(|it| crew.enter(it));
        assert!(!controls[0].is_suspended());
        crew.suspend(true);
        assert!(controls.iter().all(|it| it.is_suspended()) && !crew.stands_still());
        sleepers[0].stands_still();
        sleepers[1].waits(true);
        assert!(!crew.stands_still());
        assert_eq!(crew.end_restless(), 1);
        assert!(sleepers[2].is_ended() && !sleepers[0].is_ended());
        sleepers[2].stands_still();
        assert!(crew.stands_still());
        crew.suspend(false);
        assert!(!controls[1].is_suspended());
        // The next time everybody is asked anew.
        crew.suspend(true);
        assert_eq!(controls[0].restless().len(), 2);
    }
}
