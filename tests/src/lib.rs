//! What the end-to-end tests share; the tests themselves lie in `tests/`, one file per topic.

pub mod drivers;
pub mod observed;
pub mod planted;
mod program;
pub mod scripted;
pub mod search;
mod stage;
pub mod storm;

pub use program::Program;
pub use stage::{Stage, StagePlan};
