//! Owns the way of one receiver's events: take one, sign it, send it, try again, count.

use crate::Settings;
use crate::backoff::{Next, Outcome};
use crate::sign::{SIGNATURE, signature};
use events::{Posted, Taker};
use fetch::header::{CONTENT_TYPE, HeaderName, USER_AGENT};
use fetch::{Bounds, Request, fetch};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

/// Bytes of an answer, which nobody looks at.
const ANSWER_MAX: usize = 64 * 1024;

/// What became of a receiver's events.
pub(crate) struct Counts {
    delivered: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
    /// One is on its way.
    under_way: AtomicU64,
    taker: Arc<Taker>,
}

impl Counts {
    pub(crate) fn of(taker: Arc<Taker>) -> Counts {
        Counts {
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
            taker,
        }
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.taker.lost()
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.taker.waiting() as u64 + self.under_way.load(Ordering::Relaxed)
    }
}

/// How a receiver is reached at present.
pub(crate) struct Current(Mutex<Arc<Settings>>);

impl Current {
    pub(crate) fn of(settings: Settings) -> Current {
        Current(Mutex::new(Arc::new(settings)))
    }

    pub(crate) fn replace(&self, settings: Settings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    fn now(&self) -> Arc<Settings> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One receiver, at work.
pub(crate) struct Hook {
    pub(crate) settings: Arc<Current>,
    pub(crate) taker: Arc<Taker>,
    pub(crate) arrived: Arc<Notify>,
    pub(crate) counts: Arc<Counts>,
}

impl Hook {
    /// Delivers what comes, one by one, for as long as it is let.
    pub(crate) async fn deliver(self) {
        loop {
            match self.taker.take() {
                Some(posted) => {
                    self.counts.under_way.store(1, Ordering::Relaxed);
                    self.one(&posted).await;
                    self.counts.under_way.store(0, Ordering::Relaxed);
                }
                None => self.arrived.notified().await,
            }
        }
    }

    async fn one(&self, posted: &Posted) {
        let id = posted.id();
        let mut tries = 0;
        loop {
            tries += 1;
            let settings = self.settings.now();
            let name = &settings.name;
            let (outcome, reason) = send(&settings, posted).await;
            match settings.backoff.after(tries, outcome, chance()) {
                Next::Delivered => {
                    add(&self.counts.delivered);
                    if tries > 1 {
                        tracing::info!(target: "portcullis::webhook", name, id, tries, "the event was delivered at last");
                    }
                    return;
                }
                Next::Again(wait) => {
                    add(&self.counts.failed);
                    if tries == 1 {
                        tracing::warn!(target: "portcullis::webhook", name, id, reason, "an event was not delivered yet");
                    }
                    tokio::time::sleep(wait).await;
                }
                Next::GiveUp => {
                    add(&self.counts.failed);
                    add(&self.counts.given_up);
                    tracing::error!(target: "portcullis::webhook", name, id, tries, reason, "an event is not delivered");
                    return;
                }
            }
        }
    }
}

/// One try, and why it failed.
async fn send(settings: &Settings, posted: &Posted) -> (Outcome, String) {
    let Some(request) = request(settings, posted) else {
        return (Outcome::Unanswered, "it could not be signed".to_owned());
    };
    let bounds = Bounds {
        deadline: settings.timeout,
        body_max: ANSWER_MAX,
    };
    match fetch(&settings.url, &settings.trust, request, bounds).await {
        Ok(answer) => {
            let reason = format!("{} answered with status {}", settings.url, answer.status);
            (Outcome::Answered(answer.status), reason)
        }
        Err(fault) => (Outcome::Unanswered, fault.to_string()),
    }
}

/// Signed with the time of this try.
fn request(settings: &Settings, posted: &Posted) -> Option<Request> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let at_s = now.map_or(0, |it| it.as_secs());
    let body = posted.json();
    let signed = signature(settings.secret.expose(), at_s, body.as_bytes()).ok()?;
    let agent = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
    Request::post(body)
        .with(CONTENT_TYPE, b"application/json", false)?
        .with(USER_AGENT, agent.as_bytes(), false)?
        .with(HeaderName::from_static(SIGNATURE), signed.as_bytes(), true)
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Without chance all proxies come back at the same moment, which is no reason to stop.
fn chance() -> u64 {
    let mut bytes = [0; 8];
    let _ = openssl::rand::rand_bytes(&mut bytes);
    u64::from_ne_bytes(bytes)
}
