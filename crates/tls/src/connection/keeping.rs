//! Owns the keeping up of an open connection: changing keys, answering the peer's changes, carrying
//! a permitted renegotiation through, and ending floods.
//!
//! # Why nothing is written during a renegotiation
//!
//! libssl loses a write that is made while a renegotiation is under way and data of the peer is in
//! flight. So the connection withholds data from the peer's first handshake message to its last,
//! and only reads; data that the peer sent before it saw ours is delivered all the same.

use super::{Held, Phase, Tls};
use crate::fault::TlsFault;
use crate::ffi::{self, KeyUpdate};
use crate::flood::FloodKind;
use crate::rekey::{Due, Remedy};
use crate::upkeep::Tally;
use openssl::hash::MessageDigest;
use openssl::ssl::{ErrorCode, SslRef, SslVersion};

pub(super) use crate::ffi::Awaited;

/// Room in the output that data never takes: answers to KeyUpdates (27 bytes each) and alerts.
const RESERVE: usize = 2 * 1024;
/// The same where a renegotiation may put a certificate chain there.
const RESERVE_FOR_HANDSHAKE: usize = 24 * 1024;

/// Whether the peer may renegotiate.
#[derive(Debug)]
pub(super) enum Terms {
    NoRenegotiation,
    /// TLS 1.2, and it was allowed. The peer has to keep the certificate that it has (its SHA-256).
    MayRenegotiate {
        peer: Option<Box<[u8; 32]>>,
    },
}

/// What a record without data turned out to be part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Renegotiation,
    Other,
}

impl Terms {
    pub(super) fn reserve(&self) -> usize {
        match self {
            Terms::NoRenegotiation => RESERVE,
            Terms::MayRenegotiate { .. } => RESERVE_FOR_HANDSHAKE,
        }
    }
}

impl Tls {
    /// The handshake is done: what can be kept up is known now.
    pub(super) fn opened(&mut self) {
        let ssl = self.stream.ssl();
        // What is read from now on is overwritten as it is delivered.
        ffi::cleanse_plaintext(ssl, false);
        if ssl.version2() == Some(SslVersion::TLS1_3) {
            self.terms = Terms::NoRenegotiation;
            return;
        }
        self.keys.set_remedy(Remedy::None);
        if let Terms::MayRenegotiate { peer } = &mut self.terms {
            *peer = certificate(ssl).map(Box::new);
        }
    }

    /// Notes the time in seconds, and does what is due; gives the second at which it has to be told
    /// again even if nothing moves.
    pub(crate) fn tick(&mut self, now_s: u32) -> Result<Option<u32>, TlsFault> {
        self.allowance.tick(now_s);
        if self.keys.tick(now_s) && self.phase == Phase::Open {
            self.keep_up()?;
        }
        Ok(self.keys.due_s())
    }

    /// What happened since the last time.
    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// True if a key is worn and can't be changed (TLS 1.2).
    pub(crate) fn is_worn(&self) -> bool {
        self.keys.are_worn()
    }

    /// True while nothing is encrypted: libssl waits for the rest of a message of the peer.
    #[inline]
    pub(crate) fn withholds(&self) -> bool {
        self.held == Held::UntilMore
    }

    /// Does what is due about worn keys. A KeyUpdate takes 27 bytes of the output's reserve.
    #[cold]
    pub(super) fn keep_up(&mut self) -> Result<(), TlsFault> {
        let speaks = matches!(self.phase, Phase::Open | Phase::PeerClosed);
        if !speaks || self.held == Held::UntilMore {
            return Ok(());
        }
        let Some(due) = self.keys.due() else {
            return Ok(());
        };
        let kind = match due {
            Due::Worn => {
                self.keys.did(due);
                self.tally.worn += 1;
                return Ok(());
            }
            Due::Update => KeyUpdate::NotRequested,
            Due::UpdateAndRequest => KeyUpdate::Requested,
        };
        ffi::forget_errors();
        if due == Due::UpdateAndRequest {
            let awaited = Box::<Awaited>::default();
            ffi::watch_key_updates(self.stream.ssl(), Some(&awaited));
            self.awaited = Some(awaited);
            self.tally.updates_requested += 1;
        }
        self.keys.did(due);
        self.tally.updates_sent += 1;
        match ffi::key_update(self.stream.ssl(), kind) {
            true => self.push_message(),
            false => {
                ffi::forget_errors();
                Ok(())
            }
        }
    }

    /// A record without data came: a KeyUpdate, part of a renegotiation, an alert, a ticket,
    /// nothing at all.
    pub(super) fn dry(&mut self) -> Result<(), TlsFault> {
        // libssl may answer by itself while more is read, so it is counted when it is asked for.
        if !self.unanswered && ffi::key_update_is_due(self.stream.ssl()) {
            self.unanswered = true;
            self.tally.updates_answered += 1;
        }
        if self.awaited.as_ref().is_some_and(|it| it.came()) {
            ffi::watch_key_updates(self.stream.ssl(), None);
            self.awaited = None;
            self.keys.peer_updated();
        }
        if self.look_at_handshake()? == Seen::Renegotiation {
            return Ok(());
        }
        self.passed_over(1)
    }

