//! What the end-to-end tests share; the tests themselves lie in `tests/`, one file per topic.

pub mod clustered;
pub mod drivers;
pub mod governed;
pub mod load;
pub mod observed;
pub mod planted;
mod program;
pub mod register;
pub mod scripted;
pub mod search;
mod stage;
pub mod storm;
pub mod tables;
pub mod twins;

pub use program::Program;
pub use stage::{Stage, StagePlan};
