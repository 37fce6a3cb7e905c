//! Owns the rows of `SHOW EVENTS`.

use super::define::row;

row! {
    /// Something that operators should hear of.
    Event {
        /// What tells it from every other event, those of other proxies and of earlier starts, too.
        id: String,
        /// When, in UTC.
        time: String,
        /// What it is about, as `slower`.
        kind: &'static str,
        /// `happened`; or `began`, and later `ended`.
        phase: &'static str,
        /// Of whom: what it is and its name.
        subject: String,
        /// What shows it, as `calls=120 errors=31`.
        facts: String,
    }
}
