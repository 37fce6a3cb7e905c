//! What the end-to-end tests share; the tests themselves lie in `tests/`, one file per topic.

pub mod drivers;
pub mod scripted;
mod stage;

pub use stage::{Stage, StagePlan};
