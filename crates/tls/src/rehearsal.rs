//! Owns the rehearsal of a listener's context: a whole handshake in memory, with a client that trusts
//! exactly the certificates the context presents, before anybody depends on it.
//!
//! Shows that library, certificate, key and profile work together. Says nothing of what clients of
//! the real world trust, nor of the clock: an expired certificate passes.

use crate::context::ListenerContext;
use crate::engine::{Engine, Handshake};
use crate::fault::{self, TlsFault};
use crate::profile;
use buf::Cipher;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslVerifyMode};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;

/// Why a context did not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RehearsalFault {
    /// Our end failed.
    #[error("a handshake in memory failed at the listener's end: {0}")]
    Listener(TlsFault),
    /// A client that trusts these certificates failed.
    #[error("a handshake in memory failed at the client's end: {0}")]
    Client(TlsFault),
    /// Neither end failed, and neither finished.
    #[error("a handshake in memory did not come to an end")]
    Endless,
}

/// Carries a handshake through for a client that asks for no name, and for one of each certificate
/// that is for some names. Clients' certificates are not asked for: there is none to show.
pub fn rehearse(listener: &ListenerContext) -> Result<(), RehearsalFault> {
    meet(listener, None)?;
    let named = listener.asked_names.iter();
    named
        .map(String::as_str)
        .try_for_each(|name| meet(listener, Some(name)))
}

fn meet(listener: &ListenerContext, name: Option<&str>) -> Result<(), RehearsalFault> {
    // A handshake takes three flights; with each turn both ends have said all they can.
    const TURNS_MAX: usize = 16;
    let mut server = accept(listener).map_err(RehearsalFault::Listener)?;
    let mut client = connect(listener, name).map_err(RehearsalFault::Client)?;
    let mut to_server = Cipher::with_capacity(Engine::OUTPUT_MIN);
    let mut to_client = Cipher::with_capacity(Engine::OUTPUT_MIN);
    for _ in 0..TURNS_MAX {
        let asked = client.handshake(&mut to_client, &mut to_server);
        let asked = asked.map_err(RehearsalFault::Client)?;
        let answered = server.handshake(&mut to_server, &mut to_client);
        let answered = answered.map_err(RehearsalFault::Listener)?;
        if (asked, answered) == (Handshake::Done, Handshake::Done) {
            return Ok(());
        }
    }
    Err(RehearsalFault::Endless)
}

fn accept(listener: &ListenerContext) -> Result<Engine, TlsFault> {
    let mut ssl = Ssl::new(&listener.context).map_err(dead_on_arrival)?;
    ssl.set_accept_state();
    ssl.set_verify(SslVerifyMode::NONE);
    Engine::over(ssl, None)
}

fn connect(listener: &ListenerContext, name: Option<&str>) -> Result<Engine, TlsFault> {
    let context = trusting(listener).map_err(dead_on_arrival)?;
    let mut ssl = Ssl::new(&context).map_err(dead_on_arrival)?;
    ssl.set_connect_state();
    if let Some(name) = name {
        ssl.set_hostname(name).map_err(dead_on_arrival)?;
    }
    Engine::over(ssl, None)
}

/// A client's context with the listener's versions, suites and groups.
fn trusting(listener: &ListenerContext) -> Result<SslContext, ErrorStack> {
    let mut builder = SslContextBuilder::new(SslMethod::tls_client())?;
    // What OpenSSL took for the listener it takes for a client, too.
    let _ = profile::apply(&listener.profile, &mut builder);
    let mut store = X509StoreBuilder::new()?;
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::NO_CHECK_TIME)?;
    for certificate in &listener.chain {
        store.add_cert(certificate.clone())?;
    }
    builder.set_cert_store(store.build());
    builder.set_verify(SslVerifyMode::PEER);
    Ok(builder.build())
}

fn dead_on_arrival(stack: ErrorStack) -> TlsFault {
    fault::classify(Some(&stack), None)
}
