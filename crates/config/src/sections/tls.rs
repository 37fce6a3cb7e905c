//! Owns the settings of TLS as a whole, on both legs.

use super::{DAY, SECOND};
use crate::setting::Fallback::Value;
use crate::setting::{Bounds, section};
use crate::values::{Timeout, Version};
use crate::words::Tls12Limit;

section! {
    /// TLS as a whole, and how encrypted connections are kept up, towards clients and servers alike.
    Tls = "tls", Once {
        /// The oldest OpenSSL to start with; an older one may lack fixes that you count on.
        min_openssl: Version { fallback: Value("\"3.0.0\"") }
        /// Records after which a direction gets a new key (KeyUpdate, TLS 1.3). Ours changes a bit
        /// earlier, by chance; a peer that has not changed its own is asked to a bit later.
        rekey_records: u64 {
            fallback: Value("8388608"),
            bounds: Bounds::new(4, 1 << 24),
            sample: "1048576",
        }
        /// Bytes after which a direction gets a new key.
        rekey_bytes: u64 {
            fallback: Value("68719476736"),
            bounds: Bounds::new(1024, 1 << 38),
            sample: "1073741824",
        }
        /// Time after which a key that is in use is changed; 0 means that only records and bytes
        /// count.
        rekey_interval: Timeout {
            fallback: Value("3600"),
            bounds: Bounds::new(SECOND, 30 * DAY),
            sample: "\"10min\"",
        }
        /// What becomes of a TLS 1.2 connection whose keys have seen as many records or bytes:
        /// TLS 1.2 can't change them.
        tls12_limit: Tls12Limit { fallback: Value("\"warn\"") }
    }
}
