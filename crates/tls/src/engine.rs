//! One TLS connection as a machine: ciphertext in and out, plaintext in and out.
//!
//! Owns libssl's object for the connection and nothing else: all bytes are in the caller's buffers.
//! Takes and gives them per call. Never waits, never allocates on its own while data flows.
//! How the work is done, and why so, is told in `connection`.

use crate::connection::{RECORD_MAX, Tls};
use crate::context::{ListenerContext, ServerContext, ServerMode};
use crate::facts::{Agreed, LegFacts, PeerCertificate};
use crate::fault::{self, TlsFault};
use crate::name::ServerName;
use crate::upkeep::{Tally, Upkeep};
use crate::verify::{self, Refusal, Rule};
use buf::{Cipher, Plain};
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslVerifyMode};

/// One connection's encryption. After a fault it is dead: flush the output buffer, then close the
/// socket.
pub struct Engine(Kind);

/// In a box, so that an end without encryption doesn't keep room for it: where the servers are on the same machine, that
/// is every other end.
enum Kind {
    Tls(Box<Tls>),
    Clear,
}

/// How far a handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// More input is needed. Output may have been produced.
    Reading,
    /// Done: [`Engine::facts`] are there. Output and unread input may be there, too.
    Done,
}

/// Why [`Engine::receive`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// All input was used, and everything in it was delivered. Wait for the socket.
    Open,
    /// There is more to deliver: call again, once `plain` has at least [`Engine::PLAIN_MIN`]
    /// bytes of room, without waiting for the socket.
    More,
    /// The peer sent close_notify. Nothing more will come; sending is still possible.
    Closed,
}

/// What the end of the TCP stream means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOfInput {
    /// The peer had said so with close_notify.
    Orderly,
    /// It had not: data may be missing.
    Truncated,
}

impl Engine {
    /// Room that `plain` needs in [`receive`](Self::receive): one TLS record.
    pub const PLAIN_MIN: usize = RECORD_MAX;
    /// Capacity that an output buffer needs: the largest handshake flight, or one record and the
    /// reserve for what TLS itself has to say.
    pub const OUTPUT_MIN: usize = 32 * 1024;

    /// The server's side of a connection: a client has connected to us.
    pub fn accept(context: &ListenerContext) -> Result<Engine, TlsFault> {
        let mut ssl = Ssl::new(&context.context).map_err(dead_on_arrival)?;
        ssl.set_accept_state();
        let mode = ssl.verify_mode();
        let refusal =
            (mode != SslVerifyMode::NONE).then(|| verify::install(&mut ssl, mode, Rule::Chain));
        Engine::over(ssl, refusal)
    }

    /// The client's side of a connection: we have connected to `host`.
    ///
    /// A name is sent as SNI (RFC 6066 section 3) in every mode, an address never.
    pub fn connect(context: &ServerContext, host: &ServerName) -> Result<Engine, TlsFault> {
        let mut ssl = Ssl::new(&context.context).map_err(dead_on_arrival)?;
        ssl.set_connect_state();
        if let ServerName::Name(name) = host {
            ssl.set_hostname(name).map_err(dead_on_arrival)?;
        }
        let rule = match &context.mode {
            ServerMode::Require => None,
            ServerMode::VerifyCa(_) => Some(Rule::Chain),
            ServerMode::Pin(pin) => Some(Rule::Pin(*pin)),
            ServerMode::VerifyFull(_) => {
                match host {
                    ServerName::Name(name) => ssl.param_mut().set_host(name),
                    ServerName::Ip(address) => ssl.param_mut().set_ip(*address),
                }
                .map_err(dead_on_arrival)?;
                Some(Rule::Name(host.clone()))
            }
        };
        let refusal = rule.map(|rule| verify::install(&mut ssl, SslVerifyMode::PEER, rule));
        Engine::over(ssl, refusal)
    }

    /// Passes bytes as they are. Only for a listener or server that the operator has set to
    /// unencrypted by name.
    pub fn unencrypted_by_configuration() -> Engine {
        Engine(Kind::Clear)
    }

