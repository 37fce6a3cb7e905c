//! Owns the text of a small commented configuration: what `quickstart --write` leaves behind, and
//! what `quickstart` and `demo` run from. Takes plain values, gives TOML.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// What the configuration is to say. Paths are relative to its file, or absolute.
pub(crate) struct Draft<'a> {
    /// Comments at the top, one line each.
    pub(crate) preface: &'a [String],
    /// Where clients come in.
    pub(crate) listen: SocketAddr,
    /// Whether both legs insist on channel binding.
    pub(crate) binding: Binding,
    /// The database, on both sides.
    pub(crate) database: &'a str,
    /// The server's host.
    pub(crate) host: &'a str,
    /// The server's port.
    pub(crate) port: u16,
    /// Who logs in at the server, whoever the client is.
    pub(crate) role: Option<&'a str>,
    /// What the server has to prove.
    pub(crate) trust: &'a Trust,
}

/// Names of the files that every draft speaks of.
pub(crate) mod file {
    /// The configuration itself.
    pub(crate) const CONFIGURATION: &str = "portcullis.toml";
    /// The authority that clients trust.
    pub(crate) const AUTHORITY: &str = "ca.crt";
    /// Our certificate.
    pub(crate) const CERTIFICATE: &str = "server.crt";
    /// Its key.
    pub(crate) const KEY: &str = "server.key";
    /// Who may log in.
    pub(crate) const USERS: &str = "users.txt";
    /// The role's password.
    pub(crate) const PASSWORD: &str = "server.password";
}

/// Channel binding on both legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Wherever both ends can.
    Preferred,
    /// Nothing else will do.
    Required,
}

/// What a server has to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A certificate for its host by one of the operating system's authorities.
    System,
    /// A certificate for its host by an authority of this file.
    Authority(String),
    /// This very certificate.
    Pin([u8; 32]),
    /// Nothing: no TLS, said by name.
    Disabled,
}

impl Trust {
    /// The rule in a few words.
    pub(crate) fn in_words(&self, host: &str) -> String {
        match self {
            Trust::System => format!("made out to {host}, by an authority of this system"),
            Trust::Authority(path) => format!("made out to {host}, by an authority of {path}"),
            Trust::Pin(_) => "exactly the pinned certificate".to_owned(),
            Trust::Disabled => "nothing: this leg is in clear text, as you asked".to_owned(),
        }
    }
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Draft<'_> {
    /// The configuration.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in self.preface {
            let _ = writeln!(text, "# {line}");
        }
        self.towards_clients(&mut text);
        self.towards_server(&mut text);
        text
    }

    fn towards_clients(&self, text: &mut String) {
        let _ = write!(
            text,
            "\n[listen]\n\
             # Where clients connect.\n\
             address = {address}\n\
             \n[listen.tls]\n\
             # Every client must use TLS. {authority} is the authority that they verify us with.\n\
             mode = \"require\"\n\
             certificate = {certificate}\n\
             private_key = {key}\n\
             \n[auth]\n\
             # Who may log in: a SCRAM verifier for each user, not the password.\n\
             method = \"scram-sha-256\"\n\
             auth_file = {users}\n",
            address = quoted(&self.listen.to_string()),
            authority = file::AUTHORITY,
            certificate = quoted(file::CERTIFICATE),
            key = quoted(file::KEY),
            users = quoted(file::USERS),
        );
        self.binding(text);
    }

    fn towards_server(&self, text: &mut String) {
        let _ = write!(
            text,
            "\n[[database]]\n\
             # What clients ask for, and where it is.\n\
             name = {name}\n\
             host = {host}\n\
             port = {port}\n",
            name = quoted(self.database),
            host = quoted(self.host),
            port = self.port,
        );
        if let Some(role) = self.role {
            let _ = write!(
                text,
                "# Whom Portcullis logs in as, and the file whose first line is the password.\n\
                 user = {}\n\
                 password_file = {}\n",
                quoted(role),
                quoted(file::PASSWORD),
            );
        }
        text.push_str("\n[database.tls]\n");
        let _ = match self.trust {
            Trust::System => write!(
                text,
                "# The server's certificate must be made out to the host, by an authority of \
                 this system.\nmode = \"verify-full\"\nca = \"system\"\n"
            ),
            Trust::Authority(path) => write!(
                text,
                "# The server's certificate must be made out to the host, by an authority of this \
                 file.\nmode = \"verify-full\"\nca = {}\n",
                quoted(path)
            ),
            Trust::Pin(pin) => write!(
                text,
                "# The server must have exactly this certificate; a renewed one needs a new pin.\n\
                 mode = \"pin\"\npin = \"sha256:{}\"\n",
                hex(pin)
            ),
            Trust::Disabled => write!(
                text,
                "# No TLS: passwords and rows are readable on the way to the server.\n\
                 mode = \"disable\"\n"
            ),
        };
        if *self.trust != Trust::Disabled {
            self.binding(text);
        }
    }

    fn binding(&self, text: &mut String) {
        if self.binding == Binding::Required {
            text.push_str(
                "# Logins are bound to the TLS channel, so that nobody can sit between.\n\
                 channel_binding = \"require\"\n",
            );
        }
    }
}

/// A TOML basic string (TOML 1.0, "String").
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Config;

    #[test]
    fn every_draft_is_a_right_configuration() {
        let trusts = [
            Trust::System,
            Trust::Authority("/etc/an \"odd\" \\ name.crt".to_owned()),
            Trust::Pin([7; 32]),
            Trust::Disabled,
        ];
        for trust in &trusts {
            for (role, binding) in [
                (None, Binding::Preferred),
                (Some("o'hara \"x\""), Binding::Required),
            ] {
                let draft = Draft {
                    preface: &["made for a test".to_owned()],
                    listen: ([127, 0, 0, 1], 6432).into(),
                    binding,
                    database: "app",
                    host: "db.example.com",
                    port: 5433,
                    role,
                    trust,
                };
                let text = draft.text();
                let (config, _) = match Config::from_text(&text, "p.toml") {
                    Ok(read) => read,
                    Err(errors) => panic!("{errors:#?}\nin:\n{text}"),
                };
                let user = config.databases[0].user.as_ref();
                assert_eq!(user.map(|user| user.name.as_str()), role);
                assert_eq!(config.databases[0].listed().unwrap().hosts[0].port, 5433);
            }
        }
    }
}
