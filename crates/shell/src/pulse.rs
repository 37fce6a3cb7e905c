//! Owns the question whether the threads that serve clients still work: each is asked every few seconds by
//! a thread of its own, answers between two tasks, and is named if it doesn't. A future that never gives its
//! thread back stops all sessions there; this is how anybody hears of it.

use crate::aside::Aside;
use crate::context::Doors;
use std::io;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often threads are asked.
const EVERY: Duration = Duration::from_secs(5);
/// How long an answer may take, twice: what sleeps with the whole machine and wakes with it has the second
/// time.
const PATIENCE: Duration = Duration::from_secs(5);
/// A watchdog whose limit is shorter may bite a proxy that is well, whose rounds are at most `EVERY` and twice
/// `PATIENCE` apart.
pub const BEAT_MAX: Duration = EVERY
    .saturating_mul(2)
    .saturating_add(PATIENCE.saturating_mul(2));
/// Questions that a thread may have before it.
const QUESTIONS_MAX: usize = 4;

/// What is asked: to be answered at all.
pub(crate) type Question = oneshot::Sender<()>;

/// One thread's end: what it [answers](answer).
pub(crate) type Questions = mpsc::Receiver<Question>;

/// One thread, as it is asked.
pub(crate) struct Asked {
    name: String,
    ask: mpsc::Sender<Question>,
    /// It ends with the doors, and nobody misses it then.
    ends_with_doors: bool,
}

/// What a round found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beat {
    /// Every thread has answered.
    Regular,
    /// The first that has not.
    Missed {
        /// The thread's name.
        thread: String,
    },
}

/// What a thread made of a question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reply {
    /// An answer, or nobody misses it.
    Came,
    /// None in time.
    Late,
    /// There is no such thread any more.
    Gone,
}

/// Where rounds are told of.
pub(crate) struct Pulse {
    beats: watch::Receiver<Beat>,
    thread: Option<Aside>,
}

/// A thread's two ends: of who asks, and its own.
pub(crate) fn asked(name: &str) -> (Asked, Questions) {
    let (ask, questions) = mpsc::channel(QUESTIONS_MAX);
    let asked = Asked {
        name: name.to_owned(),
        ask,
        ends_with_doors: false,
    };
    (asked, questions)
}

/// Answers whoever asks, until nobody does any more. A task of the thread that is asked.
pub(crate) async fn answer(mut questions: Questions) {
    while let Some(question) = questions.recv().await {
        // Who asked may have lost its patience.
        let _ = question.send(());
    }
}

impl Asked {
    /// The same, for a thread that ends when the doors close.
    pub(crate) fn until_doors_close(self) -> Asked {
        Asked {
            ends_with_doors: true,
            ..self
        }
    }

    /// Asks it.
    async fn reply(&self, doors: &watch::Receiver<Doors>) -> Reply {
        let (question, answered) = oneshot::channel();
        let round = async { self.ask.send(question).await.is_ok() && answered.await.is_ok() };
        tokio::pin!(round);
        for _ in 0..2 {
            match timeout(PATIENCE, &mut round).await {
                Ok(true) => return Reply::Came,
                Ok(false) if self.ends_with_doors && *doors.borrow() == Doors::Closed => {
                    return Reply::Came;
                }
                Ok(false) => return Reply::Gone,
                Err(_) => {}
            }
        }
        Reply::Late
    }
}

impl Pulse {
    /// Begins to ask these threads.
    pub(crate) fn begin(asked: Vec<Asked>, doors: watch::Receiver<Doors>) -> io::Result<Pulse> {
        let (tell, beats) = watch::channel(Beat::Regular);
        let thread = Aside::begin("pulse")?;
        thread.spawn(beat(asked, doors, tell));
        Ok(Pulse {
            beats,
            thread: Some(thread),
        })
    }

    /// Where each round is told of: it changes with every one, whatever was found.
    pub(crate) fn beats(&self) -> watch::Receiver<Beat> {
        self.beats.clone()
    }

    /// Asks no more. Blocks for a moment.
    pub(crate) fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.end();
        }
    }
}

