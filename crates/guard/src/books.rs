//! Owns the allocator's books: how much is mapped, how much of it is locked, and what the kernel
//! refused.

use crate::mapping::Block;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The books of the process. Numbers are bytes and stand for themselves: nothing is ordered by them.
pub(crate) static BOOKS: Books = Books {
    locks: AtomicBool::new(false),
    mapped: AtomicUsize::new(0),
    locked: AtomicUsize::new(0),
    dumpable: AtomicUsize::new(0),
    inherited: AtomicUsize::new(0),
};

pub(crate) struct Books {
    /// Whether new mappings are locked.
    pub(crate) locks: AtomicBool,
    pub(crate) mapped: AtomicUsize,
    pub(crate) locked: AtomicUsize,
    /// Mapped, but MADV_DONTDUMP was refused.
    pub(crate) dumpable: AtomicUsize,
    /// Mapped, but MADV_WIPEONFORK was refused.
    pub(crate) inherited: AtomicUsize,
}

/// Guarded memory in use or kept for use, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// All of it.
    pub mapped: usize,
    /// What can't be swapped out.
    pub locked: usize,
    /// What the kernel would write into a core dump all the same (it refused MADV_DONTDUMP).
    pub dumpable: usize,
    /// What a child would see all the same (it refused MADV_WIPEONFORK).
    pub inherited: usize,
}

/// The kernel does not let so much memory be locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotLockable {
    /// Bytes that were asked for.
    pub least: usize,
}

/// From now on guarded memory is kept out of swap. Tries first whether `least` bytes can be locked
/// (RLIMIT_MEMLOCK, CAP_IPC_LOCK); if not, nothing changes. Beyond that, what the kernel refuses is
/// used unlocked and stands in the books. What was mapped before stays as it is, so call it early.
pub fn lock(least: usize) -> Result<(), NotLockable> {
    let before = BOOKS.locks.swap(true, Ordering::Relaxed);
    if Block::new(least).is_locked() {
        return Ok(());
    }
    BOOKS.locks.store(before, Ordering::Relaxed);
    Err(NotLockable { least })
}

/// What is held now.
pub fn held() -> Held {
    let read = |number: &AtomicUsize| number.load(Ordering::Relaxed);
    Held {
        mapped: read(&BOOKS.mapped),
        locked: read(&BOOKS.locked),
        dumpable: read(&BOOKS.dumpable),
        inherited: read(&BOOKS.inherited),
    }
}
