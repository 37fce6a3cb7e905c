//! Admission: who may log in now, who waits for a turn, and who is turned away.
//!
//! Owns the bounds on logins under way ([`Turns`]), on their number a second and on failed ones
//! ([`Rates`], [`Failures`]), and the addresses that a listener trusts ([`Network`]). Takes sources,
//! names and times as arguments, gives verdicts. Never does I/O, never reads a clock; what it
//! remembers of strangers has a fixed size, whatever they do.

mod failures;
mod network;
mod rates;
mod source;
mod turns;

pub use failures::{Blame, Failures};
pub use network::Network;
pub use rates::{Rate, Rates};
pub use source::Source;
pub use turns::{Asked, Bounds, Refused, Ticket, Turns};
