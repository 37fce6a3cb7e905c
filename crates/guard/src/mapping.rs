//! Owns one anonymous mapping of the process's own, with the advice that keeps it private.
#![allow(unsafe_code)]

use crate::books::BOOKS;
use rustix::mm::{Advice, MapFlags, MlockFlags, ProtFlags};
use rustix::mm::{madvise, mlock_with, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::Ordering;

/// A block of zeroed bytes in a mapping of its own: not in core dumps, zeros in a child, not in swap
/// if [`lock`](crate::lock) was called and the limit allowed it. Pages cost memory once they are
/// written to; dropping gives them back to the system, unwiped, which nobody else gets to see.
pub struct Block {
    /// Dangling if `len` is 0.
    start: NonNull<u8>,
    len: usize,
    /// What the kernel granted; decides what the books get back.
    granted: Granted,
}

/// Each is true if the kernel agreed.
#[derive(Clone, Copy, Default)]
struct Granted {
    undumped: bool,
    unshared: bool,
    locked: bool,
}

// SAFETY: a block owns its mapping alone; moving it to another thread moves nothing but a pointer.
unsafe impl Send for Block {}
// SAFETY: a shared block only gives out shared slices.
unsafe impl Sync for Block {}

impl Block {
    /// `len` zeros; without a mapping if `len` is 0.
    ///
    /// # Panics
    /// If the system has no more memory or mappings: the session that asked for them ends.
    pub fn new(len: usize) -> Self {
        if len == 0 {
            let (start, granted) = (NonNull::dangling(), Granted::default());
            return Self {
                start,
                len,
                granted,
            };
        }
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: the kernel chooses the address, so no other mapping is touched.
        let mapped = unsafe { mmap_anonymous(std::ptr::null_mut(), len, protection, flags) };
        let start = match mapped.map(NonNull::new) {
            Ok(Some(start)) => start.cast::<u8>(),
            Ok(None) => panic!("the system mapped {len} bytes at address 0"),
            Err(error) => panic!("no memory for {len} bytes: {error}"),
        };
        let address = start.as_ptr().cast::<c_void>();
        // SAFETY: the range is the mapping just made; none of the advice changes its bytes now.
        let granted = unsafe {
            Granted {
                undumped: madvise(address, len, Advice::LinuxDontDump).is_ok(),
                unshared: madvise(address, len, Advice::LinuxWipeOnFork).is_ok(),
                // Pages are locked as they are touched: an untouched one takes no memory.
                locked: BOOKS.locks.load(Ordering::Relaxed)
                    && mlock_with(address, len, MlockFlags::ONFAULT).is_ok(),
            }
        };
        let block = Self {
            start,
            len,
            granted,
        };
        block.book(|number, bytes| _ = number.fetch_add(bytes, Ordering::Relaxed));
        block
    }

    /// Whether it is kept out of swap.
    pub(crate) fn is_locked(&self) -> bool {
        self.granted.locked || self.len == 0
    }

    /// Enters the block into the books, or takes it out.
    fn book(&self, change: impl Fn(&std::sync::atomic::AtomicUsize, usize)) {
        let of = |condition: bool| if condition { self.len } else { 0 };
        change(&BOOKS.mapped, self.len);
        change(&BOOKS.locked, of(self.granted.locked));
        change(&BOOKS.dumpable, of(!self.granted.undumped));
        change(&BOOKS.inherited, of(!self.granted.unshared));
    }
}

impl Deref for Block {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping has `len` initialised bytes (or the pointer dangles and `len` is 0)
        // and lives as long as the block, whose shared borrow excludes writers.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Block {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; the exclusive borrow of the block is the only way to the bytes.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        self.book(|number, bytes| _ = number.fetch_sub(bytes, Ordering::Relaxed));
        // SAFETY: the mapping is this block's own, and no slice of it outlives the block.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast::<c_void>(), self.len) };
        debug_assert!(unmapped.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags of the mapping at an address (proc(5), smaps: VmFlags).
    fn flags_of(address: usize) -> String {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut here = false;
        for line in smaps.lines() {
            if let Some((range, _)) = line.split_once(' ')
                && let Some((from, to)) = range.split_once('-')
                && let (Ok(from), Ok(to)) = (
                    usize::from_str_radix(from, 16),
                    usize::from_str_radix(to, 16),
                )
            {
                here = (from..to).contains(&address);
            }
            if let (true, Some(flags)) = (here, line.strip_prefix("VmFlags:")) {
                return flags.to_owned();
            }
        }
        panic!("no mapping at {address:x}");
    }

    #[test]
    fn a_block_is_neither_dumped_nor_inherited_and_locked_on_request() {
        let mut block = Block::new(100_000);
        assert!(block.iter().all(|byte| *byte == 0));
        block[99_999] = 1;
        let flags = flags_of(block.as_ptr() as usize);
        assert!(flags.contains(" dd") && flags.contains(" wf"), "{flags}");
        assert_eq!(crate::lock(4096), Ok(()));
        let locked = Block::new(8192);
        let flags = flags_of(locked.as_ptr() as usize);
        assert!(flags.contains(" lo"), "{flags}");
        let held = crate::held();
        assert!(held.mapped >= 108_192 && held.locked >= 8192, "{held:?}");
        assert_eq!((held.dumpable, held.inherited), (0, 0));
    }

    #[test]
    fn an_empty_block_has_no_mapping() {
        let mut block = Block::new(0);
        assert!(block.is_empty());
        assert_eq!(&mut *block, &mut []);
    }
}
