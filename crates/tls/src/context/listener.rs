//! Owns the TLS context of a listener: our certificates towards clients, and theirs towards us.

use super::crl;
use super::files::certificates;
use super::identity::{Loaded, Notes};
use super::names::{Chosen, Names, covers};
use super::staple;
use super::{
    Clock, ContextFault, Dated, Expiry, Identity, Source, Tickets, Warning, dated, library,
};
use crate::binding;
use crate::profile::{self, Effective, Profile};
use openssl::ssl::{
    AlpnError, NameType, SniError, SslAlert, SslContext, SslContextBuilder, SslMethod, SslRef,
    SslVerifyMode,
};
use openssl::stack::Stack;
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use std::collections::HashMap;

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// Not asked for.
    #[default]
    Off,
    /// Asked for; verified with these authorities if one comes.
    Optional(Source),
    /// Asked for; the handshake fails without one that these authorities signed.
    Required(Source),
}

/// Certificates for some names.
#[derive(Debug, Clone)]
pub struct NamedIdentity {
    /// Host names, or `*.` and a host name for one label more. Without a name the certificate
    /// stands beside the default one, with a key of another type.
    pub names: Vec<String>,
    /// The certificate.
    pub identity: Identity,
}

/// What becomes of clients that ask for a name (SNI) without a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownNames {
    /// They see the default certificate.
    #[default]
    Default,
    /// They are refused with the alert unrecognized_name.
    Refuse,
}

/// What an operator says about a listener's TLS.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// Our default certificate and key.
    pub identity: Identity,
    /// Further certificates: for some names, or with keys of other types.
    pub more: Vec<NamedIdentity>,
    /// Clients that ask for an unknown name.
    pub unknown_names: UnknownNames,
    /// Certificates of clients.
    pub clients: ClientCertificates,
    /// Revocation lists of the clients' authorities.
    pub client_crl: Option<Source>,
    /// Keys of session tickets; `None` gives out none.
    pub tickets: Option<Tickets>,
    /// Versions, suites, groups.
    pub profile: Profile,
    /// The clock that staples go stale by.
    pub clock: Clock,
}

impl ListenerSettings {
    /// One certificate for all, no certificates of clients, no tickets.
    pub fn new(identity: Identity, clock: Clock) -> ListenerSettings {
        ListenerSettings {
            identity,
            more: Vec::new(),
            unknown_names: UnknownNames::Default,
            clients: ClientCertificates::Off,
            client_crl: None,
            tickets: None,
            profile: Profile::default(),
            clock,
        }
    }
}

/// A listener's TLS, ready for any number of connections and threads.
#[derive(Clone)]
pub struct ListenerContext {
    pub(crate) context: SslContext,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) effective: Effective,
    /// For the rehearsal: what a client has to be like to be served, and to trust.
    pub(crate) profile: Profile,
    pub(crate) chain: Vec<X509>,
    /// A name for each certificate that is not for all.
    pub(crate) asked_names: Vec<String>,
    certificates: Vec<Dated>,
    expiries: Vec<Expiry>,
    tickets: Option<Tickets>,
}

