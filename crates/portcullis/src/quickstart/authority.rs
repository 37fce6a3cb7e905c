//! Owns the per-user certificate authority: made once, reused by every quick start, so that clients
//! keep the file they trust. Its key never leaves a directory that only its owner can enter.

use super::QuickFault;
use crate::draft::file;
use crate::material::now_unix_s;
use crate::mint;
use buf::Secret;
use openssl::asn1::Asn1Time;
use openssl::x509::X509;
use std::env;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use tls::mint::Authority;

/// Ten years: it is trusted by the clients of one user, who would have to be told of a new one.
const DAYS: i64 = 3650;
/// With less than this it is made anew.
const DAYS_LEFT_MIN: u32 = 100;
/// Key and certificate in one file, so that no accident can part them.
const KEY: &str = "ca.key";

/// A local authority, and the file with its certificate.
pub(crate) struct Local {
    /// Signs our certificates.
    pub(crate) authority: Authority,
    /// What clients trust (sslrootcert).
    pub(crate) certificate: PathBuf,
}

impl Local {
    /// The user's authority, made if there is none.
    pub(crate) fn open() -> Result<Local, QuickFault> {
        let directory = directory()?;
        let fault = |cause| QuickFault::Data {
            path: directory.clone(),
            cause,
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&directory).map_err(fault)?;
        fs::set_permissions(&directory, Permissions::from_mode(0o700)).map_err(fault)?;
        let key = directory.join(KEY);
        let authority = match load(&key)? {
            Some(authority) => authority,
            None => make(&directory, &key)?,
        };
        let certificate = directory.join(file::AUTHORITY);
        let pem = &authority.minted().certificate;
        if fs::read(&certificate).ok().as_ref() != Some(pem) {
            let published = publish(&directory, &certificate, pem, 0o644, Replace::Yes);
            published.map_err(fault)?;
        }
        Ok(Local {
            authority,
            certificate,
        })
    }
}

/// $XDG_DATA_HOME/portcullis, or the same below the home directory (XDG Base Directory
/// Specification: a relative path is invalid and ignored).
fn directory() -> Result<PathBuf, QuickFault> {
    let absolute = |name| {
        let path = env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let data = absolute("XDG_DATA_HOME");
    let home = || Some(absolute("HOME")?.join(".local/share"));
    let base = data.or_else(home).ok_or(QuickFault::NoHome)?;
    Ok(base.join("portcullis"))
}

/// The authority in this file; `None` if there is no such file, or it is soon too old.
fn load(key: &Path) -> Result<Option<Authority>, QuickFault> {
    let data = |cause| QuickFault::Data {
        path: key.to_owned(),
        cause,
    };
    let file = match File::open(key) {
        Ok(file) => file,
        Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(data(fault)),
    };
    let facts = file.metadata().map_err(data)?;
    if !tls::key_file_is_private(facts.mode() & 0o7777, facts.uid()) {
        return Err(QuickFault::KeyIsNotPrivate {
            path: key.to_owned(),
        });
    }
    let mut bytes = Vec::with_capacity(8192);
    let read = file.take(8192).read_to_end(&mut bytes);
    let both = Secret::from_vec(bytes);
    read.map_err(data)?;
    let broken = || QuickFault::BrokenAuthority {
        path: key.to_owned(),
    };
    let authority = Authority::load(both.expose(), &both).map_err(|_| broken())?;
    let certificate = X509::from_pem(&authority.minted().certificate).map_err(|_| broken())?;
    let soon = Asn1Time::days_from_now(DAYS_LEFT_MIN).map_err(|_| broken())?;
    Ok((certificate.not_after() > soon).then_some(authority))
}

/// A new authority. Whoever else makes one at this moment may win: then that one counts.
fn make(directory: &Path, key: &Path) -> Result<Authority, QuickFault> {
    let user = env::var("USER").ok();
    let user = user.filter(|it| it.len() < 33 && it.bytes().all(|it| it.is_ascii_graphic()));
    let name = match user {
        Some(user) => format!("Portcullis local authority of {user}"),
        None => "Portcullis local authority".to_owned(),
    };
    let authority = mint::authority(&name, now_unix_s(), DAYS)?;
    let minted = authority.minted();
    let both = [minted.private_key.expose(), &minted.certificate].concat();
    let both = Secret::from_vec(both);
    let replace = match key.exists() {
        true => Replace::Yes,
        false => Replace::No,
    };
    match publish(directory, key, both.expose(), 0o600, replace) {
        Ok(()) => Ok(authority),
        Err(fault) if fault.kind() == ErrorKind::AlreadyExists => {
            let path = key.to_owned();
            load(key)?.ok_or(QuickFault::BrokenAuthority { path })
        }
        Err(cause) => Err(QuickFault::Data {
            path: key.to_owned(),
            cause,
        }),
    }
}

/// What happens to a file that is there.
#[derive(Clone, Copy)]
enum Replace {
    Yes,
    No,
}

/// Writes a file whole or not at all.
fn publish(
    directory: &Path,
    path: &Path,
    content: &[u8],
    mode: u32,
    replace: Replace,
) -> std::io::Result<()> {
    let mut file = NamedTempFile::new_in(directory)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    let done = match replace {
        Replace::Yes => file.persist(path),
        Replace::No => file.persist_noclobber(path),
    };
    done.map(drop).map_err(|fault| fault.error)
}
