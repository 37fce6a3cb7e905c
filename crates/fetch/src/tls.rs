//! Owns TLS towards other people's servers: always verified, chain and name.

use crate::Fault;
use openssl::error::ErrorStack;
use openssl::ssl::{
    Ssl, SslContext, SslFiletype, SslMethod, SslMode, SslOptions, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509CheckFlags;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// TLS 1.2: with forward secrecy, authenticated.
const CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK:!SRP:@SECLEVEL=2";

/// Whom servers have to be vouched for by, and who we are.
#[derive(Clone)]
pub struct Trust(SslContext);

impl fmt::Debug for Trust {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Trust")
    }
}

/// A certificate to show to servers that ask for one.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// PEM file: certificate and intermediates.
    pub certificate: &'a Path,
    /// PEM file: its private key.
    pub private_key: &'a Path,
}

/// Why files can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustFault {
    /// There is no certificate of an authority.
    #[error("it holds no PEM certificate of an authority")]
    NoAuthority,
    /// OpenSSL refuses them.
    #[error("{0}")]
    Unusable(String),
}

impl From<ErrorStack> for TrustFault {
    fn from(errors: ErrorStack) -> TrustFault {
        TrustFault::Unusable(first(&errors))
    }
}

/// What went wrong first, in OpenSSL's words.
fn first(errors: &ErrorStack) -> String {
    let reason = errors.errors().first().and_then(|it| it.reason());
    reason.unwrap_or("OpenSSL gives no reason").to_owned()
}

impl Trust {
    /// By the authorities of this PEM text; `None`: by those of the system. With a certificate of our own, if there is
    /// one.
    pub fn new(
        authorities: Option<&[u8]>,
        identity: Option<Identity<'_>>,
    ) -> Result<Trust, TrustFault> {
        let mut context = SslContext::builder(SslMethod::tls_client())?;
        context.set_verify(SslVerifyMode::PEER);
        context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        context.set_options(SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION);
        context.set_mode(SslMode::RELEASE_BUFFERS);
        context.set_cipher_list(CIPHERS)?;
        context.set_alpn_protos(b"\x08http/1.1")?;
        match authorities {
            None => context.set_default_verify_paths()?,
            Some(pem) => {
                let certificates = X509::stack_from_pem(pem)?;
                if certificates.is_empty() {
                    return Err(TrustFault::NoAuthority);
                }
                let mut store = X509StoreBuilder::new()?;
                for certificate in certificates {
                    store.add_cert(certificate)?;
                }
                context.set_cert_store(store.build());
            }
        }
        if let Some(identity) = identity {
            context.set_certificate_chain_file(identity.certificate)?;
            context.set_private_key_file(identity.private_key, SslFiletype::PEM)?;
            context.check_private_key()?;
        }
        Ok(Trust(context.build()))
    }

    /// A handshake in which the server proves to be `host`.
    pub(crate) async fn handshake(
        &self,
        socket: TcpStream,
        host: &str,
    ) -> Result<SslStream<TcpStream>, Fault> {
        let fault = |reason: String| Fault::Tls {
            host: host.to_owned(),
            reason,
        };
        let ssl = self.engine(host).map_err(|errors| fault(first(&errors)))?;
        let mut stream = SslStream::new(ssl, socket).map_err(|errors| fault(first(&errors)))?;
        match Pin::new(&mut stream).connect().await {
            Ok(()) => Ok(stream),
            Err(error) => {
                let verified = stream.ssl().verify_result();
                Err(fault(match verified.as_raw() {
                    0 => match error.ssl_error() {
                        Some(errors) => first(errors),
                        None => error.to_string(),
                    },
                    _ => format!("its certificate is not good: {verified}"),
                }))
            }
        }
    }

    fn engine(&self, host: &str) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.0)?;
        match host.parse::<IpAddr>() {
            Ok(address) => ssl.param_mut().set_ip(address)?,
            Err(_) => {
                // RFC 6066 section 3: names only.
                ssl.set_hostname(host)?;
                let param = ssl.param_mut();
                param.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
                param.set_host(host)?;
            }
        }
        Ok(ssl)
    }
}
