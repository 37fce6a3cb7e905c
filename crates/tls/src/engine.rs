//! One TLS connection as a machine: ciphertext in and out, plaintext in and out.
//!
//! Owns libssl's object for the connection and nothing else: all bytes are in the caller's buffers.
//! Takes and gives them per call. Never waits, never allocates on its own while data flows.
//!
//! # Where the instructions go
//!
//! libssl costs about a microsecond per record, whatever its size, so the design saves calls:
//!
//! - The caller's buffers change places with empty ones for the length of a call ([`Lent`]). One
//!   copy into libssl and one out of it remain.
//! - libssl gets exactly one record per read, header and body together, and never holds bytes of
//!   the next one. So one `SSL_read` decrypts one record, and when the input is empty there is
//!   nothing left to ask for: the usual last `SSL_read`, which only says "nothing", is not made.
//! - SSL_MODE_RELEASE_BUFFERS is off while a connection is active. With SSL_OP_CLEANSE_PLAINTEXT
//!   it overwrites the whole 17 KiB read buffer after each record, where only the record's own
//!   plaintext has to be wiped; and that is done either way. Encrypting and decrypting a record of
//!   60 bytes takes 13,300 instructions without it and 24,900 with it (OpenSSL 3.0.19), of which
//!   400 are ours. [`Engine::rest`] gives the memory back when the connection is idle.
//! - The error queue is looked at before it is cleared.
//!
//! # Why a write never fails half-way
//!
//! libssl can't survive a KeyUpdate that arrives while a record of its own is stuck. Here no record
//! ever gets stuck: [`Engine::send`] encrypts only what the output has room for, and leaves
//! [`RESERVE`] bytes for what libssl has to say itself.

use crate::bio::Lent;
use crate::context::{ListenerContext, ServerContext, ServerMode};
use crate::facts::{LegFacts, PeerCertificate};
use crate::fault::{self, TlsFault};
use crate::ffi::{self, KeyUpdate};
use crate::name::ServerName;
use crate::verify::{self, Refusal, Rule};
use buf::{Cipher, Plain};
use openssl::error::ErrorStack;
use openssl::ssl::{Error, ErrorCode, Ssl, SslStream, SslVerifyMode};

/// The largest plaintext of a record (RFC 8446 section 5.1).
const RECORD_MAX: usize = 16 * 1024;
/// What a record adds to its plaintext, at most: header, explicit nonce or content type, tag.
const OVERHEAD: usize = 40;
/// Room in the output that data never takes: answers to KeyUpdates (27 bytes each) and alerts.
const RESERVE: usize = 2 * 1024;
/// Below this a record is not worth its cost while the output is about to drain.
const WORTHWHILE: usize = 4 * 1024;
/// Work of one `receive`: a data record counts 1, any other one (a KeyUpdate costs as much as ten
/// data records) [`DRY_COST`].
const BUDGET: u32 = 256;
const DRY_COST: u32 = 16;
/// Records without data in a row that a peer may send while neither side sends data: a peer that
/// only answers the KeyUpdates of a long transfer in the other direction is no flood. OpenSSL
/// knows no limit.
const DRY_MAX: u32 = 32;

/// One connection's encryption. After a fault it is dead: flush the output buffer, then close the
/// socket.
pub struct Engine(Kind);

enum Kind {
    Tls(Tls),
    Clear,
}

struct Tls {
    stream: SslStream<Lent>,
    phase: Phase,
    /// What the certificate callback saw, where certificates are verified.
    refusal: Option<Refusal>,
    /// Bytes of a decrypted record that did not fit into the caller's buffer.
    undelivered: usize,
    /// Records without data since the last one with data, of either side.
    dry: u32,
    /// One of them came since the last look whether it wants an answer.
    unanswered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshaking,
    Open,
    /// The peer has sent close_notify.
    PeerClosed,
    /// We have.
    WeClosed,
    BothClosed,
    Dead,
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

