//! Certificates for the tests: authorities, leaves of each key kind, and the broken
//! ones that a verifier must refuse (another authority, expired, another name).
//!
//! Everything is made in memory; [`Certificate::write`] puts it where a server reads it.

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

const DAY: Duration = Duration::from_secs(86_400);

/// Kind of a certificate's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256, signed with SHA-256.
    EcdsaP256,
    /// RSA of 2048 bits, signed with SHA-256.
    Rsa2048,
    /// Ed25519, whose signature has no digest of its own (RFC 5929's corner case).
    Ed25519,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// From yesterday until tomorrow.
    Current,
    /// Until yesterday.
    Expired,
    /// From tomorrow.
    Future,
}

/// Whom a certificate names.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Common name; what PostgreSQL's `cert` method compares with the role.
    pub common_name: String,
    /// Names or addresses of the subject alternative name extension; may be empty.
    pub alternative_names: Vec<String>,
}

impl Identity {
    /// A server reached as `localhost`, 127.0.0.1 or ::1.
    pub fn localhost() -> Self {
        Self::server(&["localhost", "127.0.0.1", "::1"])
    }

    /// A server reached by any of these names or addresses.
    pub fn server(names: &[&str]) -> Self {
        Self {
            common_name: names.first().map_or("server", |name| name).to_owned(),
            alternative_names: names.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    /// A client whose common name is the role.
    pub fn client(role: &str) -> Self {
        Self { common_name: role.to_owned(), alternative_names: Vec::new() }
    }
}

/// A certificate authority.
#[derive(Clone)]
pub struct Authority(Certificate);

impl Authority {
    /// A new authority. Two of them with the same name still don't trust each other's leaves.
    pub fn new(common_name: &str) -> Self {
        let key = key(KeyKind::EcdsaP256).expect("an authority's key");
        let name = name(common_name).expect("an authority's name");
        let sealed = build(&name, &name, &key, &key, Lifetime::Current, |builder| {
            builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
            let usage = KeyUsage::new().critical().key_cert_sign().crl_sign().build()?;
            builder.append_extension(usage)
        });
        let certificate = sealed.expect("an authority's certificate");
        Self(Certificate { certificate, key })
    }

    /// A currently valid P-256 leaf.
    pub fn issue(&self, identity: &Identity) -> Certificate {
        self.issue_with(identity, KeyKind::EcdsaP256, Lifetime::Current)
    }

    /// A leaf of the given kind and lifetime.
    pub fn issue_with(&self, identity: &Identity, kind: KeyKind, lifetime: Lifetime) -> Certificate {
        self.leaf(identity, kind, lifetime).expect("a leaf certificate")
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> &X509 {
        &self.0.certificate
    }

    /// The authority's certificate as PEM.
    pub fn pem(&self) -> Vec<u8> {
        self.0.pem()
    }

    /// Writes `<directory>/<name>.crt`, readable by all, and gives its path.
    #[track_caller]
    pub fn write(&self, directory: &Path, name: &str) -> PathBuf {
        store(directory.join(format!("{name}.crt")), &self.pem(), 0o644)
    }

    fn leaf(
        &self,
        identity: &Identity,
        kind: KeyKind,
        lifetime: Lifetime,
    ) -> Result<Certificate, ErrorStack> {
        let key = key(kind)?;
        let subject = name(&identity.common_name)?;
        let issuer = self.0.certificate.subject_name();
        let certificate = build(&subject, issuer, &key, &self.0.key, lifetime, |builder| {
            builder.append_extension(BasicConstraints::new().build()?)?;
            if identity.alternative_names.is_empty() {
                return Ok(());
            }
            let mut names = SubjectAlternativeName::new();
            for name in &identity.alternative_names {
                match name.parse::<IpAddr>() {
                    Ok(_) => names.ip(name),
                    Err(_) => names.dns(name),
                };
            }
            let context = builder.x509v3_context(Some(&self.0.certificate), None);
            let extension = names.build(&context)?;
            builder.append_extension(extension)
        })?;
        Ok(Certificate { certificate, key })
    }
}

/// A certificate with its private key.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate.
    pub certificate: X509,
    /// Its key.
    pub key: PKey<Private>,
}

/// Where a certificate and its key lie.
#[derive(Debug, Clone)]
pub struct Files {
    /// PEM certificate.
    pub certificate: PathBuf,
    /// PEM key, mode 0600.
    pub private_key: PathBuf,
}

impl Certificate {
    /// The certificate as PEM.
    pub fn pem(&self) -> Vec<u8> {
        self.certificate.to_pem().expect("PEM of a certificate")
    }

    /// The private key as PEM (PKCS #8).
    pub fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().expect("PEM of a key")
    }

    /// SHA-256 over the DER form.
    pub fn fingerprint(&self) -> [u8; 32] {
        let digest = self.certificate.digest(MessageDigest::sha256());
        let digest = digest.expect("SHA-256 of a certificate");
        digest.as_ref().try_into().expect("32 bytes of SHA-256")
    }

    /// Writes `<directory>/<name>.crt` and `<directory>/<name>.key`.
    #[track_caller]
    pub fn write(&self, directory: &Path, name: &str) -> Files {
        Files {
            certificate: store(directory.join(format!("{name}.crt")), &self.pem(), 0o644),
            private_key: store(directory.join(format!("{name}.key")), &self.key_pem(), 0o600),
        }
    }
}

#[track_caller]
fn store(path: PathBuf, content: &[u8], mode: u32) -> PathBuf {
    fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("file mode");
    path
}

fn key(kind: KeyKind) -> Result<PKey<Private>, ErrorStack> {
    match kind {
        KeyKind::EcdsaP256 => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
            PKey::from_ec_key(EcKey::generate(&group)?)
        }
        KeyKind::Rsa2048 => PKey::from_rsa(Rsa::generate(2048)?),
        KeyKind::Ed25519 => PKey::generate_ed25519(),
    }
}

fn name(common_name: &str) -> Result<X509Name, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", common_name)?;
    Ok(name.build())
}

fn build(
    subject: &X509Name,
    issuer: &openssl::x509::X509NameRef,
    key: &PKey<Private>,
    signer: &PKey<Private>,
    lifetime: Lifetime,
    extend: impl FnOnce(&mut X509Builder) -> Result<(), ErrorStack>,
) -> Result<X509, ErrorStack> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?; // X.509 v3, RFC 5280 section 4.1.2.1
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    let now = SystemTime::now();
    let (from, to) = match lifetime {
        Lifetime::Current => (now - DAY, now + DAY),
        Lifetime::Expired => (now - 2 * DAY, now - DAY),
        Lifetime::Future => (now + DAY, now + 2 * DAY),
    };
    let (from, to) = (time(from)?, time(to)?);
    builder.set_not_before(&from)?;
    builder.set_not_after(&to)?;
    extend(&mut builder)?;
    // Ed25519 hashes by itself and must be given no digest (RFC 8410).
    let digest = match signer.id() {
        Id::ED25519 => MessageDigest::null(),
        _ => MessageDigest::sha256(),
    };
    builder.sign(signer, digest)?;
    Ok(builder.build())
}

fn time(at: SystemTime) -> Result<Asn1Time, ErrorStack> {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Asn1Time::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX))
}
