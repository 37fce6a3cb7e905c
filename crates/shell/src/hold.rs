//! Owns the time of one governed client: the timer and the cancel requests of a statement that rules hold up, and the
//! order to a server to stop what has given enough.
//!
//! Knows no rule: whether something waits, and until when, its governor says. Without rules there is none of it.

use crate::cancel::{Aim, Target, stop};
use crate::client::ClientSide;
use crate::control::Sleeper;
use crate::pump::unix_now_s;
use crate::rest::ServerSide;
use policy::throttle::{Looked, Waiting};
use session::ClientStream;
use session::ledger::Ledger;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::{Sleep, sleep_until};

/// What a server owes, and where a cancel of that is to be sent.
type Server<'a> = (&'a Ledger, Option<&'a Arc<Target>>);

type Event = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The time of one governed client.
pub struct Hold {
    /// When time began, for all clients.
    epoch: Instant,
    /// Where its cancel requests go, and what wakes its session.
    aim: Option<(Arc<Aim>, Arc<Sleeper>)>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Something waits while the client has a server connection: its cancel requests come here, and not to its server.
    is_target: bool,
    /// The order to stop that is on its way to the server.
    stopping: Option<Event>,
    /// How long that may take.
    deadline: Duration,
}

impl Hold {
    /// Of a client whose cancel requests go there.
    pub(crate) fn new(
        epoch: Instant,
        aim: Option<(Arc<Aim>, Arc<Sleeper>)>,
        deadline: Duration,
    ) -> Hold {
        Hold {
            epoch,
            aim,
            timer: None,
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
        if self.stopping.is_none() && !self.is_target {
            return;
        }
        let Some(governor) = stream.governor() else {
            return;
        };
        if is_over(&mut self.stopping, cx) {
            governor.stopped();
        }
        if self.is_cancelled() {
            governor.cancel_hold();
        }
    }

    /// Whether a cancel request came for what waits.
    fn is_cancelled(&self) -> bool {
        let aim = self.aim.as_ref().filter(|_| self.is_target);
        aim.is_some_and(|(_, sleeper)| sleeper.take_cancel())
    }

    /// The client's frames are about to be relayed.
    #[inline]
    pub fn asking(&self, cx: &mut Context<'_>, stream: &mut ClientStream) {
        let Some(governor) = stream.governor() else {
            return;
        };
        if governor.wants_time() {
            governor.tell_time(unix_now_s());
        }
        if governor.wants_clock() {
            governor.tell_clock(self.now_us(), cx.waker());
        }
    }

    /// The server's frames are.
    #[inline]
    pub fn answering(&self, cx: &mut Context<'_>, stream: &mut ClientStream) {
        if let Some(governor) = stream.governor()
            && governor.wants_clock()
        {
            governor.tell_clock(self.now_us(), cx.waker());
        }
    }

    /// The client's frames were relayed: something may wait now, or what waited has gone.
    #[inline]
    pub fn passed(&mut self, stream: &mut ClientStream, server: Server<'_>) {
        let is_holding = stream.governor().is_some_and(|it| it.is_holding());
        match is_holding {
            true => self.aim_while_holding(server),
            false if self.is_target => self.aim_at(server.1),
            false => {}
        }
    }

    /// A statement waits: cancel requests are for it, unless the server still works on one before it.
    fn aim_while_holding(&mut self, (ledger, target): Server<'_>) {
        let works = ledger.statements_asked() != ledger.statements_ended();
        match (works, self.is_target) {
            (true, true) => self.aim_at(target),
            (false, false) => {
                if let Some((aim, sleeper)) = &self.aim {
                    aim.wait(sleeper);
                    self.is_target = true;
                }
            }
            (true, false) | (false, true) => {}
        }
    }

    fn aim_at(&mut self, target: Option<&Arc<Target>>) {
        self.is_target = false;
        match (&self.aim, target) {
            (Some((aim, _)), Some(target)) => aim.take(target),
            (Some((aim, _)), None) => aim.leave(),
            (None, _) => {}
        }
    }

    /// The server's frames were relayed, and not sent yet: it may have to stop. Whoever reads that a statement is over
    /// may cancel the one that waits behind it, so that is aimed at before.
    #[inline]
    pub fn answered(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut ClientStream,
        server: Server<'_>,
    ) {
        let Some(governor) = stream.governor() else {
            return;
        };
        let stops = governor.take_stop();
        if governor.is_holding() {
            self.aim_while_holding(server);
        }
        if !stops {
            return;
        }
        // Without a key there is no telling it: it goes on to the end, and nobody gets that.
        let Some(target) = server.1.map(Arc::clone) else {
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
            if self.timer.is_some() {
                self.timer = None;
            }
            return false;
        };
        if self.arm(until_us, cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        self.aim_while_holding((&server.server.ledger, server.target.as_ref()));
        if self.is_cancelled()
            && let Some(governor) = stream.governor()
        {
            governor.cancel_hold();
            cx.waker().wake_by_ref();
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

#[cfg(test)]
mod tests {
    use super::*;
    use buf::Plain;
    use policy::{Action, Default as Otherwise, Log, Mode as RuleMode, NamePattern, Rule, Rules};
    use session::govern::{Governor, RulesInForce};
    use session::relay::{to_client, to_server};
    use session::statements::{CacheLimits, Interner, Mode, Pooled, StatementLimits};
    use session::{Reported, Server as Peer};
    use wire::ProtocolVersion;

    fn run(text: &str) -> Vec<u8> {
        let frame = |tag: u8, body: &[u8]| {
            let len = (body.len() as u32 + 4).to_be_bytes();
            [&[tag][..], &len, body].concat()
        };
        let parse = [b"\0", text.as_bytes(), b"\0\0\0"].concat();
        let bind = frame(b'B', b"\0\0\0\0\0\0\0\0");
        [frame(b'P', &parse), bind, frame(b'E', b"\0\0\0\0\0")].concat()
    }

    /// Of a client whose calls of `sign` wait.
    fn stream() -> ClientStream {
        let rule = Rule {
            name: "r".into(),
            mode: RuleMode::Enforce,
            action: Action::Delay { ms: 1000 },
            log: Log::Default,
            message: String::new(),
            who: policy::Who::default(),
            statement: policy::Statement {
                functions: vec![NamePattern::read("sign").expect("a name")],
                ..Default::default()
            },
        };
        let in_force = Arc::new(RulesInForce::default());
        let rules = Rules::new(Otherwise::Allow, vec![rule]).expect("rules");
        in_force.replace(Some(Arc::new(rules)));
        let interner = Interner::new([7; 32], CacheLimits::default());
        let mut pooled = Pooled::new(interner, StatementLimits::default(), Mode::Transaction);
        pooled.govern(Governor::new(in_force, policy::Context::default(), 1 << 20));
        ClientStream::pooled(0, pooled)
    }

    /// Who has read that a statement is over may cancel the one behind it at once.
    #[test]
    fn what_waits_behind_an_answer_is_aimed_at_before_the_answer_is_sent() {
        let (mut stream, aim) = (stream(), Arc::<Aim>::default());
        let mut server = Peer::new(ProtocolVersion::V3_0, None, Reported::default());
        stream.link(&mut server);
        let mut hold = Hold::new(
            Instant::now(),
            Some((Arc::clone(&aim), Arc::default())),
            Duration::ZERO,
        );
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let plain = |bytes: &[u8]| {
            let mut plain = Plain::with_capacity(4096);
            plain.push(bytes).expect("room");
            plain
        };
        let mut sent = plain(&[run("SELECT 5"), run("SELECT sign(1)")].concat());
        to_server(&mut stream, &mut server, &mut sent, &mut plain(b"")).expect("relayed");
        hold.passed(&mut stream, (&server.ledger, None));
        assert!(stream.governor().expect("rules").is_holding());
        assert!(!aim.rings(), "the server works");
        let mut answer = plain(b"1\0\0\0\x042\0\0\0\x04C\0\0\0\x0dSELECT 0\0");
        to_client(&mut stream, &mut server, &mut answer, &mut plain(b"")).expect("relayed");
        hold.answered(&mut cx, &mut stream, (&server.ledger, None));
        assert!(aim.rings());
        hold.listen(&mut cx, &mut stream);
        assert!(!stream.governor().expect("rules").is_holding());
    }
}
