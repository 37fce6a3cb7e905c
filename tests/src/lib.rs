//! What the end-to-end tests share; the tests themselves lie in `tests/`, one file per topic.

pub mod drivers;
pub mod observed;
mod program;
pub mod scripted;
mod stage;
pub mod storm;
pub mod twins;

pub use program::Program;
pub use stage::{Stage, StagePlan};
