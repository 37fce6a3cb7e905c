//! What operators should hear of: what changed, of whom, and the facts that show it.
//!
//! Owns the one type of event, the last ones that happened, and the queues of those who take them. Takes times as
//! arguments, knows no clock, does no I/O, and never blocks whoever posts: everything has a bound, and what finds no
//! room is counted. An event holds names, numbers and texts without literals, never a value that a client sent.

mod event;
mod kind;
mod posts;
mod stamp;
mod taker;

pub use event::{Event, Fact, Phase, Posted};
pub use kind::{Kind, Kinds, Weight};
pub use posts::Events;
pub use stamp::stamp;
pub use taker::Taker;
