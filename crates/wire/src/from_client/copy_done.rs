//! Owns CopyDone.

use super::tag;
use crate::message::bodiless;

bodiless!(
    /// The end of COPY data (manual, "CopyDone").
    CopyDone,
    tag::COPY_DONE,
    "CopyDone"
);
