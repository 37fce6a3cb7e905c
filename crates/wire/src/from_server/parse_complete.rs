//! Owns ParseComplete.

use super::tag;
use crate::message::bodiless;

bodiless!(
    /// Parse succeeded.
    ParseComplete,
    tag::PARSE_COMPLETE,
    "ParseComplete"
);
