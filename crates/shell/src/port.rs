//! Owns our end towards one peer: a socket, a TLS engine and four buffers.
//!
//! Takes the worker's buffers while bytes are in them. The only way of plaintext to the socket is
//! through the engine: `plain_out` → `Engine::send` → `cipher_out` → `Socket::poll_write`.
//! Never knows what the plaintext means.

use crate::console::Client;
use crate::lend::{self, READ_BYTES};
use crate::socket::{Detached, Socket};
use crate::turn::turn;
use buf::{Cipher, Plain};
use nix::errno::Errno;
use observe::{TlsVersion, UnderWay};
use session::fault::{Fault, FaultKind, Side};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tls::{EndOfInput, Engine, Handshake, Received, Tally, TlsFault};

/// Our end towards one peer.
pub struct Port {
    side: Side,
    pub(crate) socket: Socket,
    engine: Engine,
    cipher_in: Cipher,
    /// Plaintext that came and isn't consumed yet.
    pub plain_in: Plain,
    /// Plaintext that waits to be encrypted.
    pub plain_out: Plain,
    cipher_out: Cipher,
    input: Input,
    /// The engine stopped although there was room for more.
    tired: bool,
    /// The socket had nothing more when it was last asked.
    drained: bool,
    /// The socket may have more, and the runtime doesn't know: the last read was made past it, and took all it could.
    unasked: bool,
    /// The runtime, which has just got the socket, hasn't said yet that it takes bytes.
    is_new_here: bool,
    /// See [`streams`](Self::streams).
    streams: bool,
    /// Ciphertext bytes from and to the peer.
    pub bytes_in: u64,
    /// Ciphertext bytes to the peer.
    pub bytes_out: u64,
    /// Whose they are, where others may read both.
    pub(crate) meter: Option<Arc<Client>>,
}

/// A read that brings so much is part of a stream, of which there is more by the time this much is decrypted:
/// PostgreSQL and its clients send 8 KiB at a time.
const BULK_BYTES: u64 = 8 * 1024;

/// Where the incoming stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// The socket decides.
    Open,
    /// The engine holds more than it delivered.
    Pending,
    /// The socket broke, after what was delivered; by its number (errno(3)), which is small on Linux, as a port should be.
    Broken(u8),
    /// close_notify came, or the socket ended.
    Ended,
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// Plaintext, perhaps none (a KeyUpdate).
    Bytes,
    /// The end of the stream.
    End(EndOfInput),
}

impl Port {
    /// A port over a socket on which `received` has been read already.
    pub fn new(side: Side, socket: Socket, engine: Engine, received: Cipher) -> Port {
        Port {
            side,
            socket,
            engine,
            input: if received.is_empty() {
                Input::Open
            } else {
                Input::Pending
            },
            cipher_in: received,
            plain_in: Plain::none(),
            plain_out: Plain::none(),
            cipher_out: Cipher::none(),
            tired: false,
            drained: false,
            unasked: false,
            is_new_here: false,
            streams: false,
            bytes_in: 0,
            bytes_out: 0,
            meter: None,
        }
    }

    /// Whose port it is.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The engine, for its facts.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Tells the engine the time; what it has to say waits to be written. Gives the second by which
    /// it has to be told again.
    pub fn tick(&mut self, now_s: u32) -> Result<Option<u32>, Fault> {
        lend::borrow_cipher(&mut self.cipher_out);
        let due = self.engine.tick(now_s, &mut self.cipher_out);
        lend::give_back_cipher(&mut self.cipher_out);
        due.map_err(|fault| self.tls(&fault))
    }

    /// What the engine did since this was last asked.
    pub fn take_tally(&mut self) -> Tally {
        self.engine.take_tally()
    }

    /// True while nothing can be encrypted: the peer has to be read, whatever waits.
    #[inline]
    pub fn withholds(&self) -> bool {
        self.engine.withholds()
    }

    /// True, once, after records so small and so many that others on the worker should have their
    /// turn before the next ones.
    #[inline]
    pub fn is_tired(&mut self) -> bool {
        std::mem::take(&mut self.tired)
    }

    /// True if a read has brought what may be a part of a stream since this was last asked.
    #[inline]
    pub fn streams(&mut self) -> bool {
        std::mem::take(&mut self.streams)
    }

