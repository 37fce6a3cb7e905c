//! Owns what all pools have in common: how many connections each role has, which pools stand in line for
//! one more, and the way from one pool to the others.
//!
//! Its locks are held for a few instructions and under no other order than: a pool's, then the counts'.
//! A connection that only changes hands asks for none of them unless the role has a limit, and then for
//! one number.

use super::place::Place;
use super::sync::{Arc, AtomicBool, AtomicUsize, Mutex, MutexGuard, Ordering, PoisonError, Weak};
use pool::{Census, Group, PoolId, Roles};

/// The counts of all roles.
#[derive(Default)]
struct Tally {
    roles: Mutex<Roles>,
    /// Whether any pool stands in line.
    stands: AtomicBool,
    /// Whether a line has to be looked at.
    due: AtomicBool,
}

impl Tally {
    fn with<T>(&self, change: impl FnOnce(&mut Roles) -> T) -> T {
        let mut roles = self.lock();
        let done = change(&mut roles);
        self.stands.store(roles.standing() > 0, Ordering::Release);
        self.due.store(roles.is_any_due(), Ordering::Release);
        done
    }

    fn lock(&self) -> MutexGuard<'_, Roles> {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One pool's way to the counts.
pub(super) struct Roll {
    tally: Arc<Tally>,
    pool: PoolId,
}

impl Census for Roll {
    fn enter(&self, group: Group, max: Option<usize>) -> bool {
        self.tally.with(|roles| roles.enter(group, max, self.pool))
    }

    fn enter_ahead_of_need(&self, group: Group, max: Option<usize>) -> bool {
        self.tally
            .with(|roles| roles.enter_ahead_of_need(group, max))
    }

    fn leave(&self, group: Group) {
        self.tally.with(|roles| roles.leave(group));
    }

    fn is_pressed(&self, group: Group) -> bool {
        self.tally.stands.load(Ordering::Acquire) && self.tally.lock().is_pressed(group, self.pool)
    }
}

/// Where all pools meet.
pub struct Hall<C> {
    tally: Arc<Tally>,
    places: Mutex<Vec<(PoolId, Weak<Place<C>>)>>,
    numbers: AtomicUsize,
}

impl<C> Default for Hall<C> {
    fn default() -> Self {
        Hall {
            tally: Arc::default(),
            places: Mutex::new(Vec::new()),
            numbers: AtomicUsize::new(0),
        }
    }
}

impl<C> Hall<C> {
    /// For a new pool.
    pub(super) fn roll(&self) -> Roll {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        Roll {
            tally: Arc::clone(&self.tally),
            pool: PoolId(number as u64),
        }
    }

    /// The pool that this roll was for is there.
    pub(super) fn open(&self, id: PoolId, place: &Arc<Place<C>>) {
        let mut places = self.lock();
        places.retain(|(_, place)| place.strong_count() > 0);
        places.push((id, Arc::downgrade(place)));
    }

    /// Has everybody served who waits for a role's connection in one pool since one has ended in another,
    /// or rests there. Not to be called under a pool's lock.
    #[inline]
    pub(super) fn settle(&self) {
        if self.tally.due.load(Ordering::Acquire) {
            self.settle_now();
        }
    }

    /// The same when somebody has left a pool's queue.
    pub(super) fn look_again(&self) {
        if self.tally.stands.load(Ordering::Acquire) {
            self.tally.with(Roles::look_again);
            self.settle_now();
        }
    }

    #[cold]
    fn settle_now(&self) {
        while let Some(group) = self.tally.with(Roles::next_due) {
            while let Some(first) = self.first(group) {
                let place = self.find(first);
                if let Some(place) = &place {
                    place.serve_those_who_wait();
                    if self.first(group) != Some(first) {
                        continue;
                    }
                    if place.is_held_up(group) {
                        match self.others(first).iter().any(|it| it.yield_one(group)) {
                            true => continue,
                            false => break,
                        }
                    }
                }
                self.tally.with(|roles| roles.step_out(group, first));
            }
        }
    }

    fn first(&self, group: Group) -> Option<PoolId> {
        self.tally.lock().first(group)
    }

    fn find(&self, id: PoolId) -> Option<Arc<Place<C>>> {
        let places = self.lock();
        let found = places.iter().find(|(other, _)| *other == id)?;
        found.1.upgrade()
    }

    fn others(&self, id: PoolId) -> Vec<Arc<Place<C>>> {
        let places = self.lock();
        let others = places.iter().filter(|(other, _)| *other != id);
        others.filter_map(|(_, place)| place.upgrade()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(PoolId, Weak<Place<C>>)>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Roll {
    /// The pool that it is for.
    pub(super) fn pool(&self) -> PoolId {
        self.pool
    }
}
