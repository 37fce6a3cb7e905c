//! Owns the repeated parts of messages, as views over their wire form: nothing is allocated, and
//! what was read is written back by one copy. Each kind is made by decoding, which checks it once,
//! or by `pack`, which writes the wire form of given items into the caller's scratch.

mod columns;
mod fields;
mod ints;
mod strings;
mod values;

pub use columns::{Column, Columns};
pub use fields::Fields;
pub use ints::{Int16s, Int32s};
pub use strings::Strings;
pub use values::Values;