async fn beat(asked: Vec<Asked>, doors: watch::Receiver<Doors>, tell: watch::Sender<Beat>) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = vec![Reply::Came; asked.len()];
    loop {
        tick.tick().await;
        let mut beat = Beat::Regular;
        for (thread, before) in asked.iter().zip(&mut before) {
            let reply = thread.reply(&doors).await;
            if reply != *before {
                report(&thread.name, reply);
                *before = reply;
            }
            if reply != Reply::Came && beat == Beat::Regular {
                beat = Beat::Missed {
                    thread: thread.name.clone(),
                };
            }
        }
        if tell.send(beat).is_err() {
            return;
        }
    }
}

fn report(thread: &str, reply: Reply) {
    match reply {
        Reply::Came => tracing::warn!(
            target: "portcullis::pulse",
            thread,
            "that thread answers again"
        ),
        Reply::Late => tracing::error!(
            target: "portcullis::pulse",
            thread,
            "a thread has not answered for {} s: its sessions stand still; restart the proxy (the watchdog of a \
             service manager does), and tell its developers",
            2 * PATIENCE.as_secs()
        ),
        Reply::Gone => tracing::error!(
            target: "portcullis::pulse",
            thread,
            "a thread has ended, and its sessions with it; restart the proxy (the watchdog of a service manager \
             does), and tell its developers"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rounds of these threads find, with a clock that runs by itself.
    fn rounds(body: impl AsyncFnOnce()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(body());
    }

    async fn next(beats: &mut watch::Receiver<Beat>) -> Beat {
        beats.changed().await.expect("a round");
        beats.borrow_and_update().clone()
    }

    fn missed(name: &str) -> Beat {
        Beat::Missed {
            thread: name.to_owned(),
        }
    }

    #[test]
    fn a_thread_that_hangs_is_named_until_it_answers_again() {
        rounds(async || {
            let (_, doors) = watch::channel(Doors::Open);
            let (first, questions) = asked("worker-0");
            tokio::spawn(answer(questions));
            let (second, hangs) = asked("worker-1");
            let (tell, mut beats) = watch::channel(Beat::Regular);
            tokio::spawn(beat(vec![first, second], doors, tell));
            // More rounds than it keeps questions.
            for _ in 0..=QUESTIONS_MAX {
                assert_eq!(next(&mut beats).await, missed("worker-1"));
            }
            tokio::spawn(answer(hangs));
            assert_eq!(next(&mut beats).await, Beat::Regular);
            assert_eq!(next(&mut beats).await, Beat::Regular);
        });
    }

    #[test]
    fn a_thread_that_is_gone_is_named_but_one_that_ended_with_the_doors_is_not() {
        rounds(async || {
            let (turn, doors) = watch::channel(Doors::Open);
            let (gone, questions) = asked("acceptor");
            drop(questions);
            let (tell, mut beats) = watch::channel(Beat::Regular);
            tokio::spawn(beat(vec![gone.until_doors_close()], doors, tell));
            assert_eq!(next(&mut beats).await, missed("acceptor"));
            turn.send_replace(Doors::Closed);
            assert_eq!(next(&mut beats).await, Beat::Regular);
        });
        rounds(async || {
            let (_, doors) = watch::channel(Doors::Closed);
            let (gone, questions) = asked("worker-0");
            drop(questions);
            let (tell, mut beats) = watch::channel(Beat::Regular);
            tokio::spawn(beat(vec![gone], doors, tell));
            assert_eq!(next(&mut beats).await, missed("worker-0"));
        });
    }

    /// As when the machine sleeps while an answer is awaited.
    #[test]
    fn an_answer_may_take_a_second_time() {
        rounds(async || {
            let (_, doors) = watch::channel(Doors::Open);
            let (slow, questions) = asked("worker-0");
            tokio::spawn(async move {
                tokio::time::sleep(PATIENCE + PATIENCE / 2).await;
                answer(questions).await;
            });
            let (tell, mut beats) = watch::channel(Beat::Regular);
            tokio::spawn(beat(vec![slow], doors, tell));
            assert_eq!(next(&mut beats).await, Beat::Regular);
        });
    }
}
