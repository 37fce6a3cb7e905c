//! TLS of the scripted peers, set up by hand: tests must not judge the proxy by its own contexts.

use std::net::{IpAddr, TcpStream};

use openssl::error::ErrorStack;
use openssl::ssl::{
    AlpnError, Ssl, SslContext, SslContextBuilder, SslMethod, SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::store::X509StoreBuilder;

use crate::certificates::{Authority, Certificate};

/// How a scripted client does TLS.
#[derive(Clone)]
pub struct ClientTls {
    authority: Option<Authority>,
    name: Option<String>,
    certificate: Option<Certificate>,
    alpn: Vec<u8>,
    versions: Option<(SslVersion, SslVersion)>,
}

impl ClientTls {
    /// Verifies the chain and the name.
    pub fn verified(authority: &Authority, name: &str) -> Self {
        Self {
            authority: Some(authority.clone()),
            name: Some(name.to_owned()),
            ..Self::blind()
        }
    }

    /// Verifies nothing.
    pub fn blind() -> Self {
        Self {
            authority: None,
            name: None,
            certificate: None,
            alpn: Vec::new(),
            versions: None,
        }
    }

    /// Presents a certificate.
    pub fn certificate(mut self, certificate: &Certificate) -> Self {
        self.certificate = Some(certificate.clone());
        self
    }

    /// Offers these protocols in ALPN.
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = alpn_list(protocols);
        self
    }

    /// Sends this name in SNI without verifying it.
    pub fn sni(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Offers only these TLS versions.
    pub fn versions(mut self, lowest: SslVersion, highest: SslVersion) -> Self {
        self.versions = Some((lowest, highest));
        self
    }

    pub(super) fn connect(&self, stream: TcpStream) -> Result<SslStream<TcpStream>, String> {
        let ssl = self.ssl().map_err(|error| error.to_string())?;
        ssl.connect(stream).map_err(|error| error.to_string())
    }

    fn ssl(&self) -> Result<Ssl, ErrorStack> {
        let mut context = context(self.versions)?;
        if let Some(certificate) = &self.certificate {
            present(&mut context, certificate)?;
        }
        if let Some(authority) = &self.authority {
            trust(&mut context, authority)?;
            context.set_verify(SslVerifyMode::PEER);
        }
        if !self.alpn.is_empty() {
            context.set_alpn_protos(&self.alpn)?;
        }
        let mut ssl = Ssl::new(&context.build())?;
        if let Some(name) = &self.name {
            self.expect_name(&mut ssl, name)?;
        }
        Ok(ssl)
    }

    fn expect_name(&self, ssl: &mut Ssl, name: &str) -> Result<(), ErrorStack> {
        let verifies = self.authority.is_some();
        match name.parse::<IpAddr>() {
            Ok(address) if verifies => ssl.param_mut().set_ip(address),
            Ok(_) => Ok(()),
            // Addresses don't go into SNI (RFC 6066 section 3).
            Err(_) => {
                ssl.set_hostname(name)?;
                if verifies {
                    ssl.param_mut().set_host(name)
                } else {
                    Ok(())
                }
            }
        }
    }
}

/// How a scripted server does TLS.
#[derive(Clone)]
pub struct ServerTls {
    certificate: Certificate,
    client_authority: Option<Authority>,
    alpn: Vec<u8>,
    versions: Option<(SslVersion, SslVersion)>,
}

impl ServerTls {
    /// Presents this certificate, asks for none.
    pub fn new(certificate: &Certificate) -> Self {
        Self {
            certificate: certificate.clone(),
            client_authority: None,
            alpn: Vec::new(),
            versions: None,
        }
    }

    /// Requires a client certificate of this authority.
    pub fn client_authority(mut self, authority: &Authority) -> Self {
        self.client_authority = Some(authority.clone());
        self
    }

    /// Selects one of these protocols in ALPN, and refuses a client that offers none of them.
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = alpn_list(protocols);
        self
    }

    /// Accepts only these TLS versions.
    pub fn versions(mut self, lowest: SslVersion, highest: SslVersion) -> Self {
        self.versions = Some((lowest, highest));
        self
    }

    pub(super) fn accept(&self, stream: TcpStream) -> Result<SslStream<TcpStream>, String> {
        let ssl = self.ssl().map_err(|error| error.to_string())?;
        ssl.accept(stream).map_err(|error| error.to_string())
    }

    fn ssl(&self) -> Result<Ssl, ErrorStack> {
        let mut context = context(self.versions)?;
        present(&mut context, &self.certificate)?;
        // OpenSSL refuses to resume sessions of contexts that verify peers unless they are named.
        context.set_session_id_context(b"scripted")?;
        if let Some(authority) = &self.client_authority {
            trust(&mut context, authority)?;
            context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        if !self.alpn.is_empty() {
            let known = self.alpn.clone();
            context.set_alpn_select_callback(move |_, offered| {
                chosen(&known, offered).ok_or(AlpnError::ALERT_FATAL)
            });
        }
        Ssl::new(&context.build())
    }
}

fn context(versions: Option<(SslVersion, SslVersion)>) -> Result<SslContextBuilder, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls())?;
    if let Some((lowest, highest)) = versions {
        context.set_min_proto_version(Some(lowest))?;
        context.set_max_proto_version(Some(highest))?;
    }
    Ok(context)
}

fn present(context: &mut SslContextBuilder, certificate: &Certificate) -> Result<(), ErrorStack> {
    context.set_certificate(&certificate.certificate)?;
    context.set_private_key(&certificate.key)
}

fn trust(context: &mut SslContextBuilder, authority: &Authority) -> Result<(), ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    store.add_cert(authority.certificate().clone())?;
    context.set_cert_store(store.build());
    Ok(())
}

/// ALPN's wire form: each name behind its length (RFC 7301 section 3.1).
fn alpn_list(protocols: &[&str]) -> Vec<u8> {
    let named = |name: &&str| {
        let len = u8::try_from(name.len()).expect("an ALPN name of at most 255 bytes");
        [&[len], name.as_bytes()].concat()
    };
    protocols.iter().flat_map(named).collect()
}

fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (&len, tail) = rest.split_first()?;
        let name = tail.get(..len.into())?;
        rest = &tail[len.into()..];
        Some(name)
    })
}

fn chosen<'a>(known: &[u8], offered: &'a [u8]) -> Option<&'a [u8]> {
    names(offered).find(|name| names(known).any(|ours| ours == *name))
}
