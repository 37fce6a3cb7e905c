//! Owns BindComplete.

use super::tag;
use crate::message::bodiless;

bodiless!(
    /// Bind succeeded.
    BindComplete,
    tag::BIND_COMPLETE,
    "BindComplete"
);