    pub(crate) fn over(ssl: Ssl, refusal: Option<Refusal>) -> Result<Engine, TlsFault> {
        let tls = Tls::new(ssl, refusal).map_err(dead_on_arrival)?;
        Ok(Engine(Kind::Tls(Box::new(tls))))
    }

    /// Says how the connection is to be kept up; before the handshake. Without it the defaults hold,
    /// at the same point for all connections. `chance` is random: it spreads their limits.
    pub fn uphold(&mut self, upkeep: &Upkeep, chance: u64) {
        if let Kind::Tls(tls) = &mut self.0 {
            tls.uphold(upkeep, chance);
        }
    }

    /// Notes the time in seconds since any fixed moment, at most once a second, and does what is due
    /// about keys. Flush `output` afterwards. Gives the second at which this has to be called again
    /// even if nothing moves.
    pub fn tick(&mut self, now_s: u32, output: &mut Cipher) -> Result<Option<u32>, TlsFault> {
        match &mut self.0 {
            Kind::Tls(tls) => tls.lending(&mut Cipher::none(), output, |tls| tls.tick(now_s)),
            Kind::Clear => Ok(None),
        }
    }

    /// What happened since this was last asked.
    pub fn take_tally(&mut self) -> Tally {
        match &mut self.0 {
            Kind::Tls(tls) => tls.take_tally(),
            Kind::Clear => Tally::default(),
        }
    }

    /// True while [`send`](Self::send) takes nothing: the peer is in the middle of a renegotiation,
    /// or of a message of TLS itself. Go on receiving.
    #[inline]
    pub fn withholds(&self) -> bool {
        matches!(&self.0, Kind::Tls(tls) if tls.withholds())
    }

    /// True if a key has passed its limit and TLS 1.2 has no way to change it: a connection to be
    /// replaced when it is convenient.
    pub fn is_worn(&self) -> bool {
        matches!(&self.0, Kind::Tls(tls) if tls.is_worn())
    }

    /// True for [`unencrypted_by_configuration`](Self::unencrypted_by_configuration).
    pub fn is_unencrypted(&self) -> bool {
        matches!(self.0, Kind::Clear)
    }

    /// Takes the handshake as far as `input` allows. `output` needs
    /// [`OUTPUT_MIN`](Self::OUTPUT_MIN) bytes of capacity; flush it whatever the result.
    pub fn handshake(
        &mut self,
        input: &mut Cipher,
        output: &mut Cipher,
    ) -> Result<Handshake, TlsFault> {
        match &mut self.0 {
            Kind::Tls(tls) => tls.lending(input, output, Tls::shake_hands),
            Kind::Clear => Ok(Handshake::Done),
        }
    }

    /// Decrypts `input` to the back of `plain`. Flush `output` afterwards, whatever the result:
    /// answers to the peer's KeyUpdates and alerts are there. An output without memory gets
    /// [`OUTPUT_MIN`](Self::OUTPUT_MIN) bytes if there is something to say.
    #[inline]
    pub fn receive(
        &mut self,
        input: &mut Cipher,
        plain: &mut Plain,
        output: &mut Cipher,
    ) -> Result<Received, TlsFault> {
        match &mut self.0 {
            Kind::Tls(tls) => tls.lending(input, output, |tls| tls.decrypt(plain)),
            Kind::Clear => Ok(pass_in(input, plain)),
        }
    }

    /// Encrypts as much of `plain` as `output` has room for; what was encrypted is wiped.
    #[inline]
    pub fn send(&mut self, plain: &mut Plain, output: &mut Cipher) -> Result<(), TlsFault> {
        if plain.is_empty() {
            return Ok(());
        }
        match &mut self.0 {
            Kind::Tls(tls) => tls.lending(&mut Cipher::none(), output, |tls| tls.encrypt(plain)),
            Kind::Clear => {
                pass_out(plain, output);
                Ok(())
            }
        }
    }

    /// Puts close_notify into `output`, if the connection is in a state for it. What the peer
    /// still sends can be received.
    pub fn close(&mut self, output: &mut Cipher) {
        if let Kind::Tls(tls) = &mut self.0 {
            tls.lending(&mut Cipher::none(), output, Tls::say_goodbye);
        }
    }

