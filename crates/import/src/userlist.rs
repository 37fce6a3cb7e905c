//! Owns PgBouncer's users file: read as it reads it, written so that ours is stricter about nothing.

use crate::fault::{At, Fault, LineProblem};
use crate::note::Kind;
use crate::{File, Translation, file, ini};
use auth::users;
use auth::{Verifier, VerifierFault};
use buf::Secret;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the users file holds.
#[derive(Default)]
pub(crate) struct Passwords {
    /// Passwords that stand there as such.
    plain: BTreeMap<String, Secret>,
    /// Whether there are any, and none as an MD5 hash.
    pub(crate) fit_for_scram: bool,
}

impl Passwords {
    /// The password of a user, if it stands there as such.
    pub(crate) fn of(&self, user: &str) -> Option<&Secret> {
        self.plain.get(user)
    }
}

/// One line of the file.
struct User {
    at: At,
    name: String,
    secret: Secret,
}

impl Translation<'_> {
    /// Reads `auth_file`, and writes it anew.
    pub(crate) fn users_file(&mut self, load: &mut ini::Load<'_>) -> Passwords {
        let users = self.read_users(load);
        let mut passwords = Passwords {
            fit_for_scram: !users.is_empty(),
            ..Passwords::default()
        };
        let mut text = Vec::with_capacity(users.iter().map(|it| 4096 + it.secret.len()).sum());
        for user in &users {
            let secret = std::str::from_utf8(user.secret.expose()).unwrap_or_default();
            match Verifier::parse(secret) {
                Ok(Verifier::Password(password)) => {
                    passwords.plain.insert(user.name.clone(), password);
                }
                Ok(Verifier::Md5(_)) => passwords.fit_for_scram = false,
                Ok(Verifier::Scram(_)) | Err(VerifierFault::Empty) => {}
                Err(fault) => {
                    let key = format!("user {:?}", user.name);
                    let note = format!("{fault}; the user is left out of users.txt");
                    self.note(Kind::ToDo, (&key, Some(&user.at)), &note);
                    continue;
                }
            }
            text.extend_from_slice(users::line(&user.name, &user.secret).expose());
        }
        self.files.push(File {
            name: file::USERS.to_owned(),
            content: Secret::from_vec(text),
        });
        passwords
    }

    fn read_users(&mut self, load: &mut ini::Load<'_>) -> Vec<User> {
        let Some((entry, value)) = self.general("auth_file") else {
            return Vec::new();
        };
        let path = PathBuf::from(value);
        let text = match load(&path) {
            Ok(text) => text,
            Err(ErrorKind::NotFound) => {
                let text = "there is no such file; users.txt is empty, and nobody in it can log in";
                self.note(Kind::ToDo, ("auth_file", Some(&entry.at)), text);
                return Vec::new();
            }
            Err(kind) => {
                let at = Some(entry.at.clone());
                self.faults.push(Fault::Unreadable { at, path, kind });
                return Vec::new();
            }
        };
        let Ok(text) = std::str::from_utf8(text.expose()) else {
            self.faults.push(Fault::NotText { path });
            return Vec::new();
        };
        let (users, faults) = read(&path, text);
        self.faults.extend(faults);
        users
    }
}

/// All users, in order; of two with the same name, the last one counts.
fn read(path: &Path, text: &str) -> (Vec<User>, Vec<Fault>) {
    let file: Arc<Path> = path.into();
    let (mut users, mut faults): (Vec<User>, Vec<Fault>) = Default::default();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with([';', '#']) {
            continue;
        }
        let at = At {
            file: file.clone(),
            line,
        };
        match user(content) {
            Some((name, secret)) => {
                users.retain(|it| it.name != name);
                users.push(User { at, name, secret });
            }
            None => {
                let problem = LineProblem::User;
                faults.push(Fault::Line { at, problem });
            }
        }
    }
    (users, faults)
}

/// The first two fields; PgBouncer ignores what follows, and what stands between them.
fn user(content: &str) -> Option<(String, Secret)> {
    let (name, rest) = field(content.strip_prefix('"')?)?;
    let (_, rest) = rest.split_once('"')?;
    let (secret, _) = field(rest)?;
    let name = std::str::from_utf8(name.expose()).ok()?.to_owned();
    (!name.is_empty()).then_some((name, secret))
}

/// A field up to its closing quote; a doubled one is one.
fn field(mut rest: &str) -> Option<(Secret, &str)> {
    let mut value = Vec::with_capacity(rest.len());
    loop {
        let (part, after) = rest.split_once('"')?;
        value.extend_from_slice(part.as_bytes());
        match after.strip_prefix('"') {
            Some(after) => {
                value.push(b'"');
                rest = after;
            }
            None => return Some((Secret::from_vec(value), after)),
        }
    }
}
