//! Spans of statements, as OpenTelemetry has them: whose they are part of, what they say, and the bounded way from the
//! sessions to who exports them.
//!
//! Owns the reading of a caller's context from a statement's comments ([SQLCommenter](https://google.github.io/sqlcommenter/spec/)),
//! the record of a span, and its queue. Takes texts, times and random numbers as arguments. Never does I/O, and never
//! keeps a literal.

mod commenter;
mod queue;
mod span;

pub use commenter::{Parent, parent};
pub use queue::{Receiver, Sender, queue};
pub use span::{Ids, Place, Span};
