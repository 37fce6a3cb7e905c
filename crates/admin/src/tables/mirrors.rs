//! Owns the rows of `SHOW MIRRORS`.

use super::define::row;

row! {
    /// A database whose statements are copied.
    Mirror {
        /// The database that clients ask for.
        database: String,
        /// The one that copies go to.
        mirror: String,
        /// So many of 100 requests that only read are copied.
        share: u32,
        /// Connections to the mirror.
        connections: u32,
        /// Copies that wait for one.
        waiting: u32,
        /// Copies that the mirror answered, and whose answer was compared.
        compared: u64,
        /// Copies that never went to it: the queue was full, they waited too long, or it is paused.
        dropped: u64,
        /// Copies that it did not answer: it could not be reached, was too slow, or broke off.
        failed: u64,
        /// Answers with another number of rows than the client got.
        rows_differ: u64,
        /// Answers with an error where the client got none, or the other way round, or with another error.
        errors_differ: u64,
        /// How long the client's server took for what was compared, in microseconds on average.
        client_us: u64,
        /// How long the mirror took for the same.
        mirror_us: u64,
        /// Why the last copy that failed did; empty if none has.
        trouble: String,
    }
}
