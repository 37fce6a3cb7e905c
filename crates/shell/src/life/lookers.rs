//! Owns who looks at each request of a client before it gets a server connection: where it is led, and whether it is
//! copied.

use super::follow::Follows;
use crate::client::ClientSide;
use crate::mirror::Mirrored;
use session::wishes::Wishes;
use std::sync::Arc;
use std::time::Duration;

/// Those of one client.
#[derive(Default)]
pub(super) struct Lookers {
    /// How it finds its server anew each time; `None`: always in the same pool.
    pub(super) follows: Option<Box<Follows>>,
    /// What is copied of what it asks for, if anything is.
    mirrored: Option<Box<Mirrored>>,
    /// The version of the mirrors that this was found by.
    by: u64,
}

impl Lookers {
    /// Those of a client that has just come in. Its mirror is found with its first request.
    pub(super) fn new(follows: Option<Follows>) -> Lookers {
        Lookers {
            follows: follows.map(Box::new),
            ..Lookers::default()
        }
    }

    /// Finds anew what is copied if the mirrors are others than before.
    #[inline]
    pub(super) fn renew(
        &mut self,
        client: &mut ClientSide,
        version: u64,
        find: impl FnOnce() -> Option<Box<Mirrored>>,
    ) {
        if self.by == version {
            return;
        }
        self.by = version;
        if let Some(before) = self.mirrored.take() {
            before.end(client, !self.leads());
        }
        self.mirrored = find();
    }

    /// Whether requests are led one by one.
    pub(super) fn leads(&self) -> bool {
        let follows = self.follows.as_ref();
        follows.is_some_and(|it| it.looks_at_statements())
    }

    /// Looks at the request at the front of what the client has sent.
    pub(super) fn look(&mut self, client: &mut ClientSide, settings: &Arc<Wishes>) {
        let leads = self.leads();
        if let Some(follows) = &mut self.follows {
            follows.look(client, settings);
        }
        if let Some(mirrored) = &mut self.mirrored {
            mirrored.look(client, settings, !leads);
        }
    }

    /// The request came to nothing.
    pub(super) fn forget(&mut self) {
        if let Some(mirrored) = &mut self.mirrored {
            mirrored.forget();
        }
    }

    /// The client let go of its server connection, which has answered so many rounds by now; `now`: by the clock of the
    /// clusters' views.
    pub(super) fn answered(
        &mut self,
        client: &mut ClientSide,
        rounds: u64,
        now: impl FnOnce() -> Duration,
    ) {
        if let Some(follows) = &mut self.follows {
            follows.answered(now);
        }
        if let Some(mirrored) = &mut self.mirrored {
            mirrored.answered(client, rounds);
        }
    }
}
