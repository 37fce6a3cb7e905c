//! Owns TLS towards servers, `server_tls_*`, and what both legs' TLS have in common: versions,
//! ciphers and groups.

use crate::Translation;
use crate::document::{Block, Value};
use crate::fault::Problem;
use crate::note::Kind;
use crate::value::{is_plain, word};

const MODES: &[&str] = &[
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];
/// Names of lists of ciphers that PgBouncer knows by themselves.
const KEYWORDS: &[&str] = &["default", "secure", "normal", "fast"];
const WEAK_KEYWORDS: &[&str] = &["legacy", "compat", "all", "insecure"];

impl Translation<'_> {
    /// `[database.tls]`, and `[[database.host_tls]]` for sockets among hosts.
    pub(crate) fn server_tls(&mut self, hosts: &[String]) -> Vec<Block> {
        let (local, remote): (Vec<_>, Vec<_>) = hosts
            .iter()
            .cloned()
            .partition(|host| host.starts_with('/'));
        let off = Value::Text("disable".to_owned());
        let mut tls = Block::once("database.tls");
        if remote.is_empty() {
            tls.set("mode", off, None);
            return vec![tls];
        }
        let written = self
            .general("server_tls_sslmode")
            .map(|(entry, value)| (&entry.at, value));
        let at = written.map(|(at, _)| at);
        let mode = match written.map(|(_, value)| word(value, MODES)) {
            None => "prefer",
            Some(Some("allow")) => "prefer",
            Some(Some("verify-ca")) if self.general("server_tls_ca_file").is_none() => {
                let text = "without server_tls_ca_file the system's authorities sign for anybody; \
                            verify-full is written";
                self.note(Kind::Differs, ("server_tls_sslmode", at), text);
                "verify-full"
            }
            Some(Some(mode)) => mode,
            Some(None) => {
                let words = "there are disable, allow, prefer, require, verify-ca and verify-full";
                if let Some(at) = at {
                    self.bad(("server_tls_sslmode", at), Problem::Word(words));
                }
                "prefer"
            }
        };
        tls.set("mode", Value::Text(mode.to_owned()), at);
        if !mode.starts_with("verify") {
            let text = "servers are not verified, as PgBouncer had it, so that anyone in between can \
                        be the server; \"verify-full\" is the default here, with ca = the file of \
                        your authority";
            self.note(Kind::Differs, ("server_tls_sslmode", at), text);
            tls.remark(
                "The server is not verified, as PgBouncer had it. Write mode = \"verify-full\", and \
                 ca = the file of the authority that signs its certificate.",
            );
        }
        if mode != "disable" {
            self.server_files(&mut tls, mode.starts_with("verify"));
            self.shape(&mut tls, "server");
        }
        let mut blocks = vec![tls];
        if mode != "disable" && !local.is_empty() {
            let mut own = Block::many("database.host_tls");
            own.set("host", Value::Texts(local), None);
            own.set("mode", off, None);
            blocks.push(own);
        }
        blocks
    }

    fn server_files(&mut self, tls: &mut Block, verifies: bool) {
        let pair = ["server_tls_cert_file", "server_tls_key_file"];
        let given = pair.map(|key| self.general(key).is_some());
        for (key, name) in [
            (pair[0], "certificate"),
            (pair[1], "private_key"),
            ("server_tls_ca_file", "ca"),
        ] {
            let Some((entry, value)) = self.general(key) else {
                continue;
            };
            let at = Some(&entry.at);
            if name == "ca" && !verifies {
                let text = "this mode verifies nobody, so no authority is named";
                self.note(Kind::NotNeeded, (key, at), text);
            } else if name != "ca" && given != [true; 2] {
                let text = "a certificate and its key are of no use without each other";
                self.note(Kind::NotNeeded, (key, at), text);
            } else if is_plain(value, 4000) {
                tls.set(name, Value::Text(self.path(value)), at);
            } else {
                self.bad((key, &entry.at), Problem::Text);
            }
        }
    }

    /// Versions, ciphers and groups of one leg.
    pub(crate) fn shape(&mut self, tls: &mut Block, leg: &'static str) {
        self.versions(tls, leg);
        self.ciphers(tls, leg);
        let Some((entry, value)) = self
            .general("client_tls_ecdhcurve")
            .filter(|_| leg == "client")
        else {
            return;
        };
        match value {
            "auto" | "secure" => {}
            "none" => {
                let text = "TLS without elliptic curves is not spoken here";
                self.note(
                    Kind::Differs,
                    ("client_tls_ecdhcurve", Some(&entry.at)),
                    text,
                );
            }
            group if is_plain(group, 4096) => {
                tls.set("groups", Value::Text(group.to_owned()), Some(&entry.at));
            }
            _ => self.bad(("client_tls_ecdhcurve", &entry.at), Problem::Text),
        }
    }

    fn versions(&mut self, tls: &mut Block, leg: &str) {
        let key = format!("{leg}_tls_protocols");
        let Some((entry, value)) = self.general(&key) else {
            return;
        };
        let at = Some(&entry.at);
        let value = value.to_ascii_lowercase();
        let words: Vec<&str> = value
            .split([',', ':', ' '])
            .filter(|it| !it.is_empty())
            .collect();
        let has = |name: &str| words.contains(&name);
        let known = |it: &&str| {
            ["all", "legacy", "default", "secure", "tlsv1", "tlsv1.0"].contains(it)
                || ["tlsv1.1", "tlsv1.2", "tlsv1.3"].contains(it)
        };
        if words.is_empty() || !words.iter().all(known) {
            let words = "there are all, secure, tlsv1.2 and tlsv1.3, apart by commas";
            return self.bad((&key, &entry.at), Problem::Word(words));
        }
        let range = ["all", "legacy", "default", "secure", "tlsv1"]
            .iter()
            .any(|it| has(it));
        if ["all", "legacy", "tlsv1", "tlsv1.0", "tlsv1.1"]
            .iter()
            .any(|it| has(it))
        {
            let text = "TLS 1.2 is the oldest that is spoken here; TLS 1.0 and 1.1 are left out";
            self.note(Kind::Differs, (&key, at), text);
        }
        match (range || has("tlsv1.2"), range || has("tlsv1.3")) {
            (false, true) => tls.set("min_version", Value::Text("TLSv1.3".to_owned()), at),
            (true, false) => tls.set("max_version", Value::Text("TLSv1.2".to_owned()), at),
            _ => {}
        }
    }

    fn ciphers(&mut self, tls: &mut Block, leg: &str) {
        let key = format!("{leg}_tls_ciphers");
        if let Some((entry, value)) = self.general(&key) {
            let at = Some(&entry.at);
            if word(value, WEAK_KEYWORDS).is_some() {
                let text = "old and weak ciphers are not spoken here; if a peer needs one, write its \
                            name into ciphers";
                self.note(Kind::Differs, (&key, at), text);
            } else if word(value, KEYWORDS).is_some() {
                let text = "Mozilla's intermediate ciphers are the default here";
                self.note(Kind::NotNeeded, (&key, at), text);
            } else if is_plain(value, 4096) {
                tls.set("ciphers", Value::Text(value.to_owned()), at);
            } else {
                self.bad((&key, &entry.at), Problem::Text);
            }
        }
        let key = format!("{leg}_tls13_ciphers");
        if let Some((entry, value)) = self.general(&key) {
            match is_plain(value, 4096) {
                true => tls.set(
                    "ciphersuites",
                    Value::Text(value.to_owned()),
                    Some(&entry.at),
                ),
                false => self.bad((&key, &entry.at), Problem::Text),
            }
        }
    }
}
