//! One TLS connection as a machine: ciphertext in and out, plaintext in and out.

use crate::context::{ListenerContext, ServerContext};
use crate::facts::{LegFacts, PeerCertificate};
use crate::fault::TlsFault;
use crate::name::ServerName;
use buf::{Cipher, Plain};

/// One TLS connection. After a fault it is dead: flush the output buffer, then close the socket.
pub struct Engine(());

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
    pub const PLAIN_MIN: usize = 16 * 1024;
    /// Capacity that an output buffer needs: the largest handshake flight, or one record and the
    /// reserve for what TLS itself has to say.
    pub const OUTPUT_MIN: usize = 32 * 1024;

    /// The server's side of a connection: a client has connected to us.
    pub fn accept(_context: &ListenerContext) -> Result<Engine, TlsFault> {
        Err(TlsFault::Dead)
    }
    /// The client's side of a connection: we have connected to `host`.
    pub fn connect(_context: &ServerContext, _host: &ServerName) -> Result<Engine, TlsFault> {
        Err(TlsFault::Dead)
    }
    /// Passes bytes as they are. Only for a listener or server that the operator has set to
    /// unencrypted by name.
    pub fn unencrypted_by_configuration() -> Engine {
        Engine(())
    }
    /// True for [`unencrypted_by_configuration`](Self::unencrypted_by_configuration).
    pub fn is_unencrypted(&self) -> bool {
        true
    }
    /// Takes the handshake as far as `input` allows. `output` needs [`OUTPUT_MIN`](Self::OUTPUT_MIN).
    pub fn handshake(
        &mut self,
        _input: &mut Cipher,
        _output: &mut Cipher,
    ) -> Result<Handshake, TlsFault> {
        Err(TlsFault::Dead)
    }
    /// Decrypts `input` to the back of `plain`. Flush `output` afterwards: answers to the peer's
    /// KeyUpdates and alerts are there.
    pub fn receive(
        &mut self,
        _input: &mut Cipher,
        _plain: &mut Plain,
        _output: &mut Cipher,
    ) -> Result<Received, TlsFault> {
        Err(TlsFault::Dead)
    }
    /// Encrypts as much of `plain` as `output` has room for; what was encrypted is wiped.
    pub fn send(&mut self, _plain: &mut Plain, _output: &mut Cipher) -> Result<(), TlsFault> {
        Err(TlsFault::Dead)
    }
    /// Puts close_notify into `output`, if the connection is in a state for it.
    pub fn close(&mut self, _output: &mut Cipher) {}
    /// Gives back memory that only an active connection needs. For a connection that has been
    /// idle for a moment; the next `receive` or `send` takes it again.
    pub fn rest(&mut self) {}
    /// What it means that the socket has no more input.
    pub fn end_of_input(&self) -> EndOfInput {
        EndOfInput::Truncated
    }
    /// The application protocol agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        None
    }
    /// What was agreed on; `None` before the end of the handshake and for an unencrypted engine.
    pub fn facts(&self) -> Option<LegFacts> {
        None
    }
    /// The certificate that the peer presented, also if it was refused.
    pub fn presented(&self) -> Option<PeerCertificate> {
        None
    }
}
