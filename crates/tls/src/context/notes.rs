//! Owns what there is to say about a context: why it could not be built, what to know although it
//! works, and when what it was built from expires.

use super::io_reason;

/// Something to tell the operator about a context that works.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The certificate has expired.
    #[error("the certificate {of} expired {days} days ago; clients that verify it will refuse it")]
    Expired {
        /// Path of the file, or "(given as text)".
        of: String,
        /// Days since.
        days: i64,
    },
    /// The certificate's time has not come.
    #[error("the certificate {of} is not valid before {not_before}")]
    NotYetValid {
        /// Path of the file, or "(given as text)".
        of: String,
        /// The begin of its validity.
        not_before: String,
    },
    /// It expires within 30 days.
    #[error("the certificate {of} expires in {days} days")]
    ExpiresSoon {
        /// Path of the file, or "(given as text)".
        of: String,
        /// Days left.
        days: i64,
    },
    /// A certificate of the chain did not sign the one before it.
    #[error(
        "the certificate {subject} in {of} did not sign the one before it; write the \
         certificate first, then the one that signed it, and so on, or clients may refuse the chain"
    )]
    NotTheIssuer {
        /// The file.
        of: String,
        /// Subject of the certificate that does not belong there.
        subject: String,
    },
    /// A certificate that is not made out to a name that it is shown for.
    #[error(
        "the certificate {of} is not made out to {name}; clients that verify it will refuse it"
    )]
    NotMadeOutTo {
        /// The file.
        of: String,
        /// The name.
        name: String,
    },
    /// A passphrase for a key that has none.
    #[error("the private key {of} is not encrypted; its passphrase is not used")]
    PassphraseUnused {
        /// The key's file.
        of: String,
    },
    /// A staple that clients would refuse.
    #[error("{of} is not stapled: {why}")]
    NotStapled {
        /// The staple's file.
        of: String,
        /// Why, and what to do.
        why: String,
    },
    /// A revocation list that is out of date.
    #[error(
        "the revocation list {of} expired {days} days ago; until there is a new one, every \
         certificate of its authority is refused"
    )]
    CrlExpired {
        /// The file.
        of: String,
        /// Days since.
        days: i64,
    },
    /// A revocation list whose time has not come.
    #[error(
        "the revocation list {of} is not valid before {not_before}; until then every certificate of \
         its authority is refused; compare this machine's clock"
    )]
    CrlNotYetValid {
        /// The file.
        of: String,
        /// The begin of its validity.
        not_before: String,
    },
    /// A revocation list that soon will be.
    #[error(
        "the revocation list {of} expires in {days} days; from then on every certificate of its \
         authority is refused"
    )]
    CrlExpiresSoon {
        /// The file.
        of: String,
        /// Days left.
        days: i64,
    },
    /// An authority without a revocation list.
    #[error(
        "{of} has no revocation list of the authority {authority}; every certificate that it \
         signed is refused"
    )]
    NoCrlOf {
        /// The file of revocation lists.
        of: String,
        /// Subject of the authority.
        authority: String,
    },
}

/// When something expires that a context was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// Path of the file, or "(given as text)".
    pub what: String,
    /// What it is.
    pub kind: Expires,
    /// Its last second, in seconds since 1970.
    pub not_after_unix_s: i64,
}

/// What expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expires {
    /// A certificate of ours, or an intermediate one behind it.
    Certificate,
    /// An authority that peers are verified with.
    Authority,
    /// A revocation list.
    RevocationList,
    /// A stapled OCSP response.
    Staple,
}

/// Why a context could not be built. `of` is the path of the file, or "(given as text)".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextFault {
    /// The file can't be read.
    #[error("cannot read {of}: {}; check the path and that this user may read it", io_reason(*kind))]
    Unreadable {
        /// The file.
        of: String,
        /// The operating system's reason.
        kind: std::io::ErrorKind,
    },
    /// There is no certificate in it.
    #[error(
        "{of} holds no PEM certificate; it must contain a \"-----BEGIN CERTIFICATE-----\" block"
    )]
    NoCertificate {
        /// The file.
        of: String,
    },
    /// A certificate in it is damaged, or refused by OpenSSL's security level.
    #[error("a certificate in {of} is not usable: {reason}")]
    BadCertificate {
        /// The file.
        of: String,
        /// OpenSSL's reason.
        reason: &'static str,
    },
    /// There is no private key in it.
    #[error("{of} holds no usable PEM private key: {reason}")]
    BadKey {
        /// The file.
        of: String,
        /// OpenSSL's reason.
        reason: &'static str,
    },
    /// The private key asks for a passphrase.
    #[error(
        "the private key {of} is encrypted; name its passphrase with private_key_passphrase_file or \
         private_key_passphrase_command, or decrypt it with `openssl pkey -in {of} -out …` and \
         protect the file with mode 0600"
    )]
    EncryptedKey {
        /// The file.
        of: String,
    },
    /// The passphrase is not the key's.
    #[error("the passphrase does not decrypt the private key {of}; is it the right one?")]
    WrongPassphrase {
        /// The key's file.
        of: String,
    },
    /// Two certificates for the same clients, of which only one could ever be chosen.
    #[error(
        "the certificates {first} and {second} have keys of the same type and are for the same \
         names; remove one of them"
    )]
    SameKeyType {
        /// One file.
        first: String,
        /// The other one.
        second: String,
    },
    /// There is no revocation list in it.
    #[error(
        "{of} holds no PEM revocation list; it must contain a \"-----BEGIN X509 CRL-----\" block"
    )]
    NoCrl {
        /// The file.
        of: String,
    },
    /// A revocation list in it is damaged.
    #[error("a revocation list in {of} is not usable: {reason}")]
    BadCrl {
        /// The file.
        of: String,
        /// OpenSSL's reason.
        reason: &'static str,
    },
    /// Resumed sessions skip the verification of the client's certificate.
    #[error(
        "session tickets and client certificates exclude each other: a resumed session would not \
         look at the certificate again; switch session tickets off"
    )]
    TicketsWithClientCertificates,
    /// A name that OpenSSL does not know, or may not use.
    #[error(
        "{setting}: {library} {} \"{name}\"; leave it out (profile = \"custom\")",
        if *fips { "in FIPS mode does not allow or know" } else { "does not know" }
    )]
    UnknownName {
        /// The setting.
        setting: &'static str,
        /// The element of its list.
        name: String,
        /// The library's version.
        library: String,
        /// Whether only algorithms of a FIPS provider may be used.
        fips: bool,
    },
    /// Others may read the private key.
    #[error(
        "the private key {of} is readable by others (mode {mode:04o}); use mode 0600, or 0640 if \
         root owns it"
    )]
    KeyIsNotPrivate {
        /// The file.
        of: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The key is not the certificate's.
    #[error("the private key {key} does not belong to the certificate {certificate}")]
    Mismatch {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
    },
    /// Verification was asked for, but there is nothing to verify with.
    #[error("no trusted certificate authority in {of}; a verifying TLS mode needs at least one")]
    NoRoots {
        /// The file, or the system's directory.
        of: String,
    },
    /// OpenSSL refused a setting.
    #[error("OpenSSL refuses the TLS setting {setting} \"{value}\": {reason}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// OpenSSL's reason.
        reason: &'static str,
    },
    /// OpenSSL itself failed.
    #[error("OpenSSL failed: {reason}")]
    Library {
        /// OpenSSL's reason.
        reason: &'static str,
    },
}
