//! PgBouncer's configuration in, Portcullis' out: `pgbouncer.ini` with the files that it includes and
//! names becomes a commented TOML file, a users file, rules and passwords, and a list of what has no
//! equivalent.
//!
//! Pure: takes a function that reads files, gives texts. What may be secret comes as [`Secret`], is
//! never in the TOML, in a note or in an error, and is wiped.

mod auth;
mod databases;
mod document;
mod fault;
mod general;
mod ini;
mod listen;
mod note;
mod pairs;
mod peers;
mod rules;
mod server_tls;
mod userlist;
mod users;
mod value;

pub use fault::{At, Fault, LineProblem, Problem};
pub use note::{Kind, Note};

use buf::Secret;
use document::Block;
use ini::Ini;
use std::io::ErrorKind;
use std::path::Path;

/// The names of the files that an import writes, beside those with passwords.
pub mod file {
    /// The configuration.
    pub const CONFIGURATION: &str = "portcullis.toml";
    /// Who may log in.
    pub const USERS: &str = "users.txt";
    /// From where, and how.
    pub const RULES: &str = "hba.conf";
    /// The password of the user that looks up others.
    pub const AUTH_PASSWORD: &str = "auth_user.password";
}

/// What has become of a configuration.
#[derive(Debug)]
pub struct Import {
    /// The configuration: paths are absolute, or names of `files`.
    pub configuration: String,
    /// What else belongs to it. The first one is the users file.
    pub files: Vec<File>,
    /// What a reader has to know, in the order of PgBouncer's file.
    pub notes: Vec<Note>,
}

/// A file of an import.
#[derive(Debug)]
pub struct File {
    /// Its name, without a directory.
    pub name: String,
    /// Its text. Only its owner may read it: also rules may hold a password, as for LDAP.
    pub content: Secret,
}

/// Translates PgBouncer's `file`; `load` reads it and what it names. Relative names are left to
/// `load` as they are, and are taken from `directory` in what is written: that is where PgBouncer
/// was started.
///
/// # Errors
///
/// Everything that PgBouncer would refuse, all at once, and files that cannot be read.
pub fn translate(
    file: &Path,
    directory: &Path,
    load: &mut dyn FnMut(&Path) -> Result<Secret, ErrorKind>,
) -> Result<Import, Vec<Fault>> {
    let ini = ini::read(file, load)?;
    let mut translation = Translation {
        ini: &ini,
        directory,
        notes: Vec::new(),
        faults: Vec::new(),
        files: Vec::new(),
    };
    let blocks = translation.blocks(load);
    if !translation.faults.is_empty() {
        let mut faults = translation.faults;
        faults.sort_by_key(|fault| fault.order(file));
        // What holds for all databases is met at each of them.
        faults.dedup();
        return Err(faults);
    }
    let Translation {
        mut notes, files, ..
    } = translation;
    notes.sort_by_key(|note| note.order(file));
    let mut configuration = String::new();
    note::preface(&mut configuration, file, &notes);
    configuration.push_str(&document::text(&blocks));
    Ok(Import {
        configuration,
        files,
        notes,
    })
}

/// An import that is under way.
struct Translation<'a> {
    ini: &'a Ini,
    directory: &'a Path,
    notes: Vec<Note>,
    faults: Vec<Fault>,
    files: Vec<File>,
}

impl Translation<'_> {
    /// All sections, in the order of the file.
    fn blocks(&mut self, load: &mut ini::Load<'_>) -> Vec<Block> {
        let passwords = self.users_file(load);
        let mut listen = Block::once("listen");
        self.listen(&mut listen);
        let mut auth = Block::once("auth");
        let needs = self.auth((&mut listen, &mut auth), passwords.fit_for_scram, load);
        self.auth_query(&mut auth, &passwords);
        let mode = self.client_mode();
        let listen_tls = self.listen_tls(mode, listen.has_elements("address"), needs);
        let mut pool = Block::once("pool");
        self.pool(&mut pool);
        let databases = self.databases(&passwords, &pool);
        let mut blocks = vec![listen, listen_tls, auth];
        blocks.extend(databases);
        blocks.push(pool);
        blocks.extend(self.peers());
        blocks.extend(self.users());
        blocks.extend(self.rest());
        self.left_out();
        blocks
    }
}
