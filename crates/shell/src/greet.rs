//! Owns the first seconds of a client: the bytes before TLS, and the handshake. What they mean is
//! [`session::greeting`]'s business; what may be written unencrypted is its closed list of constants.

use crate::chance;
use crate::door::Seat;
use crate::life::Life;
use crate::port::Port;
use crate::setup::{DirectTls, ListenerTls, PlaintextCancel};
use crate::socket::Socket;
use crate::strangers::Event;
use buf::Cipher;
use observe::Leg;
use session::arrival::Reached;
use session::fault::{Fault, FaultKind, Side};
use session::greeting::{Encryption, Greeted, Greeting, Preamble};
use std::future::poll_fn;
use tls::{Engine, Handshake};
use wire::startup::CancelRequest;

/// Bytes kept of a client that has to ask for TLS first: room for a cancel request and more.
const GREETING_BYTES: usize = 512;

/// Bytes kept of a client that may start without TLS: the longest startup packet.
const STARTUP_BYTES: usize = wire::startup::PACKET_MAX as usize + 4;

impl Life<'_> {
    /// The bytes before TLS, and the handshake; `None` for a cancel request.
    pub(crate) async fn greet(
        &self,
        mut socket: Socket,
        seat: &mut Seat<'_>,
    ) -> Result<Option<(Port, Reached)>, Fault> {
        let (encryption, tls) = match &self.listener.tls {
            ListenerTls::Required(tls) => (Encryption::Required, Some(tls)),
            ListenerTls::Optional(tls) => (Encryption::Optional, Some(tls)),
            ListenerTls::UnencryptedByConfiguration => (Encryption::Off, None),
        };
        let mut greeting = Greeting::new(encryption);
        // Whoever has said nothing yet costs a few bytes, not a worker's buffer.
        let mut raw = Cipher::with_capacity(match encryption {
            Encryption::Required => GREETING_BYTES,
            Encryption::Optional | Encryption::Off => STARTUP_BYTES,
        });
        let direct = loop {
            match greeting.step(&mut raw) {
                // A startup packet, and not even a short one.
                Ok(Greeted::More) if raw.room() == 0 => {
                    return self.no_tls(socket, raw).await;
                }
                Ok(Greeted::More) => {
                    let count = poll_fn(|cx| socket.poll_read(cx, &mut raw, usize::MAX)).await;
                    match count {
                        Ok(0) => {
                            let kind = FaultKind::Lost { truncated: false };
                            return Err(Fault::new(Side::Client, kind));
                        }
                        Ok(_) => {}
                        Err(error) => return Err(client_io("reading", &error)),
                    }
                }
                Ok(Greeted::Answer(preamble)) => say(&mut socket, preamble).await?,
                Ok(Greeted::Tls) => {
                    say(&mut socket, Preamble::Willing).await?;
                    break Some(Reached::Asked);
                }
                Ok(Greeted::DirectTls) if self.listener.direct_tls == DirectTls::Refused => {
                    return Err(Fault::new(Side::Client, FaultKind::TlsRequired));
                }
                Ok(Greeted::DirectTls) => break Some(Reached::DirectTls),
                Ok(Greeted::Clear) => break None,
                Ok(Greeted::Cancel(request)) => {
                    self.plaintext_cancel(&socket, &request).await;
                    return Ok(None);
                }
                Err(fault) if fault.kind == FaultKind::TlsRequired => {
                    return self.no_tls(socket, raw).await;
                }
                Err(fault) => return Err(fault),
            }
        };
        let (Some(reached), Some(tls)) = (direct, tls) else {
            let engine = Engine::unencrypted_by_configuration();
            let port = Port::new(Side::Client, socket, engine, raw);
            seat.take().await;
            return Ok(Some((port, Reached::Asked)));
        };
        let mut engine = Engine::accept(tls).map_err(|fault| {
            let cause = fault.to_string();
            Fault::new(Side::Client, FaultKind::Tls { cause })
        })?;
        engine.uphold(&self.listener.upkeep, chance::spread());
        let mut port = Port::new(Side::Client, socket, engine, raw);
        // A place is for work: nobody has one who has not begun.
        if !port.has_input() {
            port.handshake_read().await?;
        }
        seat.take().await;
        // Whoever leaves or comes to a deadline before the end has failed, too.
        let under_way = self.context.counters.handshakes.begin(Leg::Client);
        loop {
            match port.handshake_step().await {
                Ok(Handshake::Reading) => seat.patient(port.handshake_read()).await?,
                Ok(Handshake::Done) => {
                    port.note_handshake(under_way);
                    break;
                }
                Err(fault) => {
                    if port.take_tally().flood.is_some() {
                        self.context.counters.tls.floods_of_handshake.add(1);
                    }
                    return Err(fault);
                }
            }
        }
        if reached == Reached::DirectTls && port.engine().alpn() != Some(b"postgresql") {
            return Err(Fault::new(Side::Client, FaultKind::AlpnMissing));
        }
        Ok(Some((port, reached)))
    }

    /// Says in one of the few constants that leave unencrypted that TLS is due, and closes.
    async fn no_tls<T>(&self, mut socket: Socket, raw: Cipher) -> Result<T, Fault> {
        say(&mut socket, Preamble::TlsRequired).await?;
        let engine = Engine::unencrypted_by_configuration();
        self.part(Port::new(Side::Client, socket, engine, raw))
            .await;
        Err(Fault::new(Side::Client, FaultKind::TlsRequired))
    }

    /// A cancel request outside TLS.
    async fn plaintext_cancel(&self, socket: &Socket, request: &CancelRequest) {
        let permitted = socket.is_unix()
            || matches!(self.listener.tls, ListenerTls::UnencryptedByConfiguration)
            || self.listener.plaintext_cancel == PlaintextCancel::Accept;
        match permitted {
            true => self.cancel(request).await,
            false => {
                let strangers = &self.context.strangers;
                strangers.cancel(Event::PlaintextCancel, &self.peer, None);
            }
        }
    }
}

async fn say(socket: &mut Socket, preamble: Preamble) -> Result<(), Fault> {
    let mut raw = Cipher::with_capacity(128);
    let pushed = raw.push(preamble.bytes());
    debug_assert!(pushed.is_ok());
    let written = poll_fn(|cx| socket.poll_write(cx, &mut raw)).await;
    written.map_err(|error| client_io("writing", &error))
}

fn client_io(phase: &'static str, error: &std::io::Error) -> Fault {
    let cause = error.to_string();
    Fault::new(Side::Client, FaultKind::Io { phase, cause })
}
