//! Owns what is copied of one client: whether its next request is, the copy while its server answers, and the handing
//! over once the client has its answer. Nothing here waits, and nothing can fail the client.

use super::glass::Mirror;
use super::queue::Copied;
use crate::client::{ClientSide, Keeps};
use crate::lend;
use buf::{Plain, Secret};
use session::mirror::{Share, Witness, copy, may_carry};
use session::routing::{Led, Route, Router, ToStandby};
use session::wishes::Wishes;
use sql::Lexing;
use std::sync::Arc;
use std::time::Instant;

/// A client of a database that has a mirror.
pub(crate) struct Mirrored {
    mirror: Arc<Mirror>,
    share: Share,
    router: Router,
    next: Next,
}

/// What becomes of the request at the front.
enum Next {
    /// Nobody has looked.
    Unseen,
    /// It is not copied.
    Passed,
    /// It is.
    Copied(Box<Kept>),
}

/// A copy whose original is being answered.
struct Kept {
    bytes: Secret,
    wishes: Arc<Wishes>,
    lexing: Lexing,
}

impl Mirrored {
    /// Of a client that has just come in; `seed` makes its choices others than those of the next one.
    pub(super) fn new(mirror: Arc<Mirror>, seed: u64) -> Mirrored {
        Mirrored {
            mirror,
            share: Share::from_seed(seed),
            router: Router::default(),
            next: Next::Unseen,
        }
    }

    /// Looks at the request at the front of what the client has sent, in a session with these settings. `alone`: nobody
    /// else wants its requests to pass one at a time.
    pub(crate) fn look(&mut self, client: &mut ClientSide, settings: &Arc<Wishes>, alone: bool) {
        // One that a rule has held back was seen before.
        if !matches!(self.next, Next::Unseen) {
            return;
        }
        self.next = match self.share.takes(self.mirror.share()) {
            true => self
                .kept(client, settings)
                .map_or(Next::Passed, Next::Copied),
            false => Next::Passed,
        };
        let is_copied = matches!(self.next, Next::Copied(_));
        if let Some(pooled) = client.stream.statements() {
            pooled.set_witness(is_copied.then(Witness::default));
            if alone {
                // What the client sent behind it must not be counted with it.
                pooled.set_turns(is_copied);
            }
        }
    }

    /// The copy, if the request only reads and can be copied.
    fn kept(&mut self, client: &mut ClientSide, settings: &Arc<Wishes>) -> Option<Box<Kept>> {
        if !may_carry(settings) {
            return None;
        }
        let input = client.port.plain_in.bytes();
        let pooled = client.stream.statements()?;
        let route = self.router.route(input, pooled, (None, Led::Reads));
        if route != Route::Standby(ToStandby::Reads) {
            return None;
        }
        let mut room = Plain::none();
        lend::borrow_plain(&mut room);
        let is_whole = copy(input, pooled, &mut room) && room.len() <= self.mirror.bytes_max();
        let bytes = is_whole.then(|| Secret::new(room.bytes()));
        room.clear();
        lend::give_back_plain(&mut room);
        Some(Box::new(Kept {
            bytes: bytes?,
            wishes: Arc::clone(settings),
            lexing: pooled.dialect().lexing,
        }))
    }

    /// The client let go of its server connection, which has answered so many rounds by now.
    pub(crate) fn answered(&mut self, client: &mut ClientSide, rounds: u64) {
        if client.keeps == (Keeps::Round { since: rounds }) {
            // The request waits for its turn.
            return;
        }
        let Next::Copied(kept) = std::mem::replace(&mut self.next, Next::Unseen) else {
            return;
        };
        let witness = client
            .stream
            .statements()
            .and_then(|it| it.witness().copied());
        let Some(answer) = witness.and_then(|it| it.answer()) else {
            return;
        };
        let Kept {
            bytes,
            wishes,
            lexing,
        } = *kept;
        self.mirror.offer(Copied {
            bytes,
            wishes,
            lexing,
            answer,
            took_us: client.stopwatch.took_us(),
            since: Instant::now(),
        });
    }

    /// Nothing more is copied of this client, whose request at the front nobody has begun with.
    pub(crate) fn end(self, client: &mut ClientSide, alone: bool) {
        if let Some(pooled) = client.stream.statements() {
            pooled.set_witness(None);
            if alone {
                pooled.set_turns(false);
            }
        }
    }

    /// The request at the front came to nothing.
    pub(crate) fn forget(&mut self) {
        self.next = Next::Unseen;
    }
}
