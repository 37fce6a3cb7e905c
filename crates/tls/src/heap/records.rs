//! Owns where libssl's record buffers lie: in places of one size, beside the heap.
//!
//! A connection has two of them, 17 KiB each, while it is active. In the heap they would leave holes
//! between what idle connections keep, and of each hole the system gets only the whole pages back:
//! some kilobytes for each connection are lost. Here all pages of a place go back. And what was
//! decrypted in them is in no core dump.
//!
//! libssl overwrites a whole read buffer before it frees it, of which most connections never touched
//! but the first page: that costs the others' memory, and more time than all else about it. So who reads
//! notes how far ([`reached`]), and that much is overwritten here when the place is left. It is libssl's
//! work all the same wherever a buffer may lie elsewhere.
//!
//! Shared by all threads: places are taken and left when connections wake and rest, not with data.

use guard::Range;
use std::ffi::c_void;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Bytes of a place; what a buffer doesn't touch of them costs nothing.
pub(super) const PLACE: usize = 24 * 1024;
/// Smaller blocks belong into the heap.
const SMALLEST: usize = 8 * 1024;
/// Places made usable at once.
const STEP: u32 = 64;
/// Places that there may be; more buffers lie in the heap.
const PLACES: u32 = 1 << 19;

/// Bytes of all places.
const LEN: usize = PLACE * PLACES as usize;

/// The first address of the range; 0 before [`reserve`], and where the system gave none.
static START: AtomicUsize = AtomicUsize::new(0);
static RANGE: OnceLock<Range> = OnceLock::new();
static FREE: Mutex<Free> = Mutex::new(Free {
    warm: Vec::new(),
    cold: Vec::new(),
    usable: 0,
});

/// How many bytes of each place were read into since it was taken.
static REACHED: [AtomicU16; PLACES as usize] = [const { AtomicU16::new(0) }; PLACES as usize];

// What lies in a place is at most its size.
const _: () = assert!(PLACE <= u16::MAX as usize);

/// Places that nobody has.
struct Free {
    /// Left since memory was last given back.
    warm: Vec<u32>,
    /// Without memory.
    cold: Vec<u32>,
    /// Places from this one on were never used.
    usable: u32,
}

fn free() -> MutexGuard<'static, Free> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the addresses aside. Where a limit forbids it (RLIMIT_AS), buffers lie in the heap.
pub(super) fn reserve() {
    if let Ok(range) = Range::reserve(LEN) {
        let start = range.start().as_ptr() as usize;
        if RANGE.set(range).is_ok() {
            START.store(start, Ordering::Release);
        }
    }
}

/// The number of the place that a block is; `None` for blocks of the heap.
#[inline]
pub(super) fn number(block: *const c_void) -> Option<u32> {
    let start = START.load(Ordering::Relaxed);
    let from = (block as usize).wrapping_sub(start);
    if start == 0 || from >= LEN {
        return None;
    }
    u32::try_from(from / PLACE).ok()
}

/// Notes that `bytes` of a connection were put into a buffer; false if it is in no place, so that nobody
/// else overwrites them when it is freed.
#[inline]
pub(crate) fn reached(bytes: &[u8]) -> bool {
    let end = bytes.as_ptr_range().end as usize;
    let Some(number) = number(bytes.as_ptr().cast()) else {
        return false;
    };
    let from = START.load(Ordering::Relaxed) + PLACE * number as usize;
    // One thread at a time has the buffer.
    if let (Some(mark), Ok(reached)) = (REACHED.get(number as usize), u16::try_from(end - from)) {
        if mark.load(Ordering::Relaxed) < reached {
            mark.store(reached, Ordering::Relaxed);
        }
        return true;
    }
    false
}

/// Where a record lies in libssl's read buffer, in one piece.
pub(crate) struct Whole {
    end: *mut u8,
    len: usize,
}

// SAFETY: an address and a length; whoever overwrites has the connection, and with it the buffer.
unsafe impl Send for Whole {}
// SAFETY: nothing is done through a shared one.
unsafe impl Sync for Whole {}

impl Whole {
    /// No record.
    pub(crate) const NONE: Whole = Whole {
        end: ptr::null_mut(),
        len: 0,
    };

    /// A record of `len` bytes that ends with these; with 0 none does.
    #[inline]
    pub(crate) fn ending_with(last: &mut [u8], len: usize) -> Whole {
        let end = last.as_mut_ptr_range().end;
        Whole { end, len }
    }

    /// Overwrites it, once.
    ///
    /// # Safety
    /// The buffer is still there, and all that was in the record has been taken out.
    #[inline]
    pub(crate) unsafe fn overwrite(&mut self) {
        let Whole { end, len } = mem::replace(self, Whole::NONE);
        if len == 0 {
            return;
        }
        let start = end.wrapping_sub(len);
        // SAFETY: the caller's promise; libssl decrypts records where they lie, in one piece, and so has all of this
        // one in front of its end.
        unsafe { ptr::write_bytes(start, 0, len) };
        // As in `free_block`: the zeros count as seen.
        std::hint::black_box(start);
    }
}

/// A place for a block of this size, or null.
#[inline]
pub(super) fn take(size: usize) -> *mut c_void {
    match (SMALLEST..=PLACE).contains(&size) && START.load(Ordering::Acquire) != 0 {
        true => place(),
        false => ptr::null_mut(),
    }
}

