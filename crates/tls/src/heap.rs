//! Owns where libcrypto keeps its memory: private keys in a secure heap, locked and left out of core
//! dumps; record buffers beside the heap; all else in the C heap. What is freed is overwritten by
//! threads that handle keys.
//!
//! Both are choices for the whole process that libcrypto takes only before its first allocation:
//! [`guard_keys`] is for the first line of a program.
#![allow(unsafe_code)]

mod cache;
pub(crate) mod records;

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

thread_local! {
    /// Whether this thread overwrites what libcrypto frees.
    static WIPES: Cell<bool> = const { Cell::new(true) };
}

/// Bytes for private keys: some hundred RSA keys of 4096 bits, or a thousand of other kinds. It is
/// never more, and costs memory only where it is used.
const SIZE: usize = 1 << 20;
/// The smallest block.
const BLOCK_MIN: usize = 32;

type Allocate = extern "C" fn(usize, *const c_char, c_int) -> *mut c_void;
type Resize = unsafe extern "C" fn(*mut c_void, usize, *const c_char, c_int) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void, *const c_char, c_int);

unsafe extern "C" {
    /// openssl/crypto.h; OPENSSL_malloc(3)
    fn CRYPTO_set_mem_functions(allocate: Allocate, resize: Resize, free: Free) -> c_int;
    /// openssl/crypto.h; OPENSSL_secure_malloc(3)
    fn CRYPTO_secure_malloc_init(size: usize, smallest: usize) -> c_int;
    /// openssl/crypto.h; OPENSSL_secure_malloc(3)
    fn CRYPTO_secure_used() -> usize;
    /// stdlib.h
    fn malloc(size: usize) -> *mut c_void;
    /// stdlib.h
    fn free(block: *mut c_void);
    /// malloc.h; malloc_usable_size(3), in glibc and musl
    fn malloc_usable_size(block: *mut c_void) -> usize;
}

/// How well private keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHeap {
    /// Guard pages around them, not in core dumps, not in swap.
    Locked,
    /// The same, but the system did not allow to lock (RLIMIT_MEMLOCK): they may get into swap.
    NotLocked,
}

/// Why private keys would lie among everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyHeapFault {
    /// libcrypto has allocated already, or was built otherwise.
    #[error(
        "OpenSSL does not let its memory be wiped as it is freed: it was used before, or it was \
         built without CRYPTO_set_mem_functions"
    )]
    Functions,
    /// No memory, or a build of OpenSSL without a secure heap.
    #[error(
        "OpenSSL cannot make its secure heap of {SIZE} bytes for private keys: the system gives no \
         memory (RLIMIT_AS, a container's limit), or OpenSSL was built without it (no-secure-memory)"
    )]
    Heap,
}

/// Makes libcrypto keep private keys in a heap of their own and overwrite what it frees. For the
/// first line of a program, before any other use of OpenSSL.
pub fn guard_keys() -> Result<KeyHeap, KeyHeapFault> {
    // SAFETY: the three functions keep the contract of malloc, realloc and free with each other,
    // and libcrypto refuses them if a block of another allocator exists.
    if unsafe { CRYPTO_set_mem_functions(allocate, resize, wipe_and_free) } != 1 {
        return Err(KeyHeapFault::Functions);
    }
    records::reserve();
    // SAFETY: both numbers are powers of two, as the function demands; it is called once, as the
    // call above succeeds only before libcrypto's first allocation.
    match unsafe { CRYPTO_secure_malloc_init(SIZE, BLOCK_MIN) } {
        1 => Ok(KeyHeap::Locked),
        2 => Ok(KeyHeap::NotLocked),
        _ => Err(KeyHeapFault::Heap),
    }
}

/// From now on this thread does not overwrite what libcrypto frees: for threads that move data and
/// decode no private keys. libssl allocates and frees some small blocks for each record, with nothing
/// of its content, and wipes by itself what it decrypted and what it derived. A few of these are kept
/// for the next record until the thread ends.
pub fn spare_wiping() {
    WIPES.set(false);
    cache::open();
}

/// Bytes of the secure heap in use; 0 without one. It grows with each private key that is loaded.
pub fn key_bytes() -> usize {
    // SAFETY: takes nothing; reads a counter under libcrypto's own lock.
    unsafe { CRYPTO_secure_used() }
}

extern "C" fn allocate(size: usize, _: *const c_char, _: c_int) -> *mut c_void {
    let kept = cache::take(size);
    if !kept.is_null() {
        return kept;
    }
    let place = records::take(size);
    if !place.is_null() {
        return place;
    }
    // SAFETY: malloc takes any size.
    unsafe { malloc(size) }
}

/// # Safety
/// `block` is null or a live block of `allocate` or `resize`.
unsafe extern "C" fn resize(
    block: *mut c_void,
    size: usize,
    file: *const c_char,
    line: c_int,
) -> *mut c_void {
    if block.is_null() {
        return allocate(size, file, line);
    }
    if size == 0 {
        // SAFETY: the caller's promise; the block is not used again.
        unsafe { wipe_and_free(block, file, line) };
        return ptr::null_mut();
    }
    let usable = match records::number(block) {
        Some(_) => records::PLACE,
        // SAFETY: the block is live and came from malloc.
        None => unsafe { malloc_usable_size(block) },
    };
    if (usable / 2..=usable).contains(&size) {
        return block;
    }
    let moved = allocate(size, file, line);
    if !moved.is_null() {
        // SAFETY: both blocks have at least this many bytes and are different ones; the old one
        // is not used again.
        unsafe {
            ptr::copy_nonoverlapping(block.cast::<u8>(), moved.cast::<u8>(), usable.min(size));
            wipe_and_free(block, file, line);
        }
    }
    moved
}

/// # Safety
/// `block` is null or a live block of `allocate` or `resize`, and is not used again.
unsafe extern "C" fn wipe_and_free(block: *mut c_void, _: *const c_char, _: c_int) {
    if !block.is_null() {
        // SAFETY: the caller's promise.
        unsafe { free_block(block) };
    }
}

/// # Safety
/// `block` is a live block of `allocate` or `resize`, and is not used again.
#[inline(never)]
unsafe fn free_block(block: *mut c_void) {
    let place = records::number(block);
    let usable = match place {
        Some(_) => records::PLACE,
        // SAFETY: the block is live and came from malloc.
        None => unsafe { malloc_usable_size(block) },
    };
    if WIPES.get() {
        // SAFETY: the block has so many bytes, which are the owner's to write.
        unsafe { ptr::write_bytes(block.cast::<u8>(), 0, usable) };
        // The zeros count as seen, so that they are not dropped as dead stores before free.
        std::hint::black_box(block);
    }
    if let Some(number) = place {
        // SAFETY: the block is this place, and is not used again.
        return unsafe { records::leave(number) };
    }
    // SAFETY: the block came from malloc, has so many bytes, and is not used again.
    unsafe {
        if !cache::keep(block, usable) {
            free(block);
        }
    }
}
