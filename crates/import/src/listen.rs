//! Owns where clients connect, and their TLS: `listen_addr`, `unix_socket_dir`, `client_tls_*`.

use crate::Translation;
use crate::document::{Block, Value};
use crate::fault::{Fault, Problem};
use crate::note::Kind;
use crate::value::{Form, Same, is_plain, list, number, word};
use std::net::{IpAddr, SocketAddr};

/// PgBouncer's port.
const PORT: u16 = 6432;
/// PgBouncer's default place of its socket.
pub(crate) const SOCKET_DIRECTORY: &str = "/tmp";
/// What a socket's directory may have, so that the name fits behind it (unix(7)).
const DIRECTORY_MOST: usize = 107 - "/.s.PGSQL.65535".len();

/// `client_tls_sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl ClientMode {
    /// Whether no client comes without TLS.
    pub(crate) fn encrypts(self) -> bool {
        !matches!(self, Self::Disable | Self::Allow | Self::Prefer)
    }

    fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}

/// What logins need of the listener's TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Clients prove themselves by certificates, if not by anything else.
    pub(crate) certificates: bool,
    /// No client may come without TLS.
    pub(crate) encryption: bool,
}

const MODES: &[&str] = &[
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];
const PLAIN: &[(&str, &str)] = &[
    ("listen_backlog", "listen_backlog"),
    ("max_client_conn", "max_client_conn"),
    ("peer_id", "peer_id"),
];
const TIMES: &[&str] = &[
    "client_login_timeout",
    "client_idle_timeout",
    "idle_transaction_timeout",
    "transaction_timeout",
    "query_timeout",
];

