//! Owns the reading of certificates and keys: from files or text into OpenSSL's objects, with a
//! precise word for everything that can be wrong with them.

use super::{ContextFault, Identity, KeySource, Source, Warning, key_file_is_private};
use crate::facts::unix_s;
use crate::fault::first_reason;
use buf::Secret;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::SslContextBuilder;
use openssl::x509::{X509, X509Ref};
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// No certificate or key file is bigger; the system's bundle of authorities has a quarter of it.
const FILE_MAX: u64 = 1 << 20;
const TEXT: &str = "(given as text)";
/// From how many days before its end on a certificate is worth a warning.
const SOON_DAYS: i64 = 30;

/// What was put into a context.
pub(super) struct Presented {
    /// The certificate and its chain.
    pub(super) chain: Vec<X509>,
    /// What the operator should know.
    pub(super) warnings: Vec<Warning>,
}

/// Puts our certificate, its chain and its key into a context.
pub(super) fn present(
    identity: &Identity,
    builder: &mut SslContextBuilder,
    now_unix_s: i64,
) -> Result<Presented, ContextFault> {
    let of = name(&identity.certificate);
    let chain = certificates(&identity.certificate)?;
    let Some((leaf, intermediates)) = chain.split_first() else {
        return Err(ContextFault::NoCertificate { of });
    };
    let key = private_key(&identity.private_key)?;
    let belongs = leaf.public_key().is_ok_and(|public| public.public_eq(&key));
    if !belongs {
        return Err(ContextFault::Mismatch {
            certificate: of,
            key: key_name(&identity.private_key),
        });
    }
    let refused = |stack: ErrorStack| ContextFault::BadCertificate {
        of: of.clone(),
        reason: first_reason(&stack),
    };
    builder.set_certificate(leaf).map_err(refused)?;
    builder.set_private_key(&key).map_err(refused)?;
    for intermediate in intermediates {
        builder
            .add_extra_chain_cert(intermediate.clone())
            .map_err(refused)?;
    }
    builder.check_private_key().map_err(refused)?;
    let warnings = validity(leaf, of, now_unix_s).into_iter().collect();
    Ok(Presented { chain, warnings })
}

/// All certificates of a source, in order; at least one.
pub(super) fn certificates(source: &Source) -> Result<Vec<X509>, ContextFault> {
    let of = name(source);
    let read;
    let pem = match source {
        Source::Pem(pem) => pem,
        Source::File(path) => {
            read = contents(&mut open(path)?, path)?;
            &read
        }
    };
    let found = X509::stack_from_pem(pem).map_err(|stack| ContextFault::BadCertificate {
        of: of.clone(),
        reason: first_reason(&stack),
    })?;
    if found.is_empty() {
        return Err(ContextFault::NoCertificate { of });
    }
    Ok(found)
}

fn private_key(source: &KeySource) -> Result<PKey<Private>, ContextFault> {
    let read;
    let pem = match source {
        KeySource::Pem(pem) => pem,
        KeySource::File(path) => {
            let mut file = open(path)?;
            let facts = file.metadata().map_err(|error| unreadable(path, &error))?;
            let mode = facts.mode() & 0o7777;
            if facts.is_file() && !key_file_is_private(mode, facts.uid()) {
                let of = path.display().to_string();
                return Err(ContextFault::KeyIsNotPrivate { of, mode });
            }
            read = Secret::from_vec(contents(&mut file, path)?);
            &read
        }
    };
    let of = key_name(source);
    let asked = Cell::new(false);
    // Without a callback libcrypto would ask for the passphrase on the terminal.
    let key = PKey::private_key_from_pem_callback(pem.expose(), |_| {
        asked.set(true);
        Ok(0)
    });
    key.map_err(|stack| match asked.get() {
        true => ContextFault::EncryptedKey { of },
        false => ContextFault::BadKey {
            of,
            reason: first_reason(&stack),
        },
    })
}

fn validity(leaf: &X509Ref, of: String, now_unix_s: i64) -> Option<Warning> {
    let not_before = unix_s(leaf.not_before())?;
    if now_unix_s < not_before {
        let not_before = leaf.not_before().to_string();
        return Some(Warning::NotYetValid { of, not_before });
    }
    let left_s = unix_s(leaf.not_after())? - now_unix_s;
    let days = left_s.div_euclid(86_400);
    if left_s < 0 {
        return Some(Warning::Expired { of, days: -days });
    }
    (days < SOON_DAYS).then_some(Warning::ExpiresSoon { of, days })
}

fn open(path: &Path) -> Result<File, ContextFault> {
    File::open(path).map_err(|error| unreadable(path, &error))
}

/// Reads into one block of the final size, so that no outgrown copy of a key stays behind.
fn contents(file: &mut File, path: &Path) -> Result<Vec<u8>, ContextFault> {
    let size = file
        .metadata()
        .map_err(|error| unreadable(path, &error))?
        .len()
        .clamp(4096, FILE_MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(4096) + 32);
    file.take(FILE_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    Ok(bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> ContextFault {
    ContextFault::Unreadable {
        of: path.display().to_string(),
        kind: error.kind(),
    }
}

/// How a source is called in messages.
pub(super) fn name(source: &Source) -> String {
    match source {
        Source::File(path) => path.display().to_string(),
        Source::Pem(_) => TEXT.to_owned(),
    }
}

fn key_name(source: &KeySource) -> String {
    match source {
        KeySource::File(path) => path.display().to_string(),
        KeySource::Pem(_) => TEXT.to_owned(),
    }
}