    /// So many records without data came, some of them perhaps in front of data.
    #[cold]
    pub(super) fn passed_over(&mut self, records: u32) -> Result<(), TlsFault> {
        // In TLS 1.3 a peer has little else to say without data, in 1.2 it has no KeyUpdates.
        let kind = match self.stream.ssl().version2() {
            Some(SslVersion::TLS1_3) => FloodKind::KeyUpdates,
            _ => FloodKind::Refused,
        };
        for _ in 0..records {
            let counted = self.allowance.dry(kind);
            counted.map_err(|fault| self.flooded(fault))?;
        }
        Ok(())
    }

    /// Looks whether libssl is in the middle of something, and what has come to its end.
    pub(super) fn look_at_handshake(&mut self) -> Result<Seen, TlsFault> {
        let before = self.held;
        let Terms::MayRenegotiate { .. } = self.terms else {
            self.held = held(!self.stream.ssl().is_init_finished());
            return Ok(Seen::Other);
        };
        // A HelloRequest is answered by the next call, and it must not be a write that does it. A
        // read can take data of the peer on the way, a handshake call can't.
        if self.stream.get_ref().input.is_empty()
            && self.stream.ssl().is_init_finished()
            && ffi::renegotiation_is_pending(self.stream.ssl())
        {
            ffi::forget_errors();
            self.push_message()?;
        }
        let ssl = self.stream.ssl();
        self.held = held(!ssl.is_init_finished() || ffi::renegotiation_is_pending(ssl));
        match (before, self.held) {
            (Held::No, Held::No) => Ok(Seen::Other),
            (Held::No, Held::UntilMore) => {
                let allowed = self.allowance.renegotiation();
                allowed.map_err(|fault| self.flooded(fault))?;
                Ok(Seen::Renegotiation)
            }
            (Held::UntilMore, Held::UntilMore) => Ok(Seen::Renegotiation),
            (Held::UntilMore, Held::No) => {
                self.renegotiated()?;
                Ok(Seen::Renegotiation)
            }
        }
    }

    /// Both sides have new keys. Who the peer is may not have changed: its certificate was judged
    /// once, and what it may do follows from that.
    fn renegotiated(&mut self) -> Result<(), TlsFault> {
        let now = certificate(self.stream.ssl());
        if !matches!(&self.terms, Terms::MayRenegotiate { peer } if peer.as_deref() == now.as_ref())
        {
            self.phase = Phase::Dead;
            return Err(TlsFault::PeerChanged);
        }
        self.keys.renegotiated();
        self.tally.renegotiations += 1;
        Ok(())
    }

    /// Sends the answer to a KeyUpdate of the peer without waiting for data to send. libssl would
    /// answer with the next write or the next KeyUpdate only.
    pub(super) fn answer_key_update(&mut self) -> Result<(), TlsFault> {
        let due = ffi::key_update_is_due(self.stream.ssl());
        let speaks = matches!(self.phase, Phase::Open | Phase::PeerClosed);
        if !due || !speaks || self.held == Held::UntilMore {
            return Ok(());
        }
        ffi::forget_errors();
        // Scheduling it again makes the next call a handshake call, which sends it.
        if !ffi::key_update(self.stream.ssl(), KeyUpdate::NotRequested) {
            return Ok(());
        }
        self.keys.did(Due::Update);
        self.push_message()
    }

    /// Lets libssl send the message that was scheduled.
    fn push_message(&mut self) -> Result<(), TlsFault> {
        match self.stream.do_handshake() {
            Ok(()) => Ok(()),
            Err(error) if error.code() == ErrorCode::WANT_READ => Ok(()),
            Err(error) => Err(self.fail(&error)),
        }
    }

    #[cold]
    pub(super) fn flooded(&mut self, fault: TlsFault) -> TlsFault {
        self.phase = Phase::Dead;
        if let TlsFault::Flood { kind, .. } = fault {
            self.tally.flood = Some(kind);
        }
        fault
    }

    #[cfg(test)]
    pub(crate) fn is_between_records(&self) -> bool {
        self.stream.get_ref().is_between_records()
    }

    #[cfg(test)]
    pub(crate) fn limit_keys(&mut self, limits: crate::rekey::KeyLimits) {
        let remedy = match self.stream.ssl().version2() {
            Some(SslVersion::TLS1_3) => Remedy::KeyUpdate,
            _ => Remedy::None,
        };
        self.keys = crate::rekey::Keys::new(limits, remedy, 0);
    }
}

fn held(under_way: bool) -> Held {
    match under_way {
        true => Held::UntilMore,
        false => Held::No,
    }
}

/// SHA-256 of the peer's certificate; `None` if it has shown none.
fn certificate(ssl: &SslRef) -> Option<[u8; 32]> {
    let digest = ssl
        .peer_certificate()?
        .digest(MessageDigest::sha256())
        .ok()?;
    (*digest).try_into().ok()
}
