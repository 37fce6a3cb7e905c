//! How an encrypted connection drives libssl.
//!
//! Owns libssl's object and where the connection stands. Takes the caller's buffers per call.
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
//!   plaintext has to be wiped. Encrypting and decrypting a record of
//!   60 bytes takes 13,300 instructions without it and 24,900 with it (OpenSSL 3.0.19), of which
//!   400 are ours. [`Tls::rest`] gives the memory back when the connection is idle.
//! - Each record is overwritten here as soon as its data is delivered, by whole cache lines: libssl's
//!   SSL_OP_CLEANSE_PLAINTEXT does it in words of eight bytes, and takes five instructions for each.
//! - The error queue is not looked at while all goes well: a stale entry of another connection
//!   matters only to the reading of a failure, and there [`Tls::waits`] has the last word.
//!
//! # Why a write never fails half-way
//!
//! libssl can't survive a KeyUpdate that arrives while a record of its own is stuck. Here no record
//! ever gets stuck: [`Tls::encrypt`] encrypts only what the output has room for, and leaves
//! [`Terms::reserve`] bytes for what libssl has to say itself.

mod keeping;

use crate::bio::Lent;
use crate::engine::{Handshake, Received};
use crate::fault::{self, TlsFault};
use crate::ffi;
use crate::flood::Allowance;
use crate::rekey::{Keys, Remedy};
use crate::upkeep::{Renegotiation, Tally, Upkeep};
use crate::verify::Refusal;
use buf::{Cipher, Plain};
use keeping::{Awaited, Terms};
use openssl::error::ErrorStack;
use openssl::ssl::{Error, ErrorCode, Ssl, SslRef, SslStream};

/// The largest plaintext of a record (RFC 8446 section 5.1).
pub(crate) const RECORD_MAX: usize = 16 * 1024;
/// What a record adds to its plaintext, at most: header, explicit nonce or content type, tag.
const OVERHEAD: usize = 40;
/// Below this a record is not worth its cost while the output is about to drain.
const WORTHWHILE: usize = 4 * 1024;
/// Work of one `receive`: a data record counts 1, any other one (a KeyUpdate costs as much as ten
/// data records) [`DRY_COST`]. A record of one byte takes two microseconds: it is these that reach
/// the budget, large ones fill the caller's buffer first.
const BUDGET: u32 = 64;
const DRY_COST: u32 = 16;

/// One encrypted connection.
pub(crate) struct Tls {
    stream: SslStream<Lent>,
    phase: Phase,
    /// What the certificate callback saw, where certificates are verified.
    refusal: Option<Refusal>,
    /// Bytes of a decrypted record that did not fit into the caller's buffer.
    undelivered: usize,
    /// What the peer may still send without data.
    allowance: Allowance,
    /// How far the keys are worn.
    keys: Keys,
    /// Whether the peer may renegotiate.
    terms: Terms,
    /// Where libssl tells that the peer followed our request to change its key, while that is
    /// awaited.
    awaited: Option<Box<Awaited>>,
    tally: Tally,
    /// What libssl has begun and not finished; nothing is encrypted until then.
    held: Held,
    /// A KeyUpdate of the peer wants an answer.
    unanswered: bool,
}

/// Whether libssl is in the middle of a message after the handshake: a KeyUpdate that is spread
/// over records, or a renegotiation. A write now would be refused, or break the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    No,
    UntilMore,
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

impl Tls {
    pub(crate) fn new(ssl: Ssl, refusal: Option<Refusal>) -> Result<Tls, ErrorStack> {
        ffi::one_record_per_read(&ssl);
        Ok(Tls {
            stream: SslStream::new(ssl, Lent::new())?,
            phase: Phase::Handshaking,
            refusal,
            undelivered: 0,
            allowance: Allowance::new(),
            keys: Keys::new(Upkeep::default().limits, Remedy::KeyUpdate, 0),
            terms: Terms::NoRenegotiation,
            awaited: None,
            tally: Tally::default(),
            held: Held::No,
            unanswered: false,
        })
    }

