//! Owns finding the password where libpq would: PGPASSWORD, the password file, a prompt. It goes
//! straight into memory that is wiped.

use super::QuickFault;
use super::pgpass;
use super::url::Target;
use crate::output::complain;
use buf::Secret;
use std::env;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// No password file is bigger.
const FILE_MAX: u64 = 1 << 20;

/// The password, and where it came from in a few words.
pub(crate) fn find(target: &Target) -> Result<(Secret, String), QuickFault> {
    if let Some(found) = find_without_asking(target)? {
        return Ok(found);
    }
    if !std::io::stdin().is_terminal() {
        return Err(QuickFault::NoPassword {
            user: target.user.clone(),
        });
    }
    let prompt = format!("Password of {} at {}: ", target.user, target.host);
    let typed = rpassword::prompt_password(prompt).map_err(QuickFault::Prompt)?;
    let secret = Secret::from_vec(typed.into_bytes());
    Ok((usable(secret)?, "the prompt".to_owned()))
}

/// The same without a prompt.
pub(crate) fn find_without_asking(target: &Target) -> Result<Option<(Secret, String)>, QuickFault> {
    if let Some(value) = env::var_os("PGPASSWORD").filter(|value| !value.is_empty()) {
        let secret = Secret::from_vec(value.into_vec());
        return Ok(Some((usable(secret)?, "PGPASSWORD".to_owned())));
    }
    if let Some(path) = passfile()
        && let Some(secret) = read(&path).and_then(|text| pgpass::find(text.expose(), target))
    {
        return Ok(Some((usable(secret)?, path.display().to_string())));
    }
    Ok(None)
}

fn usable(secret: Secret) -> Result<Secret, QuickFault> {
    match secret.is_empty() || secret.expose().contains(&0) {
        true => Err(QuickFault::EmptyPassword),
        false => Ok(secret),
    }
}

/// PGPASSFILE, or the usual place.
fn passfile() -> Option<PathBuf> {
    let named = env::var_os("PGPASSFILE").filter(|name| !name.is_empty());
    let usual = || Some(PathBuf::from(env::var_os("HOME")?).join(".pgpass"));
    named.map(PathBuf::from).or_else(usual)
}

/// Its content, unless others can read it: then libpq ignores it, too.
fn read(path: &Path) -> Option<Secret> {
    let file = File::open(path).ok()?;
    let facts = file.metadata().ok()?;
    if !facts.is_file() || facts.len() > FILE_MAX {
        complain(&format!(
            "warning: {} is not a password file",
            path.display()
        ));
        return None;
    }
    if facts.mode() & 0o077 != 0 {
        complain(&format!(
            "warning: {} is ignored, because others can read it (chmod 0600 {0})",
            path.display()
        ));
        return None;
    }
    // Room for all from the start: a vector that grows leaves copies behind.
    let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).ok()? + 1);
    let read = file.take(facts.len()).read_to_end(&mut bytes);
    let secret = Secret::from_vec(bytes);
    read.ok().map(|_| secret)
}
