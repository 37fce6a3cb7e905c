//! The admin console as a virtual server: frames of a logged-in client in, reply frames out.
//!
//! Owns the console's language, who may say what, and every table that `SHOW` can show: one struct for a
//! row is also the definition of its columns. Takes plaintext and the answers to the two questions that
//! only the shell can answer ([`Step::Show`]: what is the state of things; [`Step::Carry`]: carry this
//! out). Gives complete messages. Never does I/O, never knows a pool or a socket.
//!
//! The language, the columns and the texts are those of PgBouncer 1.25's admin.c and stats.c, so that
//! what was written for it goes on working. More than there: SQLSTATEs say what is wrong, an
//! empty statement is none rather than an error, and statements without parameters may come by the
//! extended protocol, with results in text or binary.
//!
//! ```
//! use admin::{Console, Right, Snapshot, Step, Version};
//! use buf::Plain;
//! use wire::{Message, from_client::Query};
//!
//! let (mut input, mut output) = (Plain::with_capacity(64), Plain::with_capacity(16_384));
//! Query { sql: "SHOW VERSION;".into() }.encode(&mut input).unwrap();
//! let mut console = Console::new(Right::Stats);
//! assert_eq!(console.step(&mut input, &mut output), Ok(Step::Show(admin::Table::Version)));
//! console.shown(Snapshot::Version(vec![Version { version: "Portcullis".into() }]));
//! assert_eq!(console.step(&mut input, &mut output), Ok(Step::Read));
//! assert!(output.bytes().ends_with(b"C\0\0\0\x09SHOW\0Z\0\0\0\x05I"));
//! ```

mod command;
mod console;
mod datum;
#[doc(hidden)]
pub mod fuzzing;
mod help;
mod json;
mod outcome;
mod portal;
mod reference;
mod reply;
mod right;
mod tables;
mod words;

pub use command::{Command, Shutdown};
pub use console::{Console, Fault, Step};
pub use datum::{Datum, Moment, Sum, Type};
pub use json::escape;
pub use outcome::{Outcome, Refusal};
pub use reference::reference;
pub use right::Right;
pub use tables::{
    Activity, Certificate, Cluster, Column, Config, Counter, Counts, Database, DnsHost, DnsZone,
    Event, Host, List, Lists, Memory, Mirror, Pattern, Pauses, Peer, PeerPool, Pool, Route, Rule,
    Snapshot, Socket, State, Statistics, Stats, StatsAverages, StatsTotals, Table, Throttle, Total,
    User, Version, View, Wire,
};
