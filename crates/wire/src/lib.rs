//! PostgreSQL's wire protocol 3.0 and 3.2: frames, the untagged start, and every message.
//!
//! Owns the layout of bytes and nothing else. Takes slices and gives borrowed messages; takes
//! messages and appends bytes to a [`Sink`]. Parsing is exact: a missing NUL, a count that does not
//! fit or one byte too many is a [`MessageFault`]; what was parsed is rebuilt byte for byte. Never
//! does I/O, never knows which message may come when (crate `session` does), never prints content:
//! `Debug` of every type here shows lengths only, and [`trace`] redacts unless told otherwise.
//!
//! The direction is a module name, since letters mean different things each way:
//! [`from_client`]`::Describe` and [`from_server`]`::DataRow` share the tag `D`.
//!
//! Source: PostgreSQL 18 manual, chapter "Frontend/Backend Protocol", and the limits in
//! `src/include/libpq/libpq.h` and `src/interfaces/libpq/fe-protocol3.c`.

mod fault;
pub mod frame;
pub mod from_client;
pub mod from_server;
#[doc(hidden)]
pub mod fuzzing;
mod key;
mod list;
mod message;
pub mod proxy_header;
mod reader;
mod report;
pub mod run;
mod sink;
mod sqlstate;
pub mod startup;
mod text;
pub mod trace;

pub use fault::{FrameFault, MessageFault, NegotiationFault, StartupFault};
pub use key::CancelKey;
pub use list::{Column, Columns, Fields, Int16s, Int32s, Strings, Values};
pub use message::Message;
pub use report::{Report, Severity};
pub use sink::Sink;
pub use sqlstate::Sqlstate;
pub use startup::ProtocolVersion;
pub use text::{Payload, Text};
