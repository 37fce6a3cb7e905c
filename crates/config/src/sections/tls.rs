//! Owns the settings of TLS as a whole, on both legs.

use crate::setting::Fallback::Value;
use crate::setting::section;
use crate::values::Version;

section! {
    /// TLS as a whole.
    Tls = "tls", Once {
        /// The oldest OpenSSL to start with; an older one may lack fixes that you count on.
        min_openssl: Version { fallback: Value("\"3.0.0\"") }
    }
}
