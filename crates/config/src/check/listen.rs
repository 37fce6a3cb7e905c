//! Owns the judgement of `[listen]` and `[listen.tls]`.

use super::{Judge, tls};
use crate::checked::{
    ClientCertificates, Clients, Holds, Listen, ListenTls, ListenTlsOn, UnixSocket,
};
use crate::conflict::Conflict;
use crate::sections;
use crate::warning::Weakness;
use crate::words::{ListenMode, PlaintextCancel, ProxyProtocol};
use std::net::IpAddr;

/// PgBouncer's port, for the Unix socket of a listener without addresses.
const PORT: u16 = 6432;
/// `sun_path` has 108 bytes, the last of them zero (unix(7)).
const SOCKET_PATH_MOST: usize = 107;

impl Judge<'_, '_> {
    pub(super) fn listen(
        &self,
        listen: &sections::Listen,
        tls: &sections::ListenTls,
    ) -> Option<Listen> {
        let addresses = &listen.address.value.0;
        let unix_socket = self.unix_socket(listen);
        if addresses.is_empty() && unix_socket.is_none() {
            self.conflict(&listen.address, Conflict::NothingToListenOn);
        }
        let repeated = |(index, address)| addresses[..index].contains(address);
        if addresses.iter().enumerate().any(repeated) {
            self.conflict(&listen.address, Conflict::AddressTwice);
        }
        Some(Listen {
            addresses: addresses.clone(),
            backlog: listen.listen_backlog.value,
            unix_socket,
            workers: listen.workers.value,
            max_client_conn: listen.max_client_conn.value,
            client_login_timeout: listen.client_login_timeout.value,
            client_idle_timeout: listen.client_idle_timeout.value.0,
            idle_transaction_timeout: listen.idle_transaction_timeout.value.0,
            query_timeout: listen.query_timeout.value.0,
            drain_timeout: listen.drain_timeout.value,
            allow_trust: listen.allow_trust.value,
            tcp_user_timeout: listen.tcp_user_timeout.value.0,
            proxy_trusted: self.proxy_trusted(listen),
            tls: match addresses.is_empty() {
                true => self.tls_without_addresses(tls)?,
                false => self.listen_tls(tls)?,
            },
        })
    }

    fn proxy_trusted(&self, listen: &sections::Listen) -> Option<Vec<(IpAddr, u8)>> {
        let trusted = &listen.proxy_trusted;
        match (listen.proxy_protocol.value, trusted.value.0.is_empty()) {
            (ProxyProtocol::Require, true) => {
                self.conflict(&listen.proxy_protocol, Conflict::ProxyTrustedNeeded);
            }
            (mode @ ProxyProtocol::Off, false) => {
                let mode = mode.word();
                self.conflict(trusted, Conflict::ProxyTrustedUnused { mode });
            }
            _ => {}
        }
        (listen.proxy_protocol.value == ProxyProtocol::Require).then(|| trusted.value.0.clone())
    }

    fn unix_socket(&self, listen: &sections::Listen) -> Option<UnixSocket> {
        let directory = listen.unix_socket_dir.value.as_ref()?;
        let first = listen.address.value.0.first();
        let port = first.map_or(PORT, |address| address.port());
        let path = self
            .directory
            .join(directory)
            .join(format!(".s.PGSQL.{port}"));
        let length = path.as_os_str().len();
        if length > SOCKET_PATH_MOST {
            let conflict = Conflict::SocketPathTooLong { length };
            self.conflict(&listen.unix_socket_dir, conflict);
        }
        Some(UnixSocket {
            path,
            mode: listen.unix_socket_mode.value.0,
        })
    }

    /// A listener with nothing but a Unix socket needs no certificate: PostgreSQL's clients speak
    /// no TLS over one.
    fn tls_without_addresses(&self, tls: &sections::ListenTls) -> Option<ListenTls> {
        match (&tls.certificate.value, &tls.private_key.value) {
            (None, None) => Some(ListenTls::Disabled),
            _ => self.listen_tls(tls),
        }
    }

    fn listen_tls(&self, tls: &sections::ListenTls) -> Option<ListenTls> {
        let clients = match tls.mode.value {
            ListenMode::Disable => {
                self.warn(&tls.mode, Weakness::PlaintextClients);
                self.unused_without_tls(tls);
                return Some(ListenTls::Disabled);
            }
            ListenMode::Allow | ListenMode::Prefer => {
                self.warn(&tls.mode, Weakness::PlaintextAllowed);
                Clients::MayEncrypt
            }
            ListenMode::Require | ListenMode::VerifyCa | ListenMode::VerifyFull => {
                Clients::MustEncrypt
            }
        };
        if tls.plaintext_cancel.value == PlaintextCancel::Accept {
            self.warn(&tls.plaintext_cancel, Weakness::PlaintextCancel);
        }
        if tls.certificate.value.is_none() && tls.private_key.value.is_none() {
            self.conflict(&tls.certificate, Conflict::CertificateNeeded);
        }
        let identity = self.key_pair(&tls.certificate, &tls.private_key);
        let client_certificates = self.client_certificates(tls);
        Some(ListenTls::On(Box::new(ListenTlsOn {
            renegotiation: tls.renegotiation.value,
            clients,
            direct: tls.direct.value,
            identity: identity?,
            client_certificates: client_certificates?,
            options: tls::options(
                &tls.min_version,
                [&tls.ciphers, &tls.ciphersuites, &tls.groups],
            ),
            plaintext_cancel: tls.plaintext_cancel.value,
        })))
    }

    fn client_certificates(&self, tls: &sections::ListenTls) -> Option<ClientCertificates> {
        let authority = self.optional_file(&tls.client_ca, Holds::Authorities);
        let Some(authority) = authority else {
            let wanted = match tls.mode.value {
                ListenMode::VerifyCa => "mode = \"verify-ca\"",
                ListenMode::VerifyFull => "mode = \"verify-full\"",
                _ => return Some(ClientCertificates::NotAsked),
            };
            self.conflict(&tls.mode, Conflict::ClientCaNeeded { wanted });
            return None;
        };
        Some(match tls.mode.value {
            ListenMode::VerifyFull => ClientCertificates::RequiredForUser(authority),
            ListenMode::VerifyCa => ClientCertificates::Required(authority),
            _ => ClientCertificates::Optional(authority),
        })
    }

    fn unused_without_tls(&self, tls: &sections::ListenTls) {
        let mode = ListenMode::Disable.word();
        let instead = "mode = \"require\"";
        for file in [&tls.certificate, &tls.private_key, &tls.client_ca] {
            self.unused(file, mode, instead);
        }
        for names in [&tls.ciphers, &tls.ciphersuites, &tls.groups] {
            self.unused(names, mode, instead);
        }
        self.unused(&tls.min_version, mode, instead);
        self.unused(&tls.direct, mode, instead);
        self.unused(&tls.plaintext_cancel, mode, instead);
    }
}
