//! Certificates for the tests: authorities, leaves of each key kind, and the broken
//! ones that a verifier must refuse (another authority, expired, another name).
//!
//! Made by [`tls::mint`], whose arguments this module fills: the clock, and names
//! that tests use. [`Certificate::write`] puts one where a server reads it.

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name};
use tls::mint::{self, Leaf, Minted, Usage, Validity};

pub use tls::mint::KeyKind;

const DAY_S: i64 = 86_400;

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

impl Lifetime {
    fn validity(self) -> Validity {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.expect("a clock behind 1970").as_secs();
        let now = i64::try_from(now).expect("seconds in 63 bits");
        let (from, to) = match self {
            Self::Current => (-DAY_S, DAY_S),
            Self::Expired => (-2 * DAY_S, -DAY_S),
            Self::Future => (DAY_S, 2 * DAY_S),
        };
        Validity {
            not_before_unix_s: now + from,
            not_after_unix_s: now + to,
        }
    }
}

/// Whom a certificate names.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Common name; what PostgreSQL's `cert` method compares with the role.
    pub common_name: String,
    /// Names or addresses of the subject alternative name extension; may be empty.
    pub alternative_names: Vec<String>,
    /// Server, client or both.
    pub usage: Usage,
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
            usage: Usage::Server,
        }
    }

    /// A client whose common name is the role.
    pub fn client(role: &str) -> Self {
        Self {
            common_name: role.to_owned(),
            alternative_names: Vec::new(),
            usage: Usage::Client,
        }
    }
}

/// A certificate authority.
#[derive(Clone)]
pub struct Authority {
    minter: Arc<mint::Authority>,
    certificate: X509,
}

impl Authority {
    /// A new authority. Two of them with the same name still don't trust each other's leaves.
    #[track_caller]
    pub fn new(common_name: &str) -> Self {
        Self::of_kind(common_name, KeyKind::EcdsaP256)
    }

    /// A new authority with a key of this kind, which decides how its leaves are signed.
    #[track_caller]
    pub fn of_kind(common_name: &str, key: KeyKind) -> Self {
        let validity = Lifetime::Current.validity();
        let minter = mint::Authority::create(common_name, validity, key);
        let minter = minter.expect("a certificate authority");
        let certificate = X509::from_pem(&minter.minted().certificate).expect("a certificate");
        Self {
            minter: Arc::new(minter),
            certificate,
        }
    }

    /// A currently valid P-256 leaf.
    #[track_caller]
    pub fn issue(&self, identity: &Identity) -> Certificate {
        self.issue_with(identity, KeyKind::EcdsaP256, Lifetime::Current)
    }

    /// A leaf of the given kind and lifetime.
    #[track_caller]
    pub fn issue_with(&self, identity: &Identity, key: KeyKind, lifetime: Lifetime) -> Certificate {
        let names = identity.alternative_names.iter().map(String::as_str);
        let (ip, dns): (Vec<&str>, Vec<&str>) =
            names.partition(|name| name.parse::<IpAddr>().is_ok());
        let ip: Vec<IpAddr> = ip.iter().filter_map(|name| name.parse().ok()).collect();
        let minted = self.minter.issue(&Leaf {
            common_name: &identity.common_name,
            dns: &dns,
            ip: &ip,
            usage: identity.usage,
            validity: lifetime.validity(),
            key,
        });
        Certificate::read(&minted.expect("a leaf certificate"))
    }

    /// A client's leaf with alternative names of any kind, in OpenSSL's words
    /// (`email:`, `URI:`, `DNS:`), which the proxy's own mint does not make.
    #[track_caller]
    pub fn issue_client(&self, common_name: &str, alternative_names: &[&str]) -> Certificate {
        let made = self.sign_client(common_name, alternative_names);
        made.expect("a client's certificate")
    }

    fn sign_client(&self, common_name: &str, names: &[&str]) -> Result<Certificate, ErrorStack> {
        let issuer = PKey::private_key_from_pem(self.minter.minted().private_key.expose())?;
        let key = PKey::from_ec_key(EcKey::generate(
            EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?.as_ref(),
        )?)?;
        let mut subject = X509Name::builder()?;
        subject.append_entry_by_nid(Nid::COMMONNAME, common_name)?;
        let mut builder = X509Builder::new()?;
        builder.set_version(2)?;
        builder.set_subject_name(&subject.build())?;
        builder.set_issuer_name(self.certificate.subject_name())?;
        builder.set_pubkey(&key)?;
        let validity = Lifetime::Current.validity();
        let from = Asn1Time::from_unix(validity.not_before_unix_s)?;
        let to = Asn1Time::from_unix(validity.not_after_unix_s)?;
        builder.set_not_before(&from)?;
        builder.set_not_after(&to)?;
        builder.append_extension(ExtendedKeyUsage::new().client_auth().build()?)?;
        let mut extension = SubjectAlternativeName::new();
        for name in names {
            match name.split_once(':') {
                Some(("email", address)) => extension.email(address),
                Some(("URI", uri)) => extension.uri(uri),
                Some(("DNS", host)) => extension.dns(host),
                _ => panic!("an alternative name of no known kind: {name:?}"),
            };
        }
        let extension = extension.build(&builder.x509v3_context(Some(&self.certificate), None))?;
        builder.append_extension(extension)?;
        builder.sign(&issuer, MessageDigest::sha256())?;
        Ok(Certificate {
            certificate: builder.build(),
            key,
        })
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> &X509 {
        &self.certificate
    }

    /// The authority's certificate as PEM.
    pub fn pem(&self) -> &[u8] {
        &self.minter.minted().certificate
    }

    /// The authority's private key as PEM.
    pub fn key_pem(&self) -> &[u8] {
        self.minter.minted().private_key.expose()
    }

    /// Writes `<directory>/<name>.crt`, readable by all, and gives its path.
    #[track_caller]
    pub fn write(&self, directory: &Path, name: &str) -> PathBuf {
        store(directory.join(format!("{name}.crt")), self.pem(), 0o644)
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
    fn read(minted: &Minted) -> Self {
        Self {
            certificate: X509::from_pem(&minted.certificate).expect("a certificate"),
            key: PKey::private_key_from_pem(minted.private_key.expose()).expect("a key"),
        }
    }

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
            private_key: store(
                directory.join(format!("{name}.key")),
                &self.key_pem(),
                0o600,
            ),
        }
    }
}

#[track_caller]
fn store(path: PathBuf, content: &[u8], mode: u32) -> PathBuf {
    fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("file mode");
    path
}