fn place() -> *mut c_void {
    let Some(range) = RANGE.get() else {
        return ptr::null_mut();
    };
    let mut free = free();
    let kept = free.warm.pop().or_else(|| free.cold.pop());
    let Some(number) = kept.or_else(|| free.open(range)) else {
        return ptr::null_mut();
    };
    let from = PLACE * number as usize;
    range.start().as_ptr().wrapping_add(from).cast()
}

impl Free {
    /// Makes more places usable, and gives the first.
    fn open(&mut self, range: &Range) -> Option<u32> {
        let first = self.usable;
        if first >= PLACES {
            return None;
        }
        let step = PLACE * STEP as usize;
        range.open(PLACE * first as usize, step).ok()?;
        self.usable += STEP;
        self.cold.extend((first + 1..first + STEP).rev());
        Some(first)
    }
}

/// Takes a place back, and overwrites what was read into it.
///
/// # Safety
/// It was taken, and is not used again.
pub(super) unsafe fn leave(number: u32) {
    // SAFETY: the caller's promise.
    unsafe { overwrite(number) };
    free().warm.push(number);
}

/// # Safety
/// The place was taken, and nobody uses what was read into it.
unsafe fn overwrite(number: u32) {
    let mark = REACHED.get(number as usize);
    let reached = mark.map_or(0, |mark| mark.swap(0, Ordering::Relaxed));
    if let (Some(range), true) = (RANGE.get(), reached > 0) {
        let start = range.start().as_ptr();
        let start = start.wrapping_add(PLACE * number as usize);
        // SAFETY: the place is the caller's to give, and has at least so many bytes.
        unsafe { ptr::write_bytes(start, 0, usize::from(reached)) };
        // As in `free_block`: the zeros count as seen.
        std::hint::black_box(start);
    }
}

/// Gives the memory of all places that nobody has back to the system.
pub(crate) fn give_back() {
    let Some(range) = RANGE.get() else { return };
    let warm = mem::take(&mut free().warm);
    for number in &warm {
        // SAFETY: nobody has the place: it was in the list of free ones, and is in none now.
        unsafe { range.forget(PLACE * *number as usize, PLACE) };
    }
    free().cold.extend(warm);
}

#[cfg(test)]
mod tests {
    use super::super::{allocate, resize, wipe_and_free};
    use super::*;

    /// The only test that makes the range: it is one for the process.
    #[test]
    fn buffers_lie_in_places_and_everything_else_in_the_heap() {
        assert!(allocate(17_000, ptr::null(), 0) as usize != 0 && RANGE.get().is_none());
        reserve();
        let new = |size| allocate(size, ptr::null(), 0);
        // SAFETY: blocks are freed once, and used within their size alone.
        unsafe {
            let done = |block| wipe_and_free(block, ptr::null(), 0);
            let mut blocks = Vec::new();
            for at in 0..300_u32 {
                let block = new(17_000).cast::<u8>();
                assert!(number(block.cast()).is_some());
                ptr::write_bytes(block, at as u8, 17_000);
                blocks.push(block);
            }
            for (at, block) in blocks.iter().enumerate() {
                assert_eq!(block.add(16_999).read(), at as u8);
                assert_eq!(block.read(), at as u8);
            }
            for (size, placed) in [(100, false), (8_000, false), (9_000, true), (24_577, false)] {
                let block = new(size);
                assert_eq!(number(block).is_some(), placed, "{size}");
                done(block);
            }
            // Out of a place and into one.
            let block = blocks.pop().unwrap();
            let large = resize(block.cast(), 40_000, ptr::null(), 0);
            assert!(number(large).is_none());
            assert_eq!(large.cast::<u8>().add(16_999).read(), 43);
            let back = resize(large, 16_000, ptr::null(), 0);
            assert!(number(back).is_some());
            assert_eq!(back.cast::<u8>().add(15_999).read(), 43);
            done(back);
            // What is left is used again before there is more, and is empty in between.
            blocks.into_iter().for_each(|block| done(block.cast()));
            let usable = free().usable;
            give_back();
            assert!(free().warm.is_empty());
            let again: Vec<_> = (0..300).map(|_| new(17_000)).collect();
            for block in &again {
                assert_eq!(block.cast::<u8>().add(16_999).read(), 0);
            }
            assert_eq!(free().usable, usable);
            again.into_iter().for_each(done);
        }
        std::thread::spawn(what_was_read_is_overwritten)
            .join()
            .unwrap();
    }

    /// On a thread that spares wiping: what was read into a place goes, and no more of it is touched.
    fn what_was_read_is_overwritten() {
        super::super::spare_wiping();
        // SAFETY: the block is freed once, at the end, and used within its size alone.
        unsafe {
            let block = allocate(17_000, ptr::null(), 0).cast::<u8>();
            ptr::write_bytes(block, 9, 17_000);
            let bytes = std::slice::from_raw_parts(block, 17_000);
            assert!(reached(&bytes[3..200]) && reached(&bytes[5..150]));
            assert!(!reached(&[7; 40]), "not in a place");
            let place = number(block.cast()).unwrap();
            assert_eq!(REACHED[place as usize].load(Ordering::Relaxed), 200);
            overwrite(place);
            let bytes = std::slice::from_raw_parts(block, 17_000);
            assert!(bytes[..200].iter().all(|byte| *byte == 0));
            assert!(bytes[200..].iter().all(|byte| *byte == 9));
            assert_eq!(REACHED[place as usize].load(Ordering::Relaxed), 0);
            wipe_and_free(block.cast(), ptr::null(), 0);
        }
    }
}
