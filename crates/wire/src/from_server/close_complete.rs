//! Owns CloseComplete.

use super::tag;
use crate::message::bodiless;

bodiless!(
    /// Close succeeded.
    CloseComplete,
    tag::CLOSE_COMPLETE,
    "CloseComplete"
);
