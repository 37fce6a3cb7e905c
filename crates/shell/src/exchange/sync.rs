//! Owns what the exchange locks, counts and calls with; the test of its interleavings puts its own in place.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
pub(super) use tokio::sync::oneshot;