    /// Says how the connection is to be kept up; before the handshake. `chance` spreads the limits
    /// of many connections.
    pub(crate) fn uphold(&mut self, upkeep: &Upkeep, chance: u64) {
        self.keys = Keys::new(upkeep.limits, Remedy::KeyUpdate, chance);
        if upkeep.renegotiation == Renegotiation::Allowed {
            ffi::allow_renegotiation(self.stream.ssl());
            self.terms = Terms::MayRenegotiate { peer: None };
        }
    }

    pub(crate) fn ssl(&self) -> &SslRef {
        self.stream.ssl()
    }

    /// What the certificate callback kept, if it refused.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    pub(crate) fn peer_has_closed(&self) -> bool {
        self.phase.peer_has_closed()
    }

    /// Runs libssl once so that it sends what has been scheduled behind the engine's back.
    #[cfg(test)]
    pub(crate) fn push(&mut self) {
        let _ = self.stream.do_handshake();
    }

    /// Runs `work` while the caller's buffers belong to libssl's end of the connection.
    #[inline]
    pub(crate) fn lending<R>(
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

    pub(crate) fn shake_hands(&mut self) -> Result<Handshake, TlsFault> {
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
                    self.opened();
                    return Ok(Handshake::Done);
                }
                Err(error) if error.code() == ErrorCode::WANT_READ => {
                    // Without SSL_MODE_AUTO_RETRY libssl may stop while there is input.
                    let left = self.stream.get_ref().input.len();
                    let counted = self.allowance.handshake(before - left);
                    counted.map_err(|fault| self.flooded(fault))?;
                    if left == 0 || left == before {
                        return Ok(Handshake::Reading);
                    }
                }
                Err(error) => return Err(self.fail(&error)),
            }
        }
    }

    pub(crate) fn decrypt(&mut self, plain: &mut Plain) -> Result<Received, TlsFault> {
        if self.phase.peer_has_closed() {
            self.stream.get_mut().input.clear();
            return Ok(Received::Closed);
        }
        if matches!(self.phase, Phase::Handshaking | Phase::Dead) {
            return Err(TlsFault::Dead);
        }
        let before = plain.len();
        let mut records = 0;
        let received = self.decrypt_records(plain, &mut records)?;
        if self.unanswered {
            self.unanswered = false;
            self.answer_key_update()?;
        }
        let bytes = (plain.len() - before) as u64;
        if self.keys.received(records, bytes) {
            self.keep_up()?;
        }
        Ok(received)
    }

    fn decrypt_records(
        &mut self,
        plain: &mut Plain,
        records: &mut u64,
    ) -> Result<Received, TlsFault> {
        let mut budget = BUDGET;
        // Whole records that data was read from, or that were told of as dry.
        let mut known = 0;
        loop {
            let lent = self.stream.get_ref();
            let is_empty = lent.input.is_empty();
            let passed_over = lent.whole.saturating_sub(known);
            if passed_over > 0 {
                known += passed_over;
                budget = budget.saturating_sub(passed_over);
                self.passed_over(passed_over)?;
            }
            if self.undelivered == 0 && is_empty {
                return Ok(Received::Open);
            }
            let cramped = plain.room() < RECORD_MAX && !plain.is_empty();
            if budget == 0 || cramped || plain.room() == 0 {
                return Ok(Received::More);
            }
            let spare = plain.spare();
            let room = spare.len();
            match self.stream.ssl_read(spare) {
                Ok(count) => {
                    plain.commit(count);
                    if let Err(fault) = self.allowance.data(count) {
                        return Err(self.flooded(fault));
                    }
                    // A handshake may have ended in the same call that brought data.
                    if self.held == Held::UntilMore {
                        self.look_at_handshake()?;
                    }
                    *records += 1;
                    budget -= 1;
                    known += u32::from(self.undelivered == 0);
                    self.undelivered = match count == room {
                        true => self.stream.ssl().pending(),
                        false => 0,
                    };
                    if self.undelivered == 0 {
                        ffi::wipe_delivered(&mut self.stream);
                    }
                }
                Err(error) if error.code() == ErrorCode::WANT_READ || self.waits() => {
                    ffi::forget_errors();
                    self.undelivered = 0;
                    if self.stream.get_ref().is_between_records() {
                        known += 1;
                        budget = budget.saturating_sub(DRY_COST);
                        self.dry()?;
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

    /// True if libssl stopped for want of input although the thread's error queue, where another
    /// connection may have left something, makes it look like a failure. A failure of this
    /// connection ends its state machine and never follows a read that found nothing.
    #[cold]
    fn waits(&self) -> bool {
        let ssl = self.stream.ssl();
        ffi::waits_for_input(ssl) && (self.stream.get_ref().starved || ssl.is_init_finished())
    }

    pub(crate) fn encrypt(&mut self, plain: &mut Plain) -> Result<(), TlsFault> {
        if !matches!(self.phase, Phase::Open | Phase::PeerClosed) {
            return Err(TlsFault::Dead);
        }
        if self.held == Held::UntilMore {
            return Ok(());
        }
        let (before, mut records) = (plain.len(), 0);
        let reserve = self.terms.reserve() + OVERHEAD;
        while !plain.is_empty() {
            let output = &self.stream.get_ref().output;
            let usable = output.room().saturating_sub(reserve);
            let count = plain.len().min(RECORD_MAX).min(usable);
            let scrap = count < plain.len().min(WORTHWHILE) && !output.is_empty();
            if count == 0 || scrap {
                break;
            }
            match self.stream.ssl_write(&plain.bytes()[..count]) {
                Ok(written) => {
                    plain.consume(written);
                    self.allowance.sent();
                    records += 1;
                }
                Err(error) => return Err(self.fail(&error)),
            }
        }
        let bytes = (before - plain.len()) as u64;
        match records > 0 && self.keys.sent(records, bytes) {
            true => self.keep_up(),
            false => Ok(()),
        }
    }

    pub(crate) fn say_goodbye(&mut self) {
        if matches!(self.phase, Phase::Open | Phase::PeerClosed) {
            self.phase = self.phase.and_we_closed();
            ffi::forget_errors();
            // The peer's close_notify is awaited by nobody: 0 and errors are all the same here.
            let _ = self.stream.shutdown();
            ffi::forget_errors();
        }
    }

    pub(crate) fn rest(&mut self) {
        let reads = matches!(self.phase, Phase::Open | Phase::WeClosed);
        if !reads || self.undelivered > 0 || !self.stream.get_ref().is_between_records() {
            return;
        }
        ffi::forget_errors();
        self.settle_who_wipes();
        ffi::release_buffers(self.stream.ssl(), true);
        // With a KeyUpdate due, the empty write would send it, and no output is lent here.
        if self.phase == Phase::Open && !ffi::key_update_is_due(self.stream.ssl()) {
            ffi::touch_write_buffer(self.stream.ssl());
        }
        // There is no input, so this reads nothing, and libssl frees the buffer for it.
        let mut nothing = [0; 1];
        let _ = self.stream.ssl_read(&mut nothing);
        ffi::release_buffers(self.stream.ssl(), false);
        ffi::forget_errors();
    }

    /// Before libssl frees its read buffer. The heap overwrites what was read into a buffer of its own; libssl would
    /// overwrite all 17 KiB, most of which nobody ever touched, and does it where a buffer lies elsewhere.
    fn settle_who_wipes(&self) {
        let is_elsewhere = self.stream.get_ref().is_elsewhere;
        ffi::cleanse_plaintext(self.stream.ssl(), is_elsewhere);
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

impl Drop for Tls {
    fn drop(&mut self) {
        self.settle_who_wipes();
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
