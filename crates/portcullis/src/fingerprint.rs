//! Owns telling whether a reload changes how the connections of a database are made: one number of all
//! that decides it, what its files hold included. The number says nothing about what went into it.

use crate::material::Material;
use config::{Config, Database, Origin};
use openssl::sha::Sha256;
use std::fmt::Write as _;

/// The number of one database. `secret` is the process's own: passwords are among what is hashed.
pub(crate) fn fingerprint(
    config: &Config,
    entry: &Database,
    material: &Material,
    secret: &[u8; 32],
) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(secret);
    let mut text = String::new();
    // Not where it stands: a line more above it changes nothing.
    let of_entry = (&entry.hosts, &entry.dbname, &entry.user, &entry.tls);
    let of_users = config
        .users
        .iter()
        .map(|user| (&user.name, &user.server_user));
    let _ = write!(
        text,
        "{of_entry:?} {:?} {:?} {:?} {:?}",
        entry.tcp_user_timeout,
        config.tcp,
        config.tls,
        of_users.collect::<Vec<_>>()
    );
    add(&mut hash, text.as_bytes());
    let mut passwords: Vec<_> = material.passwords.iter().collect();
    passwords.sort_by_key(|(origin, _)| format!("{origin:?}"));
    for (_, password) in passwords {
        add(&mut hash, password.expose());
    }
    for source in &config.sources {
        if let (true, Origin::File(path)) = (source.place.key.starts_with("database"), &source.from)
        {
            // One that can't be read was found out before.
            add(&mut hash, &std::fs::read(path).unwrap_or_default());
        }
    }
    hash.finish()
}

/// With its length, so that nothing passes for something else.
fn add(hash: &mut Sha256, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}
