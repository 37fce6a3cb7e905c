//! Owns NoData.

use super::tag;
use crate::message::bodiless;

bodiless!(
    /// Answers Describe where no rows will come.
    NoData,
    tag::NO_DATA,
    "NoData"
);
