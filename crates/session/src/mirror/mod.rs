//! Owns what a copy of a client's request to another server is, and what is made of the answer: which bytes go there,
//! what both servers answered as numbers, and whether they agree.
//!
//! Takes requests that only read, and plaintext of the mirror; gives bytes and verdicts. Rows are counted and thrown
//! away. Nothing here is in the way of a client: its own answer is counted as it passes ([`Witness`]), and what a mirror
//! says reaches nobody.

mod answer;
mod copy;
mod reading;
mod share;
mod witness;

pub use answer::{Answer, State, Verdict};
pub use copy::{copy, may_carry, texts};
pub use reading::Reading;
pub use share::Share;
pub use witness::Witness;
