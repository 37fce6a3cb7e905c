//! Owns the exchange's own files, with the locks, numbers and calls of the model checker in place of the real
//! ones, and pools to try them with.

#[path = "../../src/exchange/hall.rs"]
mod hall;
#[path = "../../src/exchange/lease.rs"]
mod lease;
#[path = "../../src/exchange/numbered.rs"]
mod numbered;
#[path = "../../src/exchange/place.rs"]
mod place;

pub use hall::Hall;
pub use lease::{Leased, Lent, Turn};
pub use place::Place;

use crate::Connection;
use crate::trouble::Trouble;
use place::Shared;
use pool::{Bounds, Pool};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use sync::{Arc, AtomicU64, AtomicUsize, Mutex};

const LONG: Duration = Duration::from_secs(60);

/// It stands still.
pub struct Clock;

impl Clock {
    fn at(&self, _: Instant) -> Duration {
        Duration::ZERO
    }
}

/// A pool with so many connections.
pub fn pool_of(hall: &Arc<Hall<Connection>>, connections_max: usize) -> Arc<Place<Connection>> {
    let bounds = Bounds {
        connections_max: Some(connections_max),
        resting_max: 10,
        rest_max: None,
        wait_max: LONG,
    };
    let roll = hall.roll();
    let id = roll.pool();
    let place = Arc::new(Place {
        standby: None,
        busy: None,
        shared: Mutex::new(Shared {
            leading: place::Leading::Configured,
            pool: Pool::new(bounds, roll),
            resting: HashMap::default(),
            waiters: HashMap::default(),
            fingerprint: [0; 32],
        }),
        hall: Arc::clone(hall),
        clock: Clock,
        generation: AtomicU64::new(0),
        pinned: AtomicUsize::new(0),
        trouble: Trouble,
    });
    hall.open(id, &place);
    place
}

/// What is left in a pool: connections lent, resting, those who wait, and the calls for them.
pub fn left(place: &Place<Connection>) -> [usize; 4] {
    let shared = place.lock();
    let pool = &shared.pool;
    assert_eq!(pool.resting(), shared.resting.len());
    [
        pool.lent(),
        pool.resting(),
        pool.waiting(),
        shared.waiters.len(),
    ]
}

pub mod sync {
    //! What the model checker switches threads at.

    pub use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub use loom::sync::{Mutex, MutexGuard};
    pub use std::sync::{Arc, PoisonError, Weak};

    pub mod oneshot {
        //! A value for somebody who may have left: as tokio's.

        use super::{Arc, Mutex, MutexGuard, PoisonError};
        use std::future::Future;
        use std::pin::Pin;
        use std::task::{Context, Poll};

        enum Slot<T> {
            Awaited,
            Sent(T),
            Left,
        }

        type Shared<T> = Arc<Mutex<Slot<T>>>;

        pub struct Sender<T>(Shared<T>);
        pub struct Receiver<T>(Shared<T>);
        pub struct Dropped;

        pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
            let slot = Arc::new(Mutex::new(Slot::Awaited));
            (Sender(Arc::clone(&slot)), Receiver(slot))
        }

        fn lock<T>(slot: &Shared<T>) -> MutexGuard<'_, Slot<T>> {
            slot.lock().unwrap_or_else(PoisonError::into_inner)
        }

        impl<T> Sender<T> {
            pub fn send(self, value: T) -> Result<(), T> {
                let mut slot = lock(&self.0);
                if matches!(*slot, Slot::Left) {
                    return Err(value);
                }
                *slot = Slot::Sent(value);
                Ok(())
            }
        }

        impl<T> Receiver<T> {
            pub fn close(&mut self) {
                let mut slot = lock(&self.0);
                if matches!(*slot, Slot::Awaited) {
                    *slot = Slot::Left;
                }
            }

            pub fn try_recv(&mut self) -> Result<T, Dropped> {
                let mut slot = lock(&self.0);
                match std::mem::replace(&mut *slot, Slot::Left) {
                    Slot::Sent(value) => Ok(value),
                    Slot::Awaited | Slot::Left => Err(Dropped),
                }
            }
        }

        impl<T> Future for Receiver<T> {
            type Output = Result<T, Dropped>;

            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
                let mut slot = lock(&self.0);
                match std::mem::replace(&mut *slot, Slot::Awaited) {
                    Slot::Sent(value) => Poll::Ready(Ok(value)),
                    Slot::Awaited => Poll::Pending,
                    Slot::Left => Poll::Ready(Err(Dropped)),
                }
            }
        }

        impl<T> Drop for Receiver<T> {
            fn drop(&mut self) {
                let before = std::mem::replace(&mut *lock(&self.0), Slot::Left);
                drop(before);
            }
        }
    }
}
