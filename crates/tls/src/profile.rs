//! Owns the cryptographic settings: versions, suites, groups, signature algorithms, and the options
//! that every context gets. All of them are set explicitly, because a system-wide openssl.cnf would
//! otherwise decide.

use crate::context::{ContextFault, Tickets, library};
use crate::fault::first_reason;
use crate::ffi;
use openssl::error::ErrorStack;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode,
    SslVersion,
};
use std::time::Duration;

/// The oldest TLS version that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinimumVersion {
    /// TLS 1.2 (RFC 5246): what every PostgreSQL client of the last ten years speaks.
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// The newest TLS version that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MaximumVersion {
    /// TLS 1.2: for peers whose TLS 1.3 is broken.
    Tls12,
    /// TLS 1.3.
    #[default]
    Tls13,
}

/// The settings of a context that an operator may change. `Default` is Mozilla's "intermediate"
/// without finite-field Diffie-Hellman.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The oldest version.
    pub minimum: MinimumVersion,
    /// The newest version.
    pub maximum: MaximumVersion,
    /// Suites of TLS 1.3, in OpenSSL's syntax.
    pub ciphersuites: String,
    /// Suites of TLS 1.2, in OpenSSL's syntax.
    pub cipher_list: String,
    /// Key exchange groups in order of preference, in OpenSSL's syntax.
    pub groups: String,
    /// Signature algorithms (RFC 8446 section 4.2.3) in order of preference, in OpenSSL's syntax.
    pub signatures: String,
    /// OpenSSL's security level (SSL_CTX_set_security_level(3)); 2 is 112 bits.
    pub security_level: u32,
}

impl Default for Profile {
    fn default() -> Self {
        Profile {
            minimum: MinimumVersion::default(),
            maximum: MaximumVersion::default(),
            ciphersuites:
                "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256".into(),
            cipher_list: "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
                ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
                ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
                .into(),
            groups: "X25519:P-256:P-384:P-521".into(),
            signatures: SIGNATURES.into(),
            security_level: SECURITY_LEVEL,
        }
    }
}

impl Profile {
    /// Mozilla's "modern": TLS 1.3 alone.
    pub fn modern() -> Profile {
        Profile {
            minimum: MinimumVersion::Tls13,
            groups: "X25519:P-256:P-384".into(),
            ..Profile::default()
        }
    }

    /// "modern" towards servers; see [`towards_servers`](Self::towards_servers).
    pub fn modern_towards_servers() -> Profile {
        Profile {
            groups: "P-256:X25519:P-384".into(),
            ..Profile::modern()
        }
    }

