//! Owns prepared statements where a server connection serves many clients: what each client has
//! prepared, what each server connection holds, and what is still to come true of both.
//!
//! A client's statement is a text with its parameter types, shared among all clients of a worker
//! that prepare the same; on servers its name is derived from what it is, so that any worker's
//! servers serve it, and no client can reach another's by guessing. Both sides' tables hold only
//! what servers have confirmed. What was sent and isn't answered yet is a queue of promises, which
//! the ledger keeps, fails or skips in order; what hangs on the outcome of an earlier batch waits.
//!
//! Takes and gives plain data; the frames themselves are [`crate::relay`]'s. Texts may hold
//! literals: they lie in `buf` memory and are wiped when the last one who uses them lets go.
//!
//! What is not as without a pooler: a text that the server connection already knows is not parsed
//! again, so that an error PostgreSQL would raise at Parse (a table that is gone) is raised at Bind;
//! EXECUTE of SQL doesn't know names given by the protocol; names in error texts are ours.

mod again;
mod interner;
mod lease;
mod names;
mod pooled;
mod promise;
mod reading;
mod refusal;
mod statement;
mod there;

pub use again::Again;
pub use interner::{CacheLimits, Interner};
pub use lease::{Lease, Touch};
pub use names::Name;
pub use pooled::{Mode, Pooled, StatementLimits};
pub use refusal::Refusal;
pub use statement::{Dialect, Statement};
pub use there::There;

pub(crate) use again::Stale;
pub(crate) use names::Found;
pub(crate) use pooled::{Ahead, Course, Sending};
pub(crate) use promise::{Instead, Promise, Unnamed, Way};
pub(crate) use reading::Reading;
pub(crate) use refusal::{BYTES_MAX as REFUSAL_BYTES_MAX, TEXT as REFUSED_TEXT};
pub(crate) use statement::{Id, ServerName};
pub(crate) use there::{Presence, Slot};
