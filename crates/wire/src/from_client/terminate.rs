//! Owns Terminate.

use super::tag;
use crate::message::bodiless;

bodiless!(
    /// Ends the session (manual, "Terminate").
    Terminate,
    tag::TERMINATE,
    "Terminate"
);
