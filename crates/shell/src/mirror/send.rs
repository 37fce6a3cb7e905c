//! Owns one connection to a mirror and the copies that go over it, one after the other: the session's settings, the
//! copy, its answer. A mirror that is down, slow or lies costs copies, and pauses that grow.

use super::connect::connect;
use super::glass::{Connected, Mirror};
use super::queue::Copied;
use super::told::Line;
use crate::context::Context;
use crate::dial::{converse, full};
use crate::rest::ServerSide;
use crate::setup::{Database, Mirrored, Setup};
use patterns::{Pattern, Recogniser};
use session::fault::{Fault, FaultKind, Side};
use session::lending::Wanted;
use session::mirror::{Answer, Reading, Verdict, texts};
use session::wishes::Wishes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The first pause after a failure; each further one doubles it, up to the mirror's `server_login_retry`.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How often a connection that nothing goes over is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Saying goodbye may take this long.
const CLOSE: Duration = Duration::from_secs(1);

/// What is carried counts as one client's: copies leave nothing else behind.
const OWNER: u64 = 1;

/// What goes over one connection.
pub(super) struct Sender {
    pub(super) context: Arc<Context>,
    /// By which the mirror is reached.
    pub(super) setup: Arc<Setup>,
    pub(super) rules: Mirrored,
    pub(super) mirror: Arc<Mirror>,
    /// Finds what to call statements.
    pub(super) recogniser: Recogniser,
}

/// A connection.
struct Link<'a> {
    side: Box<ServerSide>,
    _counted: Connected<'a>,
}

impl Link<'_> {
    /// True if nothing may go over it any more.
    fn is_over(&self, database: &Database) -> bool {
        let traffic = &self.side.server.traffic;
        traffic.close_needed()
            || traffic.is_cut()
            || self.side.port.engine().is_worn()
            || self.side.port.socket.hung_up()
            || self.side.born.elapsed() >= database.rest.lifetime
    }

    async fn close(self) {
        let _ = tokio::time::timeout(CLOSE, self.side.close()).await;
    }
}

impl Sender {
    /// Sends copies until `stop` rings, or its other end is gone.
    pub(super) async fn run(self, mut stop: watch::Receiver<()>) {
        let Some(database) = self.setup.database(&self.rules.to) else {
            return;
        };
        let (mut link, mut pause) = (None, FIRST_PAUSE);
        loop {
            let copy = tokio::select! {
                biased;
                _ = stop.changed() => break,
                copy = self.next(&mut link, database) => copy,
            };
            if copy.since.elapsed() > self.rules.timeout || self.is_held_up() {
                self.mirror.counts.dropped.add(1);
                continue;
            }
            let sent = tokio::select! {
                biased;
                _ = stop.changed() => {
                    self.mirror.counts.dropped.add(1);
                    // In the middle of an answer there is nothing to say goodbye to.
                    return;
                }
                sent = self.send(&mut link, database, &copy) => sent,
            };
            match sent {
                Ok((answer, took)) => {
                    pause = FIRST_PAUSE;
                    self.compare(&copy, &answer, took);
                }
                Err(fault) => {
                    link = None;
                    self.mirror.failed(fault.to_string());
                    self.tell(Line::Failed(fault.to_string()));
                    drop(copy);
                    tokio::select! {
                        biased;
                        _ = stop.changed() => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (2 * pause).min(database.login_retry.max(FIRST_PAUSE));
                }
            }
        }
        if let Some(link) = link {
            link.close().await;
        }
    }

    /// The next copy. Meanwhile a connection that is over is closed.
    async fn next(&self, link: &mut Option<Link<'_>>, database: &Database) -> Copied {
        let mut look = tokio::time::interval(LOOK);
        let copy = loop {
            tokio::select! {
                biased;
                copy = self.mirror.queue.take() => break copy,
                _ = look.tick() => {
                    if let Some(over) = link.take_if(|it| it.is_over(database)) {
                        over.close().await;
                    }
                }
            }
        };
        if link.as_ref().is_some_and(|it| it.is_over(database)) {
            *link = None;
        }
        copy
    }

    /// True while administrators want nothing to go there.
    fn is_held_up(&self) -> bool {
        let holds = &self.context.console.holds;
        holds.is_paused(&self.rules.to) || holds.is_disabled(&self.rules.to)
    }

    /// Sends a copy, over a new connection if there is none, and takes in its answer.
    async fn send<'a>(
        &'a self,
        link: &mut Option<Link<'a>>,
        database: &Database,
        copy: &Copied,
    ) -> Result<(Answer, Duration), Fault> {
        let link = match link {
            Some(link) => link,
            none => {
                let side = connect(&self.context, &self.rules, database).await?;
                let _counted = self.mirror.connected();
                none.insert(Link { side, _counted })
            }
        };
        let side = &mut link.side;
        let second = self.context.born.elapsed().as_secs();
        side.port.tick(u32::try_from(second).unwrap_or(u32::MAX))?;
        side.server.traffic.set_tested(true);
        let asked = tokio::time::timeout(self.rules.timeout, ask(side, copy)).await;
        side.server.traffic.set_tested(false);
        let answered = asked.unwrap_or_else(|_| {
            let (setting, phase) = ("mirror_timeout", "waiting for the answer to a copy");
            Err(Fault::new(
                Side::Server,
                FaultKind::Timeout { setting, phase },
            ))
        })?;
        side.port.rest();
        match side.port.is_quiet() {
            true => Ok(answered),
            false => Err(Fault::new(
                Side::Server,
                FaultKind::Malformed {
                    tag: b'Z',
                    what: "nothing behind the answer to a copy",
                },
            )),
        }
    }

    fn compare(&self, copy: &Copied, answer: &Answer, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if self.mirror.answered(copy, answer, took_us) == Verdict::Same {
            return;
        }
        let text = texts(copy.bytes.expose()).next();
        let pattern = match text {
            Some(text) => self.recogniser.pattern(text, copy.lexing),
            None => Arc::new(Pattern::untold("a statement without a text")),
        };
        self.tell(Line::Differ {
            pattern,
            client: copy.answer,
            mirror: *answer,
        });
    }

    fn tell(&self, line: Line) {
        let now = self.context.born.elapsed();
        self.mirror.told.tell(&self.mirror, line, now);
    }
}

/// What the mirror answers to a copy in a session with its settings, and how long that took.
async fn ask(side: &mut ServerSide, copy: &Copied) -> Result<(Answer, Duration), Fault> {
    side.try_on(&Wanted {
        owner: OWNER,
        base: Wishes::none(),
        want: Arc::clone(&copy.wishes),
    })
    .await?;
    full(side.port.room().push(copy.bytes.expose()))?;
    let (sent, mut reading) = (Instant::now(), Reading::default());
    let answer = converse(&mut side.port, |input, _| reading.step(input)).await?;
    Ok((answer, sent.elapsed()))
}
