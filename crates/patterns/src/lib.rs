//! What statements have in common, and how often and how well each kind of them runs.
//!
//! Owns patterns (a text without its literals), the cache that finds a text's pattern, and bounded statistics
//! by pattern, database, role and application, and what has changed in them. Takes texts, times and keys as arguments. Never does I/O, knows
//! no clock and no chance, and never keeps a literal.

mod cache;
pub mod change;
mod counter;
mod counts;
mod keyed;
mod pattern;
mod secret;
mod spread;
mod table;

pub use cache::Recogniser;
pub use counts::{Counts, Run, States, Sum, Window, WindowLength};
pub use pattern::{Pattern, PatternId};
pub use secret::may_hold_secret;
pub use spread::Spread;
pub use table::{Bounds, Merged, Row, SLACK, Table, Who};
