//! Placeholder of the crate's first content.