impl Translation<'_> {
    /// `[listen]`.
    pub(crate) fn listen(&mut self, listen: &mut Block) {
        let port = self.port();
        let addresses = self.addresses(port);
        let from = self.ini.general("listen_addr").map(|entry| &entry.at);
        let shown = addresses.iter().map(SocketAddr::to_string).collect();
        listen.set("address", Value::Texts(shown), from);
        self.unix_socket(listen, addresses.is_empty());
        if addresses.is_empty() && listen.has("unix_socket_dir") && port != PORT {
            let text = "without a TCP address the socket's name ends in 6432 here; clients have to \
                        name that port";
            let at = self.ini.general("listen_port").map(|entry| &entry.at);
            self.note(Kind::ToDo, ("listen_port", at), text);
        }
        for (key, name) in PLAIN {
            self.general_same(listen, "listen", (key, Form::Number, name));
        }
        for key in TIMES {
            self.general_same(listen, "listen", (key, Form::Seconds, key));
        }
        let key = "tcp_user_timeout";
        self.general_same(listen, "listen", (key, Form::Millis, key));
    }

    /// A general setting with the same meaning here, if it is written.
    pub(crate) fn general_same(
        &mut self,
        block: &mut Block,
        path: &'static str,
        (key, form, name): (&str, Form, &str),
    ) {
        if let Some(entry) = self.ini.general(key) {
            let (at, value) = (&entry.at, entry.value());
            let same = Same {
                key,
                form,
                name,
                at,
                value,
            };
            self.same(block, path, &same);
        }
    }

    fn port(&mut self) -> u16 {
        let Some(entry) = self.ini.general("listen_port") else {
            return PORT;
        };
        let port = number(entry.value()).and_then(|port| u16::try_from(port).ok());
        port.filter(|port| *port > 0).unwrap_or_else(|| {
            self.bad(("listen_port", &entry.at), Problem::Port);
            PORT
        })
    }

    fn addresses(&mut self, port: u16) -> Vec<SocketAddr> {
        let Some((entry, value)) = self.general("listen_addr") else {
            return Vec::new();
        };
        let key = ("listen_addr", Some(&entry.at));
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for name in list(value) {
            let ip: IpAddr = match (name, name.parse()) {
                ("*", _) => {
                    let text = "* is [::] here, every address of both families; write 0.0.0.0 where \
                                the machine has no IPv6";
                    self.note(Kind::Differs, key, text);
                    IpAddr::from([0u16; 8])
                }
                ("localhost", _) => {
                    let text = "localhost is 127.0.0.1 here; add [::1] if clients come by IPv6";
                    self.note(Kind::Differs, key, text);
                    IpAddr::from([127, 0, 0, 1])
                }
                (_, Ok(ip)) => ip,
                (_, Err(_)) => {
                    self.bad(("listen_addr", &entry.at), Problem::Address);
                    continue;
                }
            };
            let address = SocketAddr::new(ip, port);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    fn unix_socket(&mut self, listen: &mut Block, alone: bool) {
        let (directory, from) = match self.ini.general("unix_socket_dir") {
            Some(entry) => (entry.value(), Some(&entry.at)),
            None if alone => (SOCKET_DIRECTORY, None),
            None => {
                let text =
                    "PgBouncer also listens on a Unix socket in /tmp; here one must be named";
                return self.note(Kind::Differs, ("unix_socket_dir", None), text);
            }
        };
        let key = ("unix_socket_dir", from);
        if directory.is_empty() {
            if alone {
                let text = "neither an address nor a socket is named; 127.0.0.1 is written, so that \
                            there is one";
                self.note(Kind::ToDo, key, text);
                let address = vec![format!("127.0.0.1:{PORT}")];
                listen.set("address", Value::Texts(address), None);
            }
            return;
        }
        if directory.starts_with('@') || !is_plain(directory, DIRECTORY_MOST) {
            if let Some(at) = from {
                self.bad(("unix_socket_dir", at), Problem::Text);
            }
            return;
        }
        listen.set("unix_socket_dir", Value::Text(self.path(directory)), from);
        let (mode, from) = match self.ini.general("unix_socket_mode") {
            None => (Some(0o777), None),
            Some(entry) => (number(entry.value()), Some(&entry.at)),
        };
        match (mode, from) {
            (Some(mode @ 0..=0o777), from) => {
                let mode = format!("{mode:04o}");
                listen.set("unix_socket_mode", Value::Text(mode), from);
            }
            (_, Some(at)) => self.bad(("unix_socket_mode", at), Problem::Number),
            _ => {}
        }
        if let Some((entry, _)) = self.general("unix_socket_group") {
            let text = "the socket has the group that Portcullis runs with, or that of a directory \
                        with the setgid bit; give one of them this group";
            let at = Some(&entry.at);
            self.note(Kind::Differs, ("unix_socket_group", at), text);
        }
    }

    /// A path, from the directory that PgBouncer was started in.
    pub(crate) fn path(&self, path: &str) -> String {
        self.directory.join(path).to_string_lossy().into_owned()
    }

    /// `client_tls_sslmode`.
    pub(crate) fn client_mode(&mut self) -> ClientMode {
        let Some((entry, value)) = self.general("client_tls_sslmode") else {
            return ClientMode::Disable;
        };
        match word(value, MODES) {
            Some("disable") => ClientMode::Disable,
            Some("allow") => ClientMode::Allow,
            Some("prefer") => ClientMode::Prefer,
            Some("require") => ClientMode::Require,
            Some("verify-ca") => ClientMode::VerifyCa,
            Some(_) => ClientMode::VerifyFull,
            None => {
                let words = "there are disable, allow, prefer, require, verify-ca and verify-full";
                self.faults.push(Fault::Setting {
                    at: entry.at.clone(),
                    key: entry.key.clone(),
                    problem: Problem::Word(words),
                });
                ClientMode::Disable
            }
        }
    }

    /// `[listen.tls]`; `tcp` if there is an address that it is for.
    pub(crate) fn listen_tls(&mut self, mode: ClientMode, tcp: bool, needs: Needs) -> Block {
        let mut tls = Block::once("listen.tls");
        let written = self
            .general("client_tls_sslmode")
            .map(|(entry, _)| &entry.at);
        let key = ("client_tls_sslmode", written);
        if !tcp {
            let any = self.general("client_tls_cert_file").is_some();
            if any {
                let text = "there is no TCP address, and nobody speaks TLS over a Unix socket";
                self.note(Kind::NotNeeded, key, text);
            }
            return tls;
        }
        let mode = match needs.encryption && !mode.encrypts() {
            true => {
                let text = "the way of logging in needs TLS, so it is required here";
                self.note(Kind::Differs, key, text);
                ClientMode::Require
            }
            false => mode,
        };
        let word = match mode {
            ClientMode::Disable => {
                tls.remark(
                    "No TLS with clients, as PgBouncer had it: passwords and rows are readable on \
                     the network. To encrypt, name certificate and private_key here and write mode = \
                     \"require\", or first \"allow\" until every client does; `portcullis settings \
                     listen.tls.mode` tells them apart.",
                );
                let text = "clients are not encrypted, as PgBouncer had it; \"require\" is the \
                            default here";
                self.note(Kind::Differs, key, text);
                tls.set("mode", Value::Text("disable".to_owned()), written);
                return tls;
            }
            ClientMode::Allow | ClientMode::Prefer => {
                tls.remark(
                    "Clients may come without TLS, as PgBouncer had it; those that do are readable \
                     on the network. \"require\" is the default here.",
                );
                match mode {
                    ClientMode::Allow => "allow",
                    _ => "prefer",
                }
            }
            ClientMode::Require => "require",
            ClientMode::VerifyCa => "verify-ca",
            ClientMode::VerifyFull => {
                let text = "PgBouncer's verify-full is its verify-ca, which is written; \"verify-full\" \
                            here also demands that a certificate names the user";
                self.note(Kind::Differs, key, text);
                "verify-ca"
            }
        };
        tls.set("mode", Value::Text(word.to_owned()), written);
        self.client_files(&mut tls, mode.verifies() || needs.certificates);
        self.shape(&mut tls, "client");
        tls
    }

    fn client_files(&mut self, tls: &mut Block, authority: bool) {
        for (key, name, placeholder) in [
            ("client_tls_cert_file", "certificate", "server.crt"),
            ("client_tls_key_file", "private_key", "server.key"),
            ("client_tls_ca_file", "client_ca", "client-ca.crt"),
        ] {
            if let Some((entry, value)) = self.general(key) {
                match is_plain(value, 4000) {
                    true => tls.set(name, Value::Text(self.path(value)), Some(&entry.at)),
                    false => self.bad((key, &entry.at), Problem::Text),
                }
            } else if authority || name != "client_ca" {
                let text = format!("no file is named; put yours at {placeholder}, or name it");
                self.note(Kind::ToDo, (key, None), &text);
                tls.set(name, Value::Text(placeholder.to_owned()), None);
            }
        }
    }
}
