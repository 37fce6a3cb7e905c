//! Owns the upkeep of a session's two legs while it lives: once a second at most, each engine is
//! told the time, and what it did is counted and logged.
//!
//! A busy session looks at one number per wake-up; a resting one is woken when a key is due.

use crate::control::Control;
use crate::port::Port;
use crate::setup::Tls12Limit;
use observe::Counters;
use session::fault::{Fault, Side};
use std::sync::Arc;
use tls::{FloodKind, Tally};
use tracing::warn;

/// The keeper of one session.
pub struct Keeper {
    control: Arc<Control>,
    counters: Arc<Counters>,
    limit: Tls12Limit,
    second: u32,
    worn: Option<Side>,
}

impl Keeper {
    /// A keeper that counts there and judges worn keys so.
    pub fn new(control: Arc<Control>, counters: Arc<Counters>, limit: Tls12Limit) -> Keeper {
        Keeper {
            control,
            counters,
            limit,
            second: 0,
            worn: None,
        }
    }

    /// The present second, if it is another one than at the last time.
    #[inline]
    pub fn next_second(&mut self) -> Option<u32> {
        let now_s = self.control.second();
        if now_s == self.second {
            return None;
        }
        self.second = now_s;
        Some(now_s)
    }

    /// Tells both legs the time; gives the second by which they have to be told again.
    #[cold]
    pub fn tick(
        &mut self,
        now_s: u32,
        client: &mut Port,
        server: &mut Port,
    ) -> Result<Option<u32>, Fault> {
        let dues = [client.tick(now_s)?, server.tick(now_s)?];
        self.account(client);
        self.account(server);
        Ok(dues.into_iter().flatten().min())
    }

    /// The same for a client without a server.
    #[cold]
    pub fn tick_alone(&mut self, now_s: u32, client: &mut Port) -> Result<Option<u32>, Fault> {
        let due = client.tick(now_s)?;
        self.account(client);
        Ok(due)
    }

    /// True if the session is to end at its next moment without a transaction.
    #[inline]
    pub fn wants_end(&self) -> bool {
        self.worn.is_some() && self.limit == Tls12Limit::Close
    }

    /// Counts what a leg's engine did since the last time.
    pub fn account(&mut self, port: &mut Port) {
        let tally = port.take_tally();
        if tally == Tally::default() {
            return;
        }
        let counters = &self.counters.tls;
        counters.key_updates_sent.add(tally.updates_sent.into());
        counters
            .key_updates_requested
            .add(tally.updates_requested.into());
        counters
            .key_updates_answered
            .add(tally.updates_answered.into());
        counters.renegotiations.add(tally.renegotiations.into());
        match tally.flood {
            Some(FloodKind::KeyUpdates) => counters.floods_of_key_updates.add(1),
            Some(FloodKind::Refused) => counters.floods_of_refused_renegotiations.add(1),
            Some(FloodKind::Renegotiations) => counters.floods_of_renegotiations.add(1),
            Some(FloodKind::TinyRecords) => counters.floods_of_tiny_records.add(1),
            Some(FloodKind::Handshake) => counters.floods_of_handshake.add(1),
            None => {}
        }
        if tally.worn > 0 {
            counters.limits_passed.add(1);
            self.worn = Some(port.side());
            let leg = match port.side() {
                Side::Client => "client",
                Side::Server | Side::Proxy => "server",
            };
            warn!(
                target: "portcullis::tls",
                leg,
                "a TLS 1.2 connection has passed its limit of records or bytes, and TLS 1.2 can't \
                 change its keys; see rekey_records, rekey_bytes and tls12_limit in [tls]"
            );
        }
    }
}
