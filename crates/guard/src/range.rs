//! Owns a range of addresses that is set aside once and opened bit by bit, for an allocator that has
//! to tell its own blocks from others' by their address.
#![allow(unsafe_code)]

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect};
use std::ffi::c_void;
use std::ptr::NonNull;

/// Addresses of the process's own, for its whole life: not in core dumps, zeros in a child. They cost
/// nothing before they are opened, and memory only where they are written to.
pub struct Range {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a range is two numbers; what lies there is the business of whoever opens it.
unsafe impl Send for Range {}
// SAFETY: as above.
unsafe impl Sync for Range {}

impl Range {
    /// Sets `len` bytes of addresses aside, a multiple of the page size.
    pub fn reserve(len: usize) -> Result<Range, Errno> {
        // SAFETY: the kernel chooses the address, so no other mapping is touched.
        let mapped = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                len,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        let start = NonNull::new(mapped.cast::<u8>()).ok_or(Errno::NOMEM)?;
        // SAFETY: the range is the mapping just made; the advice changes no byte. A kernel that
        // refuses it leaves them as other memory is.
        unsafe {
            let _ = madvise(mapped, len, Advice::LinuxDontDump);
            let _ = madvise(mapped, len, Advice::LinuxWipeOnFork);
        }
        Ok(Range { start, len })
    }

    /// The first address.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Makes zeros of `len` bytes from `from` on that can be read and written. Both are multiples of
    /// the page size.
    pub fn open(&self, from: usize, len: usize) -> Result<(), Errno> {
        let address = self.part(from, len)?;
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the pages are this range's own, and nobody loses access to them.
        unsafe { mprotect(address, len, access) }
    }

    /// Gives the memory of `len` bytes from `from` on back to the system; zeros are read there next.
    ///
    /// # Safety
    /// Nobody uses these bytes now.
    pub unsafe fn forget(&self, from: usize, len: usize) {
        if let Ok(address) = self.part(from, len) {
            // SAFETY: the pages are this range's own, private and without a file; that nobody uses
            // them is the caller's promise.
            let _ = unsafe { madvise(address, len, Advice::LinuxDontNeed) };
        }
    }

    fn part(&self, from: usize, len: usize) -> Result<*mut c_void, Errno> {
        match from.checked_add(len) {
            Some(end) if end <= self.len => {
                Ok(self.start.as_ptr().wrapping_add(from).cast::<c_void>())
            }
            _ => Err(Errno::INVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 1 << 16;

    #[test]
    fn a_range_is_opened_used_and_forgotten() {
        let range = Range::reserve(16 * PAGE).unwrap();
        assert!(range.open(PAGE, 16 * PAGE).is_err(), "beyond its end");
        range.open(0, 2 * PAGE).unwrap();
        // SAFETY: two pages were opened, and only this test knows them.
        unsafe {
            let byte = range.start().as_ptr().add(2 * PAGE - 1);
            assert_eq!(byte.read(), 0);
            byte.write(7);
            range.forget(0, PAGE);
            assert_eq!(byte.read(), 7);
            range.forget(PAGE, PAGE);
            assert_eq!(byte.read(), 0);
        }
    }
}