    /// Gives back memory that only an active connection needs, up to 34 KiB. For a connection that
    /// has been idle for a moment; the next `receive` or `send` takes it again.
    pub fn rest(&mut self) {
        if let Kind::Tls(tls) = &mut self.0 {
            tls.rest();
        }
    }

    /// What it means that the socket has no more input.
    pub fn end_of_input(&self) -> EndOfInput {
        match &self.0 {
            Kind::Tls(tls) if !tls.peer_has_closed() => EndOfInput::Truncated,
            Kind::Tls(_) | Kind::Clear => EndOfInput::Orderly,
        }
    }

    /// The application protocol agreed on. `None` also means that the client offered none, which
    /// a direct connection (one without SSLRequest) must be refused for.
    pub fn alpn(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Tls(tls) => tls.ssl().selected_alpn_protocol(),
            Kind::Clear => None,
        }
    }

    /// The little of it that is counted; `None` as for [`facts`](Self::facts).
    pub fn agreed(&self) -> Option<Agreed> {
        match &self.0 {
            Kind::Tls(tls) if tls.ssl().is_init_finished() => Some(Agreed::read(tls.ssl())),
            Kind::Tls(_) | Kind::Clear => None,
        }
    }

    /// What was agreed on; `None` before the end of the handshake and for an unencrypted engine.
    pub fn facts(&self) -> Option<LegFacts> {
        match &self.0 {
            Kind::Tls(tls) if tls.ssl().is_init_finished() => Some(LegFacts::read(tls.ssl())),
            Kind::Tls(_) | Kind::Clear => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn limit_keys(&mut self, limits: crate::rekey::KeyLimits) {
        if let Kind::Tls(tls) = &mut self.0 {
            tls.limit_keys(limits);
        }
    }

    /// Shows another certificate from now on, as a misbehaving peer would.
    #[cfg(test)]
    pub(crate) fn become_another(&mut self, minted: &crate::mint::Minted) {
        use openssl::{pkey::PKey, x509::X509};
        let certificate = X509::from_pem(&minted.certificate).unwrap();
        let key = PKey::private_key_from_pem(minted.private_key.expose()).unwrap();
        crate::ffi::show(self.ssl(), &certificate, &key);
    }

    /// True if libssl has only whole records.
    #[cfg(test)]
    pub(crate) fn is_between_records(&self) -> bool {
        matches!(&self.0, Kind::Tls(tls) if tls.is_between_records())
    }

    #[cfg(test)]
    pub(crate) fn ssl(&self) -> &openssl::ssl::SslRef {
        match &self.0 {
            Kind::Tls(tls) => tls.ssl(),
            Kind::Clear => panic!("no TLS"),
        }
    }

    /// Runs libssl once so that it sends what has been scheduled behind the engine's back.
    #[cfg(test)]
    pub(crate) fn push_update(&mut self, output: &mut Cipher) {
        if let Kind::Tls(tls) = &mut self.0 {
            tls.lending(&mut Cipher::none(), output, Tls::push);
        }
    }

    /// The certificate that the peer presented, also if it was refused.
    pub fn presented(&self) -> Option<PeerCertificate> {
        let Kind::Tls(tls) = &self.0 else {
            return None;
        };
        let refused = tls.refusal().and_then(Refusal::fault);
        if let Some(presented) = refused.and_then(|fault| fault.presented) {
            return Some(*presented);
        }
        let certificate = tls.ssl().peer_certificate()?;
        PeerCertificate::read(&certificate)
    }
}

fn dead_on_arrival(stack: ErrorStack) -> TlsFault {
    fault::classify(Some(&stack), None)
}

fn pass_in(input: &mut Cipher, plain: &mut Plain) -> Received {
    let count = input.len().min(plain.room());
    plain.spare()[..count].copy_from_slice(&input.bytes()[..count]);
    plain.commit(count);
    input.consume(count);
    match input.is_empty() {
        true => Received::Open,
        false => Received::More,
    }
}

fn pass_out(plain: &mut Plain, output: &mut Cipher) {
    let count = plain.len().min(output.room());
    output.spare()[..count].copy_from_slice(&plain.bytes()[..count]);
    output.commit(count);
    plain.consume(count);
}
