//! Owns the judgement of `[listen]`, `[listen.tls]`, and further listeners.

use super::Judge;
use super::tls::{Passphrase, Shape};
use crate::checked::{
    ClientCertificates, Clients, Holds, KeyPair, Listen, ListenTls, ListenTlsOn, Listener,
    NamedKeyPair, UnixSocket,
};
use crate::conflict::Conflict;
use crate::read::Given;
use crate::sections;
use crate::warning::Weakness;
use crate::words::{ListenMode, PlaintextCancel, ProxyProtocol};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// PgBouncer's port, for the Unix socket of a listener without addresses.
const PORT: u16 = 6432;
/// `sun_path` has 108 bytes, the last of them zero (unix(7)).
const SOCKET_PATH_MOST: usize = 107;

impl Judge<'_, '_> {
    pub(super) fn listen(
        &self,
        listen: &sections::Listen,
        (tls, identities): (&sections::ListenTls, &[sections::ListenTlsIdentity]),
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
            transaction_timeout: listen.transaction_timeout.value.0,
            drain_timeout: listen.drain_timeout.value,
            takeover_socket: self.takeover_socket(listen),
            takeover_timeout: listen.takeover_timeout.value.0,
            peer_id: Some(listen.peer_id.value).filter(|id| *id > 0),
            allow_trust: listen.allow_trust.value,
            tcp_user_timeout: listen.tcp_user_timeout.value.0,
            proxy_trusted: self.proxy_trusted(listen),
            tls: match addresses.is_empty() {
                true => self.tls_without_addresses(tls, identities)?,
                false => self.listen_tls(tls, identities)?,
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

    /// The further listeners. Addresses are compared with those of all before them.
    pub(super) fn listeners(
        &self,
        first: &sections::Listen,
        listeners: &[sections::ListenerSections],
    ) -> Vec<Listener> {
        let mut taken = first.address.value.0.clone();
        for it in listeners {
            let address = &it.listener.address;
            if address.value.0.is_empty() {
                self.conflict(address, Conflict::ListenerWithoutAddress);
            }
            for one in &address.value.0 {
                if taken.contains(one) {
                    self.conflict(address, Conflict::AddressTwice);
                }
                taken.push(*one);
            }
        }
        let judged = |it: &sections::ListenerSections| {
            let address = &it.listener.address;
            Some(Listener {
                addresses: address.value.0.clone(),
                method: it.listener.method.value,
                tls: self.listen_tls(&it.tls, &it.identities)?,
                place: self.report.place(address.span, "listener"),
            })
        };
        listeners.iter().filter_map(judged).collect()
    }

    fn unix_socket(&self, listen: &sections::Listen) -> Option<UnixSocket> {
        let directory = listen.unix_socket_dir.value.as_ref()?;
        let first = listen.address.value.0.first();
        let port = first.map_or(PORT, |address| address.port());
        let path = self
            .directory
            .join(directory)
            .join(format!(".s.PGSQL.{port}"));
        self.fits_an_address(&listen.unix_socket_dir, &path);
        Some(UnixSocket {
            path,
            mode: listen.unix_socket_mode.value.0,
        })
    }

    fn takeover_socket(&self, listen: &sections::Listen) -> Option<PathBuf> {
        let named = listen.takeover_socket.value.as_ref()?;
        let path = self.directory.join(named);
        self.fits_an_address(&listen.takeover_socket, &path);
        Some(path)
    }

    /// Whether a socket can have this path.
    fn fits_an_address(&self, setting: &Given<Option<PathBuf>>, path: &Path) {
        let length = path.as_os_str().len();
        if length > SOCKET_PATH_MOST {
            self.conflict(setting, Conflict::SocketPathTooLong { length });
        }
    }

    /// A listener with nothing but a Unix socket needs no certificate: PostgreSQL's clients speak
    /// no TLS over one.
    fn tls_without_addresses(
        &self,
        tls: &sections::ListenTls,
        identities: &[sections::ListenTlsIdentity],
    ) -> Option<ListenTls> {
        match (&tls.certificate.value, &tls.private_key.value) {
            (None, None) => Some(ListenTls::Disabled),
            _ => self.listen_tls(tls, identities),
        }
    }

    fn listen_tls(
        &self,
        tls: &sections::ListenTls,
        identities: &[sections::ListenTlsIdentity],
    ) -> Option<ListenTls> {
        let clients = match tls.mode.value {
            ListenMode::Disable => {
                self.warn(&tls.mode, Weakness::PlaintextClients);
                self.unused_without_tls(tls, identities);
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
        let passphrase = Passphrase {
            file: &tls.private_key_passphrase_file,
            command: &tls.private_key_passphrase_command,
        };
        let identity = self.key_pair(&tls.certificate, &tls.private_key, &passphrase);
        let staple = self.optional_file(&tls.staple, Holds::Staple);
        let named = |section: &sections::ListenTlsIdentity| NamedKeyPair {
            names: section.names.value.0.clone(),
            identity: self.identity(section),
        };
        let identities = identities.iter().map(named).collect();
        let client_certificates = self.client_certificates(tls);
        if tls.client_crl.value.is_some() && tls.client_ca.value.is_none() {
            self.conflict(&tls.client_crl, Conflict::CrlWithoutAuthority);
        }
        if tls.session_tickets.value && tls.client_ca.value.is_some() {
            self.conflict(
                &tls.session_tickets,
                Conflict::TicketsWithClientCertificates,
            );
        }
        Some(ListenTls::On(Box::new(ListenTlsOn {
            renegotiation: tls.renegotiation.value,
            clients,
            direct: tls.direct.value,
            identity: KeyPair {
                staple,
                ..identity?
            },
            identities,
            unknown_name: tls.unknown_name.value,
            client_certificates: client_certificates?,
            client_crl: self.optional_file(&tls.client_crl, Holds::RevocationLists),
            session_tickets: (tls.session_tickets.value)
                .then_some(tls.session_ticket_key_lifetime.value),
            options: self.options(&Shape::from(tls)),
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

    fn unused_without_tls(
        &self,
        tls: &sections::ListenTls,
        identities: &[sections::ListenTlsIdentity],
    ) {
        let mode = ListenMode::Disable.word();
        let instead = "mode = \"require\"";
        for file in [
            &tls.certificate,
            &tls.private_key,
            &tls.private_key_passphrase_file,
            &tls.staple,
            &tls.client_ca,
            &tls.client_crl,
        ] {
            self.unused(file, mode, instead);
        }
        for identity in identities {
            self.unused(&identity.certificate, mode, instead);
        }
        self.unused(&tls.private_key_passphrase_command, mode, instead);
        self.unused(&tls.unknown_name, mode, instead);
        self.unused(&tls.session_tickets, mode, instead);
        self.unused(&tls.session_ticket_key_lifetime, mode, instead);
        self.shape_unused(&Shape::from(tls), (mode, instead));
        self.unused(&tls.direct, mode, instead);
        self.unused(&tls.plaintext_cancel, mode, instead);
    }
}
