//! Owns a few free blocks for each thread that moves data: libssl allocates and frees eight small
//! blocks for each transaction, and most of what malloc and free do for them is to find out where
//! they belong.
//!
//! Every block comes from malloc and may go back to it at any time: one that was allocated elsewhere
//! is kept as well as one's own. Kept blocks hold what the owner left in them, as blocks in malloc's
//! own lists do; so only threads that need not wipe have a cache. Bounded at 20 KiB for a thread, and
//! given back when it ends.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

/// Blocks of class `n` have at least `16 * n + 8` bytes: what malloc of glibc gives. Class 0, too
/// small for a [`Kept`], stays empty.
const CLASSES: usize = 17;
/// Blocks kept of each class.
const KEPT_MAX: u32 = 8;

/// What lies in a free block.
struct Kept {
    next: *mut Kept,
    /// The list in which it is, so that a block which is freed twice is noticed.
    list: *const List,
}

struct List {
    first: Cell<*mut Kept>,
    /// How many more it takes; 0 on threads without a cache.
    room: Cell<u32>,
}

/// Empties this thread's cache at its end.
struct Ending;

thread_local! {
    // Without a destructor of its own, so that access is one instruction.
    static LISTS: [List; CLASSES] = const {
        [const { List { first: Cell::new(ptr::null_mut()), room: Cell::new(0) } }; CLASSES]
    };
    static ENDING: Ending = const { Ending };
}

/// Lets this thread keep blocks, until it ends.
pub(super) fn open() {
    // From now on the destructor is due.
    ENDING.with(|_| ());
    LISTS.with(|lists| {
        lists
            .iter()
            .skip(1)
            .for_each(|list| list.room.set(KEPT_MAX))
    });
}

/// A block of at least `size` bytes that was kept, or null.
#[inline]
pub(super) fn take(size: usize) -> *mut c_void {
    let class = size.saturating_add(7) / 16;
    LISTS.with(|lists| {
        let Some(list) = lists.get(class) else {
            return ptr::null_mut();
        };
        let first = list.first.get();
        if first.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: what is in a list is a free block that `keep` has made a `Kept` of; it is nobody
        // else's, as lists are of one thread.
        unsafe {
            list.first.set((*first).next);
            (*first).list = ptr::null();
        }
        list.room.set(list.room.get() + 1);
        first.cast()
    })
}

/// Keeps a block instead of freeing it; false if it is not wanted.
///
/// # Safety
/// `block` came from malloc, has `usable` bytes, and is not used again if it was kept.
#[inline]
pub(super) unsafe fn keep(block: *mut c_void, usable: usize) -> bool {
    let class = usable.saturating_sub(8) / 16;
    LISTS.with(|lists| {
        let Some(list) = lists.get(class).filter(|list| list.room.get() > 0) else {
            return false;
        };
        let kept = block.cast::<Kept>();
        // SAFETY: lists with room are of class 1 and more, so that the block has room for a `Kept`;
        // malloc aligns all blocks for it. The bytes may be anything, which pointers may, too, as
        // long as nobody follows them.
        unsafe {
            if ptr::eq((*kept).list, list) && holds(list, kept) {
                // Freed twice: malloc ends the process, too.
                std::process::abort();
            }
            (*kept).next = list.first.get();
            (*kept).list = list;
        }
        list.first.set(kept);
        list.room.set(list.room.get() - 1);
        true
    })
}

/// True if the block is in the list already. Its owner may have left the list's address in it by
/// chance.
#[cold]
fn holds(list: &List, block: *mut Kept) -> bool {
    let mut at = list.first.get();
    while !at.is_null() {
        if at == block {
            return true;
        }
        // SAFETY: as in `take`.
        at = unsafe { (*at).next };
    }
    false
}