impl ListenerContext {
    /// Reads, checks and assembles everything. `now_unix_s` is for the warnings, and for whether a
    /// staple is fresh.
    pub fn build(
        settings: &ListenerSettings,
        now_unix_s: i64,
    ) -> Result<ListenerContext, ContextFault> {
        if settings.tickets.is_some() && settings.clients != ClientCertificates::Off {
            return Err(ContextFault::TicketsWithClientCertificates);
        }
        let mut notes = Notes::default();
        let default = Loaded::read(&settings.identity, now_unix_s, &mut notes)?;
        let more = settings.more.iter().map(|more| {
            let loaded = Loaded::read(&more.identity, now_unix_s, &mut notes)?;
            let names = more.names.iter().map(|name| name.to_ascii_lowercase());
            notes.warnings.extend(not_made_out_to(&loaded, &more.names));
            Ok((names.collect(), loaded))
        });
        let more = more.collect::<Result<Vec<(Vec<String>, Loaded)>, ContextFault>>()?;
        let template = Template {
            settings,
            now_unix_s,
        };
        let nameless = more.iter().filter(|(names, _)| names.is_empty());
        let defaults: Vec<&Loaded> = std::iter::once(&default)
            .chain(nameless.map(|(_, loaded)| loaded))
            .collect();
        let (mut builder, mut effective) = template.assemble(&defaults, Some(&mut notes))?;
        if more.len() + 1 > defaults.len() || settings.unknown_names == UnknownNames::Refuse {
            let names = template.names(&defaults, &more)?;
            builder.set_servername_callback(move |ssl, alert| answer(&names, ssl, alert));
        }
        let context = builder.build();
        effective.ciphers = profile::ciphers(&context);
        let all = std::iter::once(&default).chain(more.iter().map(|(_, loaded)| loaded));
        let chain = all.flat_map(Loaded::certificates).collect();
        let first_names = more.iter().filter_map(|(names, _)| names.first());
        let asked_names = first_names
            .map(|name| name.replacen('*', "any", 1))
            .collect();
        Ok(ListenerContext {
            context,
            warnings: notes.warnings,
            effective,
            profile: settings.profile.clone(),
            chain,
            asked_names,
            certificates: dated::of(&notes.expiries),
            expiries: notes.expiries,
            tickets: settings.tickets.clone(),
        })
    }

    /// When everything expires that this was built from.
    pub fn expiries(&self) -> &[Expiry] {
        &self.expiries
    }

    /// Goes on with the ticket keys of the context that this one replaces, if both have tickets.
    pub fn go_on_from(&self, before: &ListenerContext) {
        if let (Some(tickets), Some(before)) = (&self.tickets, &before.tickets) {
            tickets.go_on_from(before);
        }
    }

    /// What the operator should know although it works.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Until when its certificates are good, and those it checks clients' with.
    pub fn certificates(&self) -> &[Dated] {
        &self.certificates
    }

    /// The settings that OpenSSL really uses.
    pub fn effective(&self) -> &Effective {
        &self.effective
    }
}

/// The protocol of PostgreSQL's direct TLS (manual section 54.2.11 "SSL Session Encryption").
pub(crate) const ALPN: &[u8] = b"postgresql";

/// Finds `postgresql` in a client's list (RFC 7301 section 3.1: length-prefixed names). A client
/// that sends a list without it means another service, and has to be refused.
fn choose(mut offered: &[u8]) -> Option<&[u8]> {
    while let Some((length, rest)) = offered.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        if name == ALPN {
            return Some(name);
        }
        offered = rest;
    }
    None
}

/// What all contexts of a listener have in common. SSL_set_SSL_CTX(3) changes only some of a
/// connection's settings, so they must not differ in anything but the certificate.
struct Template<'a> {
    settings: &'a ListenerSettings,
    now_unix_s: i64,
}

