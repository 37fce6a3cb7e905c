//! Owns seeing each statement that a client has executed: a record for each, from the request to the end of its
//! answer, and the events made of them. Switched off, it isn't there: the relay asks one thing for each stretch
//! of bytes.
//!
//! Takes frames as the relay passes them, and from the ledger which request each reply ends. Gives [`Event`]s
//! without times: whoever drains them knows the time. Rows are counted in runs and never looked into. Texts are
//! kept only where somebody asked for it ([`Inspection::keep_text`]), in memory that is wiped.
//!
//! What it sees: Query, Execute (with the text of its Parse) and FunctionCall. It never judges, and nothing hangs
//! on it: where it can't follow a name it says so in the record and goes on.

mod bound;
mod event;
mod forward;
mod inspector;
mod names;
mod reply;
mod types;
mod values;

pub use bound::{Bound, Shown};
pub use event::{End, Event, Known, Notes, Protocol, Record, Refused, Word};
pub use inspector::{Inspection, Inspector};
pub use types::Types;

pub(crate) use forward::forwarded;
pub(crate) use reply::{Passed, TYPES_BYTES_MAX, cut, dropped, replied, rows, tagged, withdrawn};
pub(crate) use types::TypesByStatement;
