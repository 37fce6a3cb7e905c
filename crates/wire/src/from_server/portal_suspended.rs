//! Owns PortalSuspended.

use super::tag;
use crate::message::bodiless;

bodiless!(
    /// The row limit of Execute was reached.
    PortalSuspended,
    tag::PORTAL_SUSPENDED,
    "PortalSuspended"
);