    /// True while anything waits to be encrypted or written.
    #[inline]
    pub fn has_output(&self) -> bool {
        !self.plain_out.is_empty() || !self.cipher_out.is_empty()
    }

    /// Reads once and decrypts, and in a stream as long as there is more. Ready without bytes means that only TLS had
    /// something to say.
    #[inline]
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arrived, Fault>> {
        if self.unasked && self.input == Input::Open {
            self.take_at_once();
        }
        match self.input {
            Input::Open => {
                let before = self.bytes_in;
                match ready!(self.poll_fill(cx)) {
                    Ok(0) => self.input = Input::Ended,
                    Ok(_) => {
                        self.decrypt()?;
                        if self.bytes_in - before >= BULK_BYTES {
                            self.gather()?;
                        }
                        return Poll::Ready(Ok(Arrived::Bytes));
                    }
                    Err(error) => return Poll::Ready(Err(self.io("reading", &error))),
                }
            }
            Input::Pending => {
                // The runtime was not asked: more may have come, and rung, since it last was.
                self.drained = false;
                self.decrypt()?;
                return Poll::Ready(Ok(Arrived::Bytes));
            }
            Input::Broken(errno) => {
                let error = io::Error::from_raw_os_error(errno.into());
                return Poll::Ready(Err(self.io("reading", &error)));
            }
            Input::Ended => {}
        }
        Poll::Ready(Ok(Arrived::End(self.engine.end_of_input())))
    }

    /// Goes on reading a stream, so that what came while the last part was decrypted goes out in the same write. Nobody
    /// waits for anything here, and whoever sends drops is not listened to for longer than others.
    #[cold]
    fn gather(&mut self) -> Result<(), Fault> {
        self.streams = true;
        let mut came = BULK_BYTES;
        while came >= BULK_BYTES
            && self.input == Input::Open
            && self.plain_in.room() >= 2 * Engine::PLAIN_MIN
        {
            let before = self.bytes_in;
            self.take_at_once();
            came = self.bytes_in - before;
            if came > 0 {
                self.decrypt()?;
            }
        }
        Ok(())
    }

