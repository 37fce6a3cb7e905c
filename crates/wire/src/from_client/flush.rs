//! Owns Flush.

use super::tag;
use crate::message::bodiless;

bodiless!(
    /// Asks for the answers so far, without ending the batch (manual, "Flush").
    Flush,
    tag::FLUSH,
    "Flush"
);
