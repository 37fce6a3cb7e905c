//! Owns EmptyQueryResponse.

use super::tag;
use crate::message::bodiless;

bodiless!(
    /// Stands for CommandComplete after an empty statement.
    EmptyQueryResponse,
    tag::EMPTY_QUERY_RESPONSE,
    "EmptyQueryResponse"
);