    /// One read without asking the runtime, which would say that there is nothing before it has asked the kernel.
    fn take_at_once(&mut self) {
        lend::borrow_cipher(&mut self.cipher_in);
        let taken = self.socket.take(&mut self.cipher_in, READ_BYTES);
        self.unasked = matches!(taken, Ok(READ_BYTES) | Err(Errno::EINTR));
        self.input = match taken {
            Ok(0) => Input::Ended,
            Ok(count) => {
                self.came(count);
                Input::Pending
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Input::Open,
            Err(errno) => Input::Broken(u8::try_from(errno as i32).unwrap_or(u8::MAX)),
        };
        if self.cipher_in.is_empty() {
            lend::give_back_cipher(&mut self.cipher_in);
        }
    }

    /// Decrypts what was read.
    #[inline]
    fn decrypt(&mut self) -> Result<(), Fault> {
        lend::borrow_plain(&mut self.plain_in);
        let received = self.engine.receive(
            &mut self.cipher_in,
            &mut self.plain_in,
            &mut self.cipher_out,
        );
        lend::give_back_cipher(&mut self.cipher_in);
        // What the engine had to say of its own is in a buffer of its own, which may be too small for
        // what the session says next.
        if !self.cipher_out.is_empty() {
            lend::enlarge_cipher(&mut self.cipher_out);
        }
        self.input = match received {
            Ok(Received::Open) => Input::Open,
            Ok(Received::More) => {
                self.tired = self.plain_in.room() >= Engine::PLAIN_MIN;
                Input::Pending
            }
            Ok(Received::Closed) => Input::Ended,
            Err(fault) => return Err(self.tls(&fault)),
        };
        Ok(())
    }

    /// Encrypts and writes until nothing waits any more. While the engine [withholds](Self::withholds)
    /// data it is pending, and only reading helps.
    #[inline]
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        while self.has_output() {
            if !self.plain_out.is_empty() {
                lend::borrow_cipher(&mut self.cipher_out);
                let sent = self.engine.send(&mut self.plain_out, &mut self.cipher_out);
                lend::give_back_plain(&mut self.plain_out);
                if let Err(fault) = sent {
                    return Poll::Ready(Err(self.tls(&fault)));
                }
                if self.cipher_out.is_empty() && self.withholds() {
                    return Poll::Pending;
                }
            }
            let before = self.cipher_out.len();
            if std::mem::take(&mut self.is_new_here) {
                self.socket.put(&mut self.cipher_out);
            }
            let written = self.socket.poll_write(cx, &mut self.cipher_out);
            self.bytes_out += (before - self.cipher_out.len()) as u64;
            if let Some(client) = &self.meter {
                client.meter.sent(self.bytes_out);
            }
            if let Err(error) = ready!(written) {
                return Poll::Ready(Err(self.io("writing", &error)));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Forgets what waits to be sent: the other side is gone.
    pub fn drop_output(&mut self) {
        self.plain_out.clear();
        self.cipher_out.clear();
    }

    /// Hands empty buffers back to the worker.
    #[inline]
    pub fn rest(&mut self) {
        lend::give_back_plain(&mut self.plain_in);
        lend::give_back_plain(&mut self.plain_out);
        lend::give_back_cipher(&mut self.cipher_out);
    }

    /// Hands back what only an active connection needs.
    pub fn hibernate(&mut self) {
        self.rest();
        self.engine.rest();
    }

    /// [`poll_send`](Self::poll_send), awaited.
    pub async fn send(&mut self) -> Result<(), Fault> {
        poll_fn(|cx| self.poll_send(cx)).await
    }

    /// [`poll_receive`](Self::poll_receive), awaited.
    pub async fn receive(&mut self) -> Result<Arrived, Fault> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// Gives both sides of the plaintext a buffer; [`rest`](Self::rest) takes back what stays empty.
    pub(crate) fn lend(&mut self) {
        lend::borrow_plain(&mut self.plain_in);
        lend::borrow_plain(&mut self.plain_out);
    }

    /// Gives `plain_out` a buffer, so that messages can be put into it.
    pub fn room(&mut self) -> &mut Plain {
        lend::borrow_plain(&mut self.plain_out);
        &mut self.plain_out
    }

    /// Carries the TLS handshake through.
    pub async fn handshake(&mut self) -> Result<(), Fault> {
        while self.handshake_step().await? == Handshake::Reading {
            self.handshake_read().await?;
        }
        Ok(())
    }

    /// Notes that the handshake has come to its end.
    pub(crate) fn note_handshake(&self, under_way: UnderWay<'_>) {
        if let Some(agreed) = self.engine.agreed() {
            let version = match agreed.is_tls13 {
                true => TlsVersion::Tls13,
                false => TlsVersion::Tls12,
            };
            under_way.done(version, agreed.is_resumed);
        }
    }

    /// Takes the handshake as far as the bytes at hand go, and sends what it has to say.
    pub async fn handshake_step(&mut self) -> Result<Handshake, Fault> {
        let step = {
            let _turn = turn().await;
            lend::borrow_cipher(&mut self.cipher_out);
            self.engine
                .handshake(&mut self.cipher_in, &mut self.cipher_out)
        };
        // What was produced goes out first, also the alert of a failure.
        let sent = self.send().await;
        let step = step.map_err(|fault| self.tls(&fault))?;
        sent?;
        match step {
            Handshake::Done => {
                self.input = match self.cipher_in.is_empty() {
                    true => Input::Open,
                    false => Input::Pending,
                };
                lend::give_back_cipher(&mut self.cipher_in);
            }
            Handshake::Reading => self.rest(),
        }
        Ok(step)
    }

    /// Reads more of the handshake.
    pub async fn handshake_read(&mut self) -> Result<(), Fault> {
        match poll_fn(|cx| self.poll_fill(cx)).await {
            Ok(0) => Err(Fault::new(self.side, FaultKind::Lost { truncated: true })),
            Ok(_) => Ok(()),
            Err(error) => Err(self.io("reading", &error)),
        }
    }

    /// True once the peer has sent something that waits for the handshake.
    pub fn has_input(&self) -> bool {
        !self.cipher_in.is_empty()
    }

    /// One read from the socket; without bytes no buffer is held.
    #[inline]
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // What has just been read is most often all: no buffer is borrowed to learn that. Whoever asks
        // again behind that answer knows that something has come.
        if !self.drained {
            let readable = self.socket.poll_readable(cx);
            self.drained = readable.is_pending();
            ready!(readable)?;
        }
        lend::borrow_cipher(&mut self.cipher_in);
        let read = self.socket.poll_read(cx, &mut self.cipher_in, READ_BYTES);
        self.drained = read.is_pending();
        match &read {
            Poll::Ready(Ok(count)) if *count > 0 => self.came(*count),
            _ => lend::give_back_cipher(&mut self.cipher_in),
        }
        read
    }

    /// Counts what was read.
    #[inline]
    fn came(&mut self, count: usize) {
        self.bytes_in += count as u64;
        if let Some(client) = &self.meter {
            client.meter.received(self.bytes_in);
        }
    }

    /// True if the socket has nothing more and the engine neither; the waker is told of more.
    #[inline]
    pub fn is_drained(&mut self, cx: &mut Context<'_>) -> bool {
        // An error shows itself to whoever reads.
        self.drained = self.drained || self.socket.poll_readable(cx).is_pending();
        self.drained && !self.unasked && self.input == Input::Open
    }

    /// Sends what waits, says goodbye in TLS and TCP, and takes in what still comes, so that the
    /// peer's kernel doesn't throw our last words away (a reset would). Bounded by the caller's
    /// deadline and in bytes.
    pub async fn close(mut self) {
        self.say_goodbye().await;
        self.abandon();
    }

    /// Ends at once and without a word: what waits is not sent, and what was sent is not delivered any more if it
    /// was not yet.
    pub fn break_off(self) {
        self.socket.give_up_undelivered();
        self.abandon();
    }

    async fn say_goodbye(&mut self) {
        const DISCARD_MAX: u64 = 1 << 20;
        let _ = self.send().await;
        lend::borrow_cipher(&mut self.cipher_out);
        self.engine.close(&mut self.cipher_out);
        if self.send().await.is_err() {
            return;
        }
        if poll_fn(|cx| self.socket.poll_shutdown(cx)).await.is_err() {
            return;
        }
        self.plain_in.clear();
        let end = self.bytes_in + DISCARD_MAX;
        self.cipher_in.clear();
        self.rest();
        while self.bytes_in < end {
            let read = poll_fn(|cx| self.poll_fill(cx)).await;
            match read {
                Ok(0) | Err(_) => break,
                Ok(_) => self.cipher_in.clear(),
            }
        }
    }

    /// True if nothing is under way: everything that came was consumed, everything to be sent is on
    /// its way.
    pub fn is_quiet(&self) -> bool {
        !self.has_output() && self.plain_in.is_empty() && self.input == Input::Open && !self.unasked
    }

    /// True if the runtime that watches the socket has seen something come, the end of the stream
    /// included. Asks nobody.
    pub fn has_news(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.socket.poll_readable(&mut cx).is_ready()
    }

    /// Has this thread's runtime watch the socket from now on.
    pub fn move_here(mut self) -> Result<Port, Fault> {
        let side = self.side;
        let moved = self.socket.detach().and_then(Detached::attach);
        self.socket = moved.map_err(|error| io(side, "joining a worker", &error))?;
        self.is_new_here = true;
        Ok(self)
    }

    /// Throws away what was under way, and hands the buffers back.
    fn abandon(mut self) {
        self.plain_in.clear();
        self.plain_out.clear();
        self.cipher_in.clear();
        self.cipher_out.clear();
        self.rest();
        lend::give_back_cipher(&mut self.cipher_in);
    }

    fn io(&self, phase: &'static str, error: &io::Error) -> Fault {
        io(self.side, phase, error)
    }

    fn tls(&self, fault: &TlsFault) -> Fault {
        Fault::new(
            self.side,
            FaultKind::Tls {
                cause: fault.to_string(),
            },
        )
    }
}

fn io(side: Side, phase: &'static str, error: &io::Error) -> Fault {
    let cause = error.to_string();
    Fault::new(side, FaultKind::Io { phase, cause })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    async fn readable(port: &mut Port) {
        poll_fn(|cx| port.socket.poll_readable(cx)).await.unwrap();
    }

    fn unencrypted() -> (Port, UnixStream) {
        let (ours, peer) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let ours = Detached::Unix(ours).attach().unwrap();
        let engine = Engine::unencrypted_by_configuration();
        (Port::new(Side::Client, ours, engine, Cipher::none()), peer)
    }

    /// The runtime believes that the socket is empty, and nothing will ring.
    #[tokio::test]
    async fn what_a_read_past_the_runtime_leaves_in_the_socket_is_fetched() {
        let (mut port, mut peer) = unencrypted();
        peer.write_all(b"x").unwrap();
        assert_eq!(port.receive().await.unwrap(), Arrived::Bytes);
        peer.write_all(&[7; READ_BYTES + 9]).unwrap();
        port.gather().unwrap();
        assert_eq!(port.plain_in.len(), 1 + READ_BYTES);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(!port.is_drained(&mut cx) && !port.is_quiet());
        port.plain_in.clear();
        let Poll::Ready(arrived) = port.poll_receive(&mut cx) else {
            panic!("it sleeps over what is there");
        };
        assert_eq!(arrived.unwrap(), Arrived::Bytes);
        assert_eq!(port.plain_in.bytes(), [7; 9]);
        port.plain_in.clear();
        assert!(port.poll_receive(&mut cx).is_pending());
        assert!(port.is_drained(&mut cx) && port.is_quiet());
    }

    /// An error is told once by the kernel, and only behind what came in front of it here.
    #[tokio::test]
    async fn what_broke_or_ended_a_stream_is_told_behind_what_came_in_front() {
        for (unread, wanted) in [(&b"unread"[..], None), (b"", Some(EndOfInput::Orderly))] {
            let (mut port, mut peer) = unencrypted();
            peer.write_all(&[7; BULK_BYTES as usize]).unwrap();
            if !unread.is_empty() {
                port.room().push(unread).unwrap();
                port.send().await.unwrap();
            }
            drop(peer);
            assert_eq!(port.receive().await.unwrap(), Arrived::Bytes);
            assert_eq!(port.plain_in.len() as u64, BULK_BYTES);
            assert_ne!(port.input, Input::Open, "a stream is read on");
            port.plain_in.clear();
            for _ in 0..2 {
                match (port.receive().await, wanted) {
                    (Ok(Arrived::End(end)), Some(wanted)) => assert_eq!(end, wanted),
                    (Err(fault), None) => assert!(fault.to_string().contains("reset"), "{fault}"),
                    (other, _) => panic!("{other:?}"),
                }
            }
        }
    }

    /// Whoever goes on with drops has to wait for the next turn, like others.
    #[tokio::test]
    async fn a_stream_is_not_read_on_behind_a_small_part() {
        let (mut port, mut peer) = unencrypted();
        port.lend();
        peer.write_all(&[7; BULK_BYTES as usize - 1]).unwrap();
        drop(peer);
        port.gather().unwrap();
        assert_eq!(port.plain_in.len() as u64, BULK_BYTES - 1);
        assert_eq!(port.input, Input::Open, "the end was not asked for yet");
    }

    /// What came while the engine still had something to deliver has rung already, and rings no more: whoever then
    /// believed what the socket had said before would sleep for ever.
    #[tokio::test]
    async fn a_socket_that_was_empty_once_is_asked_anew_behind_what_the_engine_held() {
        let (mut port, mut peer) = unencrypted();
        // More than the plaintext's buffer takes, in two reads.
        for bytes in [60_000, 30_000] {
            peer.write_all(&vec![0; bytes]).unwrap();
            assert_eq!(port.receive().await.unwrap(), Arrived::Bytes);
        }
        assert_eq!(port.input, Input::Pending);
        port.plain_in.clear();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(!port.is_drained(&mut cx), "the engine has more");
        assert!(port.drained, "the socket has not");
        peer.write_all(b"x").unwrap();
        readable(&mut port).await;
        assert_eq!(port.receive().await.unwrap(), Arrived::Bytes);
        assert_eq!(port.input, Input::Open);
        assert!(!port.is_drained(&mut cx), "a byte waits in the socket");
    }
}
