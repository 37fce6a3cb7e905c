//! Owns the one way to overwrite memory: a plain `fill(0)` before a free is removed by the
//! optimiser, a byte-wise volatile loop costs an instruction per byte of the data path.

/// Overwrites `bytes` with zeros in a way the optimiser has to keep.
///
/// The fill compiles to `memset`; `black_box` makes the zeroed bytes observable, so the store
/// can't be dropped as dead.
#[inline]
pub fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}