impl Drop for Ending {
    fn drop(&mut self) {
        LISTS.with(|lists| {
            for (class, list) in lists.iter().enumerate() {
                loop {
                    let block = take(16 * class);
                    if block.is_null() {
                        break;
                    }
                    // SAFETY: it came from malloc, and nobody has it any more.
                    unsafe { super::free(block) };
                }
                list.room.set(0);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{allocate, malloc_usable_size, resize, wipe_and_free};
    use super::*;
    use proptest::prelude::*;
    use std::thread;

    /// Bytes kept by this thread.
    fn kept() -> (usize, usize) {
        LISTS.with(|lists| {
            let (mut blocks, mut bytes) = (0, 0);
            for list in lists {
                let mut at = list.first.get();
                while !at.is_null() {
                    blocks += 1;
                    // SAFETY: blocks in a list are live for malloc.
                    unsafe {
                        bytes += malloc_usable_size(at.cast());
                        at = (*at).next;
                    }
                }
            }
            (blocks, bytes)
        })
    }

    fn new(size: usize) -> *mut c_void {
        allocate(size, ptr::null(), 0)
    }

    fn done(block: *mut c_void) {
        // SAFETY: the tests free what they allocated, once.
        unsafe { wipe_and_free(block, ptr::null(), 0) };
    }

    #[derive(Debug, Clone)]
    enum Step {
        New(usize),
        Done(usize),
        Resize(usize, usize),
        /// Freed by another thread with a cache.
        DoneElsewhere(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let size = || prop_oneof![8 => 0usize..300, 1 => 300usize..5000];
        let step = prop_oneof![
            4 => size().prop_map(Step::New),
            3 => any::<usize>().prop_map(Step::Done),
            1 => (any::<usize>(), 1usize..400).prop_map(|(at, size)| Step::Resize(at, size)),
            1 => any::<usize>().prop_map(Step::DoneElsewhere),
        ];
        prop::collection::vec(step, 1..120)
    }

    /// A block of a test: where, how long, and the byte that it is filled with.
    struct Live(*mut c_void, usize, u8);

    // SAFETY: a block of malloc may be used by any thread, one at a time.
    unsafe impl Send for Live {}

    impl Live {
        fn fill(self) -> Live {
            // SAFETY: the block has so many bytes.
            unsafe { ptr::write_bytes(self.0.cast::<u8>(), self.2, self.1) };
            self
        }

        fn is_whole(&self, len: usize) -> bool {
            // SAFETY: the block has so many bytes, which `fill` has written.
            let bytes = unsafe { std::slice::from_raw_parts(self.0.cast::<u8>(), len) };
            bytes.iter().all(|byte| *byte == self.2)
        }
    }

    fn carry_out(steps: Vec<Step>) -> Result<(), TestCaseError> {
        let mut live: Vec<Live> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            let fill = number as u8;
            match step {
                Step::New(size) => live.push(Live(new(size), size, fill).fill()),
                Step::Done(at) if !live.is_empty() => {
                    let block = live.swap_remove(at % live.len());
                    prop_assert!(block.is_whole(block.1));
                    done(block.0);
                }
                Step::Resize(at, size) if !live.is_empty() => {
                    let Live(block, before, fill) = live.swap_remove(at % live.len());
                    // SAFETY: the block is live, and its old place not used again.
                    let block = unsafe { resize(block, size, ptr::null(), 0) };
                    let moved = Live(block, size, fill);
                    prop_assert!(moved.is_whole(before.min(size)));
                    live.push(moved.fill());
                }
                Step::DoneElsewhere(at) if !live.is_empty() => {
                    let block = live.swap_remove(at % live.len());
                    let elsewhere = move || {
                        super::super::spare_wiping();
                        let block = block;
                        done(block.0);
                        // One of its own may be the same again.
                        done(new(block.1));
                    };
                    thread::spawn(elsewhere).join().unwrap();
                }
                _ => {}
            }
            prop_assert!(kept().1 <= 20 * 1024);
        }
        for block in live {
            prop_assert!(block.is_whole(block.1));
            done(block.0);
        }
        Ok(())
    }

    proptest! {
        /// Whatever is allocated, resized and freed, here or elsewhere: no two live blocks overlap.
        #[test]
        fn blocks_are_whole_and_of_one_owner(steps in steps()) {
            let carried = thread::spawn(|| {
                super::super::spare_wiping();
                carry_out(steps)
            });
            carried.join().unwrap()?;
        }
    }

    #[test]
    fn a_block_comes_back_until_the_cache_is_full() {
        let caching = || {
            super::super::spare_wiping();
            let blocks: Vec<_> = (0..40).map(|_| new(48)).collect();
            blocks.iter().copied().for_each(done);
            // malloc may have given some that are a little larger, of the next class.
            let full = kept().0;
            assert!((KEPT_MAX as usize..40).contains(&full), "{full}");
            let again = new(48);
            assert!(blocks.contains(&again));
            assert_eq!(kept().0, full - 1);
            done(again);
            assert_eq!(kept().0, full);
            drop(Ending);
            assert_eq!(kept().0, 0);
            done(new(48));
            assert_eq!(kept().0, 0, "closed");
        };
        thread::spawn(caching).join().unwrap();
    }

    #[test]
    fn a_block_freed_twice_is_noticed() {
        let caching = || {
            super::super::spare_wiping();
            let blocks = [new(48), new(48), new(48)];
            blocks.into_iter().for_each(done);
            LISTS.with(|lists| {
                for block in blocks {
                    // SAFETY: the block is kept, and so live for malloc.
                    let usable = unsafe { malloc_usable_size(block) };
                    let (list, block) = (&lists[(usable - 8) / 16], block.cast::<Kept>());
                    // SAFETY: as above.
                    assert!(ptr::eq(unsafe { (*block).list }, list) && holds(list, block));
                    assert!(!holds(list, ptr::dangling_mut()));
                }
            });
        };
        thread::spawn(caching).join().unwrap();
    }

    #[test]
    fn threads_that_wipe_keep_nothing() {
        let wiping = || {
            done(new(48));
            assert_eq!(kept().0, 0);
        };
        thread::spawn(wiping).join().unwrap();
    }
}