    /// The default towards servers. PostgreSQL before 18 takes P-256 alone unless told otherwise
    /// (`ssl_ecdh_curve`): offering another group first would cost a HelloRetryRequest.
    pub fn towards_servers() -> Profile {
        Profile {
            groups: "P-256:X25519:P-384:P-521".into(),
            ..Profile::default()
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
    /// Signature algorithms, as they were set.
    pub signatures: String,
    /// OpenSSL's security level.
    pub security_level: u32,
    /// How often the keys of session tickets change; `None` if there are no tickets.
    pub tickets: Option<Duration>,
    /// Whether the peer may renegotiate (TLS 1.2).
    pub renegotiation: bool,
}

/// 112 bits: no SHA-1 signatures, no RSA below 2048 bits, no TLS below 1.2.
const SECURITY_LEVEL: u32 = 2;

/// Signature algorithms (RFC 8446 section 4.2.3): everything that is not broken.
const SIGNATURES: &str = "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:\
    ed25519:ed448:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:\
    rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:\
    rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512";
/// Those that OpenSSL knows from 3.5 on.
const SIGNATURES_3_5: &str = ":?mldsa65:?mldsa87:?mldsa44";

/// Options of openssl/ssl.h that the `openssl` crate has no names for.
pub(crate) mod option {
    /// SSL_OP_CLEANSE_PLAINTEXT: without it decrypted data stays in freed memory.
    pub const CLEANSE_PLAINTEXT: u64 = 1 << 1;
    /// SSL_OP_NO_RX_CERTIFICATE_COMPRESSION (3.2): decompression costs memory (CVE-2025-66199).
    pub const NO_RX_CERTIFICATE_COMPRESSION: u64 = 1 << 33;
    /// SSL_OP_NO_TX_CERTIFICATE_COMPRESSION (3.2)
    pub const NO_TX_CERTIFICATE_COMPRESSION: u64 = 1 << 32;
    /// SSL_OP_LEGACY_SERVER_CONNECT, _ENABLE_KTLS, _IGNORE_UNEXPECTED_EOF,
    /// _ALLOW_CLIENT_RENEGOTIATION, _ALLOW_UNSAFE_LEGACY_RENEGOTIATION, _NO_ANTI_REPLAY: what a
    /// system-wide configuration could have set.
    pub const NEVER: u64 = 1 << 2 | 1 << 3 | 1 << 7 | 1 << 8 | 1 << 18 | 1 << 24;
}

/// Sets everything that both roles have in common, and reads it back.
pub(crate) fn apply(
    profile: &Profile,
    builder: &mut SslContextBuilder,
) -> Result<Effective, ContextFault> {
    set_versions(profile, builder)?;
    let signatures = match openssl::version::number() >= 0x3050_0000 {
        true if profile.signatures == SIGNATURES => format!("{SIGNATURES}{SIGNATURES_3_5}"),
        _ => profile.signatures.clone(),
    };
    builder.set_security_level(profile.security_level);
    // OpenSSL skips unknown names in these two.
    let suites = &profile.ciphersuites;
    known("ciphersuites", suites, offers)?;
    list("ciphersuites", suites, builder, |it, list| {
        it.set_ciphersuites(list)
    })?;
    known("ciphers", &profile.cipher_list, |it, list| {
        it.set_cipher_list(list)
    })?;
    list("ciphers", &profile.cipher_list, builder, |it, list| {
        it.set_cipher_list(list)
    })?;
    let groups = &profile.groups;
    list("groups", groups, builder, |it, list| {
        it.set_groups_list(list)
    })?;
    list("signature_algorithms", &signatures, builder, |it, list| {
        it.set_sigalgs_list(list)
    })?;
    set_options(builder)?;
    #[cfg(feature = "keylog")]
    crate::keylog::install(builder);
    Ok(Effective {
        minimum: version_name(builder.min_proto_version()),
        maximum: version_name(builder.max_proto_version()),
        ciphers: Vec::new(),
        groups: groups.clone(),
        signatures,
        security_level: profile.security_level,
        tickets: None,
        renegotiation: !builder.options().contains(SslOptions::NO_RENEGOTIATION),
    })
}

type Set = fn(&mut SslContextBuilder, &str) -> Result<(), ErrorStack>;

/// Sets one suite of TLS 1.3; an error unless connections would then have it. OpenSSL takes the name
/// of a suite that it may not use (FIPS), and leaves the suite out.
fn offers(builder: &mut SslContextBuilder, suite: &str) -> Result<(), ErrorStack> {
    let mut probe = SslContextBuilder::new(SslMethod::tls())?;
    probe.set_ciphersuites(suite)?;
    let has = ciphers(&probe.build()).iter().any(|it| it == suite);
    match has {
        true => builder.set_ciphersuites(suite),
        // The queue is empty: nothing has failed but this.
        false => Err(ErrorStack::get()),
    }
}

/// Sets a list; if OpenSSL refuses it, names the element at fault.
fn list(
    setting: &'static str,
    value: &str,
    builder: &mut SslContextBuilder,
    set: Set,
) -> Result<(), ContextFault> {
    set(builder, value).map_err(|stack| match known(setting, value, set) {
        Err(fault) => fault,
        Ok(()) => ContextFault::Setting {
            setting,
            value: value.to_owned(),
            reason: first_reason(&stack),
        },
    })
}

/// Tries each name of a list alone. Elements that are more than a name (`!`, `-`, `+`, `@` in
/// ciphers; `?`, `*` from OpenSSL 3.3 on) are left to OpenSSL.
fn known(setting: &'static str, value: &str, set: Set) -> Result<(), ContextFault> {
    let plain = |name: &&str| name.starts_with(|first: char| first.is_ascii_alphanumeric());
    for name in value.split([':', '/', ',', ' ']).filter(plain) {
        let mut probe = SslContextBuilder::new(SslMethod::tls()).map_err(library)?;
        if set(&mut probe, name).is_err() {
            ffi::forget_errors();
            let (major, minor, patch) = crate::library_version();
            return Err(ContextFault::UnknownName {
                setting,
                name: name.to_owned(),
                library: format!("OpenSSL {major}.{minor}.{patch}"),
                fips: ffi::contexts::fips_is_on(),
            });
        }
    }
    Ok(())
}

/// Switches stateless session tickets on (SSL_CTX_set_options(3), SSL_OP_NO_TICKET): one after a
/// full handshake, and a new one whenever one was used.
pub(crate) fn give_tickets(
    tickets: &Tickets,
    builder: &mut SslContextBuilder,
    effective: &mut Effective,
) -> Result<(), ContextFault> {
    builder.clear_options(SslOptions::NO_TICKET);
    setting("tickets", "1", builder.set_num_tickets(1))?;
    setting("tickets", "1", ffi::contexts::use_tickets(builder, tickets))?;
    effective.tickets = Some(tickets.period());
    Ok(())
}

fn set_versions(profile: &Profile, builder: &mut SslContextBuilder) -> Result<(), ContextFault> {
    let (oldest, oldest_name) = match profile.minimum {
        MinimumVersion::Tls12 => (SslVersion::TLS1_2, "TLSv1.2"),
        MinimumVersion::Tls13 => (SslVersion::TLS1_3, "TLSv1.3"),
    };
    let (newest, newest_name) = match profile.maximum {
        MaximumVersion::Tls12 => (SslVersion::TLS1_2, "TLSv1.2"),
        MaximumVersion::Tls13 => (SslVersion::TLS1_3, "TLSv1.3"),
    };
    if oldest_name > newest_name {
        return Err(ContextFault::Setting {
            setting: "max_version",
            value: newest_name.to_owned(),
            reason: "it is older than the minimum version",
        });
    }
    let oldest = builder.set_min_proto_version(Some(oldest));
    setting("min_version", oldest_name, oldest)?;
    let newest = builder.set_max_proto_version(Some(newest));
    setting("max_version", newest_name, newest)
}

/// All suites that connections of this context offer or accept.
pub(crate) fn ciphers(context: &SslContext) -> Vec<String> {
    let probe = Ssl::new(context).ok();
    probe.map(|probe| ffi::ciphers(&probe)).unwrap_or_default()
}

fn set_options(builder: &mut SslContextBuilder) -> Result<(), ContextFault> {
    builder.set_options(
        SslOptions::NO_COMPRESSION
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_TICKET
            | SslOptions::CIPHER_SERVER_PREFERENCE
            | SslOptions::PRIORITIZE_CHACHA
            | SslOptions::from_bits_retain(
                option::CLEANSE_PLAINTEXT
                    | option::NO_RX_CERTIFICATE_COMPRESSION
                    | option::NO_TX_CERTIFICATE_COMPRESSION,
            ),
    );
    builder.clear_options(SslOptions::from_bits_retain(option::NEVER));
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    setting("tickets", "0", builder.set_num_tickets(0))?;
    setting("early data", "0", builder.set_max_early_data(0))?;
    // Read-ahead means "as much as the engine gives", and it gives one record: one call instead
    // of two. The modes of writing can't come into play; they are a safety net.
    builder.set_read_ahead(true);
    // The chain is what is configured, and known to fit: nothing is looked for in each handshake.
    builder.set_mode(
        SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | SslMode::NO_AUTO_CHAIN,
    );
    Ok(())
}

fn setting(
    setting: &'static str,
    value: &str,
    result: Result<(), ErrorStack>,
) -> Result<(), ContextFault> {
    result.map_err(|stack| ContextFault::Setting {
        setting,
        value: value.to_owned(),
        reason: first_reason(&stack),
    })
}

fn version_name(version: Option<SslVersion>) -> String {
    match version {
        Some(SslVersion::TLS1_2) => "TLSv1.2",
        Some(SslVersion::TLS1_3) => "TLSv1.3",
        _ => "other",
    }
    .to_owned()
}
