//! Owns the key log: the secrets of every session, one line each, in the file that `SSLKEYLOGFILE` names,
//! so that Wireshark can decrypt what it recorded. Only in a build that was made for it (feature
//! `keylog`); whoever runs such a build says so at its start ([`file()`]).
//! Source: draft-ietf-tls-keylogfile.

use openssl::ssl::SslContextBuilder;
use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// The file, if one is named.
pub fn file() -> Option<PathBuf> {
    env::var_os("SSLKEYLOGFILE").map(PathBuf::from)
}

/// Lets a context write the keys of its sessions. A line that can't be written is lost.
pub(crate) fn install(builder: &mut SslContextBuilder) {
    let Some(path) = file() else {
        return;
    };
    builder.set_keylog_callback(move |_, line| {
        // One write a line, so that lines of several threads don't mix.
        let mut options = OpenOptions::new();
        let opened = options.create(true).append(true).mode(0o600).open(&path);
        let _ = opened.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    });
}