impl Template<'_> {
    /// A context with these certificates. `notes` are wanted once for all.
    fn assemble(
        &self,
        identities: &[&Loaded],
        notes: Option<&mut Notes>,
    ) -> Result<(SslContextBuilder, Effective), ContextFault> {
        let settings = self.settings;
        let mut builder = SslContextBuilder::new(SslMethod::tls_server()).map_err(library)?;
        let mut effective = profile::apply(&settings.profile, &mut builder)?;
        for (at, identity) in identities.iter().enumerate() {
            let same = |other: &&&Loaded| other.key_type() == identity.key_type();
            if let Some(first) = identities[..at].iter().find(same) {
                return Err(ContextFault::SameKeyType {
                    first: first.of.clone(),
                    second: identity.of.clone(),
                });
            }
            identity.present(&mut builder)?;
        }
        let leaves = identities.iter().map(|it| it.leaf());
        binding::remember(&mut builder, leaves).map_err(library)?;
        let staples = identities.iter().filter_map(|it| it.staple.clone());
        staple::install(staples.collect(), &settings.clock, &mut builder)?;
        builder
            .set_session_id_context(b"portcullis")
            .map_err(library)?;
        builder
            .set_alpn_select_callback(|_, offered| choose(offered).ok_or(AlpnError::ALERT_FATAL));
        if let Some(tickets) = &settings.tickets {
            profile::give_tickets(tickets, &mut builder, &mut effective)?;
        }
        let mut aside = Notes::default();
        let verify = self.verify(&mut builder, notes.unwrap_or(&mut aside))?;
        builder.set_verify(verify);
        Ok((builder, effective))
    }

    fn verify(
        &self,
        builder: &mut SslContextBuilder,
        notes: &mut Notes,
    ) -> Result<SslVerifyMode, ContextFault> {
        let (roots, mode) = match &self.settings.clients {
            ClientCertificates::Off => return Ok(SslVerifyMode::NONE),
            ClientCertificates::Optional(roots) => (roots, SslVerifyMode::PEER),
            ClientCertificates::Required(roots) => (
                roots,
                SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
            ),
        };
        self.trust(roots, builder, notes)?;
        Ok(mode)
    }

    /// Trusts these authorities for clients' certificates, and names them in the request, so that
    /// clients with several certificates can choose.
    fn trust(
        &self,
        source: &Source,
        builder: &mut SslContextBuilder,
        notes: &mut Notes,
    ) -> Result<(), ContextFault> {
        let mut store = X509StoreBuilder::new().map_err(library)?;
        let mut names = Stack::new().map_err(library)?;
        let roots = certificates(source)?;
        notes.authorities(source, &roots);
        for root in &roots {
            let name = root.subject_name().to_owned().map_err(library)?;
            names.push(name).map_err(library)?;
            store.add_cert(root.clone()).map_err(library)?;
        }
        if let Some(lists) = &self.settings.client_crl {
            crl::check_with(lists, &roots, (&mut store, self.now_unix_s), notes)?;
        }
        builder.set_cert_store(store.build());
        builder.set_client_ca_list(names);
        Ok(())
    }

    /// A context for each name, with all certificates that are for it.
    fn names(
        &self,
        defaults: &[&Loaded],
        more: &[(Vec<String>, Loaded)],
    ) -> Result<Names, ContextFault> {
        let own = defaults.iter().flat_map(|it| it.names()).collect();
        let refuse = self.settings.unknown_names == UnknownNames::Refuse;
        let mut names = Names::new(own, refuse);
        // Names with the same certificates share a context.
        let mut built: HashMap<Vec<usize>, SslContext> = HashMap::new();
        for name in more.iter().flat_map(|(names, _)| names) {
            let has = |at: &usize| more[*at].0.contains(name);
            let of_name: Vec<usize> = (0..more.len()).filter(has).collect();
            let context = match built.get(&of_name) {
                Some(context) => context.clone(),
                None => {
                    let identities: Vec<&Loaded> = of_name.iter().map(|at| &more[*at].1).collect();
                    let context = self.assemble(&identities, None)?.0.build();
                    built.insert(of_name, context.clone());
                    context
                }
            };
            names.insert(name, &context);
        }
        Ok(names)
    }
}

/// Warnings about names that a certificate is shown for and does not bear.
fn not_made_out_to(loaded: &Loaded, names: &[String]) -> Vec<Warning> {
    let bears = loaded.names();
    let missing = names.iter().filter(|name| {
        let name = name.to_ascii_lowercase();
        !bears.iter().any(|own| *own == name || covers(own, &name))
    });
    let warning = |name: &String| Warning::NotMadeOutTo {
        of: loaded.of.clone(),
        name: name.clone(),
    };
    missing.map(warning).collect()
}

/// libssl's question, which certificate to show.
fn answer(names: &Names, ssl: &mut SslRef, alert: &mut SslAlert) -> Result<(), SniError> {
    match names.choose(ssl.servername_raw(NameType::HOST_NAME)) {
        Chosen::Named(context) => ssl
            .set_ssl_context(context)
            .map_err(|_| SniError::ALERT_FATAL),
        Chosen::Default => Err(SniError::NOACK),
        Chosen::Refused => {
            *alert = SslAlert::UNRECOGNIZED_NAME;
            Err(SniError::ALERT_FATAL)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_protocol_is_chosen() {
        for (offered, expected) in [
            (&b"\x0apostgresql"[..], true),
            (b"\x02h2\x0apostgresql", true),
            (b"\x02h2", false),
            (b"\x0apostgresqL", false),
            (b"\x0bpostgresql2", false),
            (b"\x0apostgresq", false),
            (b"\x00", false),
            (b"", false),
        ] {
            assert_eq!(choose(offered), expected.then_some(ALPN), "{offered:?}");
        }
    }
}