    fn over(ssl: Ssl, refusal: Option<Refusal>) -> Result<Engine, TlsFault> {
        ffi::one_record_per_read(&ssl);
        Ok(Engine(Kind::Tls(Tls {
            stream: SslStream::new(ssl, Lent::new()).map_err(dead_on_arrival)?,
            phase: Phase::Handshaking,
            refusal,
            undelivered: 0,
            dry: 0,
            unanswered: false,
        })))
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
    /// answers to the peer's KeyUpdates and alerts are there.
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
            Kind::Tls(tls) if !tls.phase.peer_has_closed() => EndOfInput::Truncated,
            Kind::Tls(_) | Kind::Clear => EndOfInput::Orderly,
        }
    }

    /// The application protocol agreed on. `None` also means that the client offered none, which
    /// a direct connection (one without SSLRequest) must be refused for.
    pub fn alpn(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Tls(tls) => tls.stream.ssl().selected_alpn_protocol(),
            Kind::Clear => None,
        }
    }

    /// What was agreed on; `None` before the end of the handshake and for an unencrypted engine.
    pub fn facts(&self) -> Option<LegFacts> {
        match &self.0 {
            Kind::Tls(tls) if tls.stream.ssl().is_init_finished() => {
                Some(LegFacts::read(tls.stream.ssl()))
            }
            Kind::Tls(_) | Kind::Clear => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn ssl(&self) -> &openssl::ssl::SslRef {
        match &self.0 {
            Kind::Tls(tls) => tls.stream.ssl(),
            Kind::Clear => panic!("no TLS"),
        }
    }

    /// Runs libssl once so that it sends what has been scheduled behind the engine's back.
    #[cfg(test)]
    pub(crate) fn push_update(&mut self, output: &mut Cipher) {
        if let Kind::Tls(tls) = &mut self.0 {
            tls.lending(&mut Cipher::none(), output, |tls| {
                let _ = tls.stream.do_handshake();
            });
        }
    }

    /// The certificate that the peer presented, also if it was refused.
    pub fn presented(&self) -> Option<PeerCertificate> {
        let Kind::Tls(tls) = &self.0 else {
            return None;
        };
        let refused = tls.refusal.as_ref().and_then(Refusal::fault);
        if let Some(presented) = refused.and_then(|fault| fault.presented) {
            return Some(*presented);
        }
        let certificate = tls.stream.ssl().peer_certificate()?;
        PeerCertificate::read(&certificate)
    }
}

impl Tls {
    /// Runs `work` while the caller's buffers belong to libssl's end of the connection.
    #[inline]
    fn lending<R>(
        &mut self,
        input: &mut Cipher,
        output: &mut Cipher,
        work: impl FnOnce(&mut Tls) -> R,
    ) -> R {
        self.stream.get_mut().lend(input, output);
        let result = work(self);
        self.stream.get_mut().lend(input, output);
        result
    }

    fn shake_hands(&mut self) -> Result<Handshake, TlsFault> {
        match self.phase {
            Phase::Handshaking => {}
            Phase::Dead => return Err(TlsFault::Dead),
            _ => return Ok(Handshake::Done),
        }
        loop {
            let before = self.stream.get_ref().input.len();
            ffi::forget_errors();
            match self.stream.do_handshake() {
                Ok(()) => {
                    self.phase = Phase::Open;
                    return Ok(Handshake::Done);
                }
                Err(error) if error.code() == ErrorCode::WANT_READ => {
                    // Without SSL_MODE_AUTO_RETRY libssl may stop while there is input.
                    let left = self.stream.get_ref().input.len();
                    if left == 0 || left == before {
                        return Ok(Handshake::Reading);
                    }
                }
                Err(error) => return Err(self.fail(&error)),
            }
        }
    }

    fn decrypt(&mut self, plain: &mut Plain) -> Result<Received, TlsFault> {
        if self.phase.peer_has_closed() {
            self.stream.get_mut().input.clear();
            return Ok(Received::Closed);
        }
        if matches!(self.phase, Phase::Handshaking | Phase::Dead) {
            return Err(TlsFault::Dead);
        }
        let received = self.decrypt_records(plain)?;
        if self.unanswered {
            self.unanswered = false;
            self.answer_key_update()?;
        }
        Ok(received)
    }

    fn decrypt_records(&mut self, plain: &mut Plain) -> Result<Received, TlsFault> {
        let mut budget = BUDGET;
        loop {
            if self.undelivered == 0 && self.stream.get_ref().input.is_empty() {
                return Ok(Received::Open);
            }
            let cramped = plain.room() < RECORD_MAX && !plain.is_empty();
            if budget == 0 || cramped || plain.room() == 0 {
                return Ok(Received::More);
            }
            ffi::forget_errors();
            let spare = plain.spare();
            let room = spare.len();
            match self.stream.ssl_read(spare) {
                Ok(count) => {
                    plain.commit(count);
                    self.dry = 0;
                    budget -= 1;
                    self.undelivered = match count == room {
                        true => self.stream.ssl().pending(),
                        false => 0,
                    };
                }
                Err(error) if error.code() == ErrorCode::WANT_READ => {
                    self.undelivered = 0;
                    if self.stream.get_ref().is_between_records() {
                        budget = budget.saturating_sub(DRY_COST);
                        self.count_dry()?;
                    }
                }
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    self.phase = self.phase.and_peer_closed();
                    self.stream.get_mut().input.clear();
                    return Ok(Received::Closed);
                }
                Err(error) => return Err(self.fail(&error)),
            }
        }
    }

    fn count_dry(&mut self) -> Result<(), TlsFault> {
        self.dry += 1;
        self.unanswered = true;
        if self.dry <= DRY_MAX {
            return Ok(());
        }
        self.phase = Phase::Dead;
        Err(TlsFault::Flood { records: self.dry })
    }

    /// Sends the answer to a KeyUpdate of the peer without waiting for data to send. libssl would
    /// answer with the next write or the next KeyUpdate only.
    fn answer_key_update(&mut self) -> Result<(), TlsFault> {
        let due = ffi::key_update_is_due(self.stream.ssl());
        let speaks = matches!(self.phase, Phase::Open | Phase::PeerClosed);
        if !due || !speaks {
            return Ok(());
        }
        ffi::forget_errors();
        // Scheduling it again makes the next call a handshake call, which sends it.
        if !ffi::key_update(self.stream.ssl(), KeyUpdate::NotRequested) {
            return Ok(());
        }
        match self.stream.do_handshake() {
            Ok(()) => Ok(()),
            Err(error) if error.code() == ErrorCode::WANT_READ => Ok(()),
            Err(error) => Err(self.fail(&error)),
        }
    }

    fn encrypt(&mut self, plain: &mut Plain) -> Result<(), TlsFault> {
        if !matches!(self.phase, Phase::Open | Phase::PeerClosed) {
            return Err(TlsFault::Dead);
        }
        while !plain.is_empty() {
            let output = &self.stream.get_ref().output;
            let usable = output.room().saturating_sub(RESERVE + OVERHEAD);
            let count = plain.len().min(RECORD_MAX).min(usable);
            let scrap = count < plain.len().min(WORTHWHILE) && !output.is_empty();
            if count == 0 || scrap {
                break;
            }
            ffi::forget_errors();
            match self.stream.ssl_write(&plain.bytes()[..count]) {
                Ok(written) => {
                    plain.consume(written);
                    self.dry = 0;
                }
                Err(error) => return Err(self.fail(&error)),
            }
        }
        Ok(())
    }

    fn say_goodbye(&mut self) {
        if matches!(self.phase, Phase::Open | Phase::PeerClosed) {
            self.phase = self.phase.and_we_closed();
            ffi::forget_errors();
            // The peer's close_notify is awaited by nobody: 0 and errors are all the same here.
            let _ = self.stream.shutdown();
            ffi::forget_errors();
        }
    }

    fn rest(&mut self) {
        let reads = matches!(self.phase, Phase::Open | Phase::WeClosed);
        if !reads || self.undelivered > 0 || !self.stream.get_ref().is_between_records() {
            return;
        }
        ffi::forget_errors();
        ffi::release_buffers(self.stream.ssl(), true);
        if self.phase == Phase::Open {
            ffi::touch_write_buffer(self.stream.ssl());
        }
        // There is no input, so this reads nothing, and libssl frees the buffer for it.
        let mut nothing = [0; 1];
        let _ = self.stream.ssl_read(&mut nothing);
        ffi::release_buffers(self.stream.ssl(), false);
        ffi::forget_errors();
    }

    /// Turns libssl's failure into a fault. The alert, if there is one, is in the output already.
    #[cold]
    fn fail(&mut self, error: &Error) -> TlsFault {
        self.phase = Phase::Dead;
        let lent = self.stream.get_ref();
        if lent.overflowed {
            let capacity = lent.output.capacity();
            return TlsFault::OutputOverflow { capacity };
        }
        fault::classify(error.ssl_error(), self.refusal.as_ref())
    }
}

impl Phase {
    fn peer_has_closed(self) -> bool {
        matches!(self, Phase::PeerClosed | Phase::BothClosed)
    }

    fn and_peer_closed(self) -> Phase {
        match self {
            Phase::Open => Phase::PeerClosed,
            Phase::WeClosed => Phase::BothClosed,
            other => other,
        }
    }

    fn and_we_closed(self) -> Phase {
        match self {
            Phase::Open => Phase::WeClosed,
            Phase::PeerClosed => Phase::BothClosed,
            other => other,
        }
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
