//! Owns what may happen to a client that waits for something while it has no server connection: it may be killed, cancel,
//! leave, or have to go. The wait itself is the caller's, in the same task; nothing here needs a timer.

use super::member::Member;
use crate::cancel::Aim;
use crate::client::{ClientSide, Ending};
use crate::console;
use crate::control::{Control, Phase};
use session::fault::{Fault, FaultKind, Side};
use std::task::Context;
use std::time::Duration;

/// How often a client that waits is looked at: whether it is still there, and whether it has to be told something.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// What happened.
#[derive(Debug)]
pub(super) enum Meanwhile {
    Nothing,
    /// About a second passed, since the wait began or since the last one did; the client is still there.
    Second,
    /// The client cancelled what it waits for.
    Cancelled,
    /// The session is over.
    End(Ending),
}

/// A client that waits.
pub(super) struct Waiting<'w> {
    shown: &'w console::Client,
    aim: &'w Aim,
    control: &'w Control,
    second: u32,
}

impl<'w> Waiting<'w> {
    /// Cancel requests of the client are for its wait from now on, until the [end](Self::end).
    pub(super) fn begin(
        member: &'w Member<'_>,
        client: &ClientSide,
        control: &'w Control,
    ) -> Waiting<'w> {
        let aim = member.issued.aim();
        aim.wait(client.watch.sleeper());
        Waiting {
            shown: &member.shown,
            aim,
            control,
            second: control.second(),
        }
    }

    /// What happened since this was asked last; the task is woken when something does. What was still to be written to
    /// the client goes out.
    #[inline]
    pub(super) fn happened(&mut self, cx: &mut Context<'_>, client: &mut ClientSide) -> Meanwhile {
        client.watch.looks(cx);
        if self.shown.is_killed() {
            return ended(FaultKind::Killed);
        }
        if self.control.phase() != Phase::Running {
            return ended(FaultKind::ShuttingDown);
        }
        if client.port.has_output() {
            // Whoever reads no more is noticed as one who is gone.
            let _ = client.port.poll_send(cx);
        }
        if client.watch.sleeper().take_cancel() {
            return Meanwhile::Cancelled;
        }
        let second = self.control.second();
        if second == self.second {
            return Meanwhile::Nothing;
        }
        self.second = second;
        match client.port.socket.hung_up() {
            true => Meanwhile::End(Ending::ClientGone { truncated: true }),
            false => Meanwhile::Second,
        }
    }

    /// It waits no more, for whatever reason.
    pub(super) fn end(self, client: &ClientSide) {
        client.watch.looked();
        self.aim.leave();
    }
}

/// The client cancelled what it waited for, and gets an error for that.
pub(super) fn cancelled() -> Ending {
    Ending::Fault(Fault::new(Side::Client, FaultKind::Cancelled))
}

#[cold]
fn ended(kind: FaultKind) -> Meanwhile {
    Meanwhile::End(Ending::Fault(Fault::new(Side::Proxy, kind)))
}
