//! Owns the TLS of the HTTP listener: 1.3 alone, no tickets; its clients are monitoring programs.

use crate::{StartFault, TlsSettings};
use buf::Secret;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode};

/// Reads the files and makes the acceptor.
pub(crate) fn acceptor(settings: &TlsSettings) -> Result<SslAcceptor, StartFault> {
    let refused = |reason: String| StartFault::Tls { reason };
    let pem = std::fs::read(&settings.private_key).map(Secret::from_vec);
    let pem = pem.map_err(|error| refused(error.to_string()))?;
    // Without a callback libcrypto would ask for a passphrase on the terminal.
    let key = PKey::private_key_from_pem_callback(pem.expose(), |_| Ok(0));
    key.and_then(|key| build(settings, &key))
        .map_err(|stack| refused(first_reason(&stack)))
}

fn first_reason(stack: &ErrorStack) -> String {
    let first = stack.errors().first();
    let reason = first.and_then(|error| error.reason());
    reason.unwrap_or("unknown failure").to_owned()
}

fn build(settings: &TlsSettings, private_key: &PKey<Private>) -> Result<SslAcceptor, ErrorStack> {
    let mut builder = SslAcceptor::mozilla_modern_v5(SslMethod::tls_server())?;
    builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION);
    builder.set_num_tickets(0)?;
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_certificate_chain_file(&settings.certificate)?;
    builder.set_private_key(private_key)?;
    builder.check_private_key()?;
    if let Some(authority) = &settings.client_ca {
        builder.set_ca_file(authority)?;
        builder.set_session_id_context(b"portcullis-web")?;
        builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    Ok(builder.build())
}
