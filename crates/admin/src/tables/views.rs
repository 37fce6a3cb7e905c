//! Owns the rows of `SHOW VIEWS`.

use super::define::row;

row! {
    /// A database whose views are known, or are to be, since rules name relations.
    View {
        /// The database, as clients ask for it.
        database: String,
        /// `reading` before the first look, `known`, or `unknown` where that failed.
        state: &'static str,
        /// Views and materialized views that depend on something.
        views: u64,
        /// What all relations depend on, partitions and children among it.
        dependencies: u64,
        /// Names that may mean something else by now: statements that use them wait for the next look.
        in_doubt: u32,
        /// When the last look that succeeded began; empty if none has.
        read: String,
        /// When something was last found that was not so before; empty likewise.
        changed: String,
        /// Why the latest look failed; empty if it didn't.
        trouble: String,
    }
}
