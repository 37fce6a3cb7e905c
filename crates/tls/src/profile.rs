//! Owns the cryptographic settings: versions, suites, groups, signature algorithms, and the options
//! that every context gets. All of them are set explicitly, because a system-wide openssl.cnf would
//! otherwise decide.

/// The oldest TLS version that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinimumVersion {
    /// TLS 1.2 (RFC 5246): what every PostgreSQL client of the last ten years speaks.
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// The settings of a context that an operator may change. `Default` is Mozilla's "intermediate"
/// without finite-field Diffie-Hellman.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The oldest version.
    pub minimum: MinimumVersion,
    /// Suites of TLS 1.3, in OpenSSL's syntax.
    pub ciphersuites: String,
    /// Suites of TLS 1.2, in OpenSSL's syntax.
    pub cipher_list: String,
    /// Key exchange groups in order of preference, in OpenSSL's syntax.
    pub groups: String,
}

impl Default for Profile {
    fn default() -> Self {
        Profile {
            minimum: MinimumVersion::default(),
            ciphersuites:
                "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256".into(),
            cipher_list: "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
                ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
                ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
                .into(),
            groups: "X25519:P-256:P-384".into(),
        }
    }
}

/// What a context really uses, read back from OpenSSL: for start-up reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Oldest version.
    pub minimum: String,
    /// Newest version.
    pub maximum: String,
    /// All suites, in order.
    pub ciphers: Vec<String>,
    /// Groups, as they were set.
    pub groups: String,
    /// OpenSSL's security level.
    pub security_level: u32,
}
