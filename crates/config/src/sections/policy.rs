//! Owns the settings that shape what TLS may be spoken: profile, versions, ciphers, groups, signature
//! algorithms, security level. They stand here once and belong to the sections of both legs.

/// Mozilla's "intermediate" suites without finite-field Diffie-Hellman.
pub(super) const CIPHERS: &str = "\"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
    ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305\"";
pub(super) const CIPHERSUITES: &str = "\"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:\
    TLS_CHACHA20_POLY1305_SHA256\"";
/// Everything that is not broken (RFC 8446 section 4.2.3).
pub(super) const SIGNATURES: &str = "\"ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:\
    ed25519:ed448:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:\
    rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:\
    rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512\"";
pub(super) const GROUPS: &str = "\"X25519:P-256:P-384:P-521\"";
/// PostgreSQL before 18 takes P-256 alone unless told otherwise (ssl_ecdh_curve), and a first offer
/// that it doesn't take costs a round trip.
pub(super) const SERVER_GROUPS: &str = "\"P-256:X25519:P-384:P-521\"";

/// Declares a section that has these settings between its own. Only the groups differ between legs.
/// Where it is used, `Value`, `Unset` and `Bounds` are in scope, as for all settings.
macro_rules! section_with_policy {
    (
        $(#[doc = $text:literal])+
        $name:ident = $path:literal, $occurs:ident { $($before:tt)* }
        policy { groups: $groups:expr }
        { $($after:tt)* }
    ) => {
        $crate::setting::section! {
            $(#[doc = $text])+
            $name = $path, $occurs {
                $($before)*
                /// Which versions, ciphers, groups and signature algorithms are spoken.
                profile: Option<$crate::words::Profile> {
                    fallback: Unset(
                        "\"intermediate\", or \"custom\" where one of the seven settings below it is written"
                    ),
                    sample: "\"modern\"",
                }
                /// The lowest TLS version spoken, for profile "custom".
                min_version: $crate::words::MinTlsVersion { fallback: Value("\"TLSv1.2\"") }
                /// The highest TLS version spoken, for profile "custom".
                max_version: $crate::words::MaxTlsVersion { fallback: Value("\"TLSv1.3\"") }
                /// Ciphers of TLS 1.2, as OpenSSL names them, for profile "custom".
                ciphers: String { fallback: Value(super::policy::CIPHERS) }
                /// Cipher suites of TLS 1.3, as OpenSSL names them, for profile "custom".
                ciphersuites: String { fallback: Value(super::policy::CIPHERSUITES) }
                /// Groups for the key exchange, as OpenSSL names them, for profile "custom". OpenSSL 3.5
                /// has the hybrid post-quantum group X25519MLKEM768.
                groups: String { fallback: Value($groups) }
                /// Signature algorithms, as OpenSSL names them, for profile "custom".
                signature_algorithms: String { fallback: Value(super::policy::SIGNATURES) }
                /// OpenSSL's security level, for profile "custom": 2 asks for 112 bits, 3 for 128.
                security_level: u32 { fallback: Value("2"), bounds: Bounds::new(1, 5) }
                $($after)*
            }
        }
    };
}
pub(super) use section_with_policy;
