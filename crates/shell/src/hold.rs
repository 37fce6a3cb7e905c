//! Owns the time of one governed client: the timer and the cancel requests of a statement that rules hold up, and the
//! order to a server to stop what has given enough.
//!
//! Knows no rule: whether something waits, and until when, its governor says. Without rules there is none of it.

use crate::cancel::{Aim, Target, stop};
use crate::pump::ClientSide;
use crate::rest::ServerSide;
use policy::throttle::{Looked, Waiting};
use session::ClientStream;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep_until};

type Event = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The time of one governed client.
pub struct Hold {
    /// When time began, for all clients.
    epoch: Instant,
    /// Where its cancel requests go.
    aim: Option<Arc<Aim>>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The client's cancel request for what waits while it has a server connection.
    cancelled: Option<Event>,
    /// Its cancel requests come here, and not to its server.
    is_target: bool,
    /// The order to stop that is on its way to the server.
    stopping: Option<Event>,
    /// How long that may take.
    deadline: Duration,
}

impl Hold {
    /// Of a client whose cancel requests go there.
    pub(crate) fn new(epoch: Instant, aim: Option<Arc<Aim>>, deadline: Duration) -> Hold {
        Hold {
            epoch,
            aim,
            timer: None,
            cancelled: None,
            is_target: false,
            stopping: None,
            deadline,
        }
    }

    /// Microseconds since time began.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Takes note of what has happened since the session slept.
    #[inline]
    pub fn listen(&mut self, cx: &mut Context<'_>, stream: &mut ClientStream) {
        if self.stopping.is_none() && self.cancelled.is_none() {
            return;
        }
        let Some(governor) = stream.governor() else {
            return;
        };
        if is_over(&mut self.stopping, cx) {
            governor.stopped();
        }
        if is_over(&mut self.cancelled, cx) {
            governor.cancel_hold();
        }
    }

    /// The client's frames were relayed: if what waited has gone, cancel requests are for the server again.
    #[inline]
    pub fn passed(&mut self, stream: &mut ClientStream, target: Option<&Arc<Target>>) {
        if self.is_target && !stream.governor().is_some_and(|it| it.is_holding()) {
            self.aim_at(target);
        }
    }

    fn aim_at(&mut self, target: Option<&Arc<Target>>) {
        self.cancelled = None;
        self.is_target = false;
        match (&self.aim, target) {
            (Some(aim), Some(target)) => aim.take(target),
            (Some(aim), None) => aim.leave(),
            (None, _) => {}
        }
    }

    /// The server's frames were relayed: it may have to stop.
    #[inline]
    pub fn answered(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut ClientStream,
        target: Option<&Arc<Target>>,
    ) {
        let Some(governor) = stream.governor() else {
            return;
        };
        if !governor.take_stop() {
            return;
        }
        // Without a key there is no telling it: it goes on to the end, and nobody gets that.
        let Some(target) = target.map(Arc::clone) else {
            governor.stopped();
            return;
        };
        let told = stop(target, self.deadline);
        self.stopping = Some(Box::pin(async move {
            // What could not be told goes on to its end as well.
            let _ = told.await;
        }));
        if is_over(&mut self.stopping, cx) {
            governor.stopped();
        }
    }

    /// The session goes to sleep with its server connection; true if a statement waits.
    #[inline]
    pub fn sleep(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut ClientStream,
        server: &ServerSide,
    ) -> bool {
        let until = stream.governor().and_then(|it| it.hold_until());
        let Some(until_us) = until else {
            self.timer = None;
            return false;
        };
        if self.arm(until_us, cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        let ledger = &server.server.ledger;
        let works = ledger.statements_asked() != ledger.statements_ended();
        match (works, self.cancelled.is_some()) {
            (true, true) => self.aim_at(server.target.as_ref()),
            (false, false) => {
                if let Some(aim) = &self.aim {
                    let rung = Arc::new(Notify::new());
                    aim.wait(&rung);
                    self.is_target = true;
                    self.cancelled = Some(Box::pin(async move { rung.notified().await }));
                }
                if is_over(&mut self.cancelled, cx)
                    && let Some(governor) = stream.governor()
                {
                    governor.cancel_hold();
                    cx.waker().wake_by_ref();
                }
            }
            (true, false) | (false, true) => {}
        }
        true
    }

    /// Ready when a client's turn has come, or false: it has waited too long.
    pub(crate) fn poll_turn(&mut self, cx: &mut Context<'_>, waiting: &mut Waiting) -> Poll<bool> {
        loop {
            match waiting.look((self.now_us(), cx.waker())) {
                Looked::Go(_) => return Poll::Ready(true),
                Looked::Late => return Poll::Ready(false),
                Looked::Until(until_us) => {
                    if self.arm(until_us, cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn arm(&mut self, until_us: u64, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.epoch + Duration::from_micros(until_us);
        let at = tokio::time::Instant::from_std(at);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx)
    }
}

/// Takes an event away that has come.
fn is_over(event: &mut Option<Event>, cx: &mut Context<'_>) -> bool {
    let is_over = event
        .as_mut()
        .is_some_and(|it| it.as_mut().poll(cx).is_ready());
    if is_over {
        *event = None;
    }
    is_over
}

impl ClientSide {
    /// True if the client's next statement waits for its turn.
    #[inline]
    pub fn is_held(&mut self) -> bool {
        self.hold.is_some() && self.stream.governor().is_some_and(|it| it.is_holding())
    }

    /// Ready when it no longer does.
    pub fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(hold), Some(governor)) = (&mut self.hold, self.stream.governor()) else {
            return Poll::Ready(());
        };
        loop {
            governor.tell_clock(hold.now_us(), cx.waker());
            if !governor.still_holds() {
                hold.timer = None;
                return Poll::Ready(());
            }
            let Some(until_us) = governor.hold_until() else {
                return Poll::Ready(());
            };
            if hold.arm(until_us, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// The client has cancelled what waits.
    pub fn cancel_held(&mut self) {
        if let Some(governor) = self.stream.governor() {
            governor.cancel_hold();
        }
    }
}
