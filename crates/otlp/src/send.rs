//! Owns the way of a request to the collector, and when it is tried again.

use crate::{Counts, Settings, Stopped};
use fetch::header::CONTENT_TYPE;
use fetch::{Bounds, Request, fetch};
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Bytes of an answer.
const ANSWER_MAX: usize = 64 * 1024;
/// What one request may take when the process ends.
const AT_THE_END: Duration = Duration::from_secs(2);
/// Waits between tries: the next spans wait in their queue meanwhile.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// The way to the collector.
pub(crate) struct Channel {
    settings: Settings,
    counts: Arc<Counts>,
    runtime: Option<Runtime>,
    stopped: Stopped,
    ending: Arc<AtomicBool>,
    /// The last request failed, which was said.
    is_down: Cell<bool>,
}

impl Channel {
    pub(crate) fn open(
        settings: &Settings,
        counts: Arc<Counts>,
        (stopped, ending): (Stopped, Arc<AtomicBool>),
    ) -> io::Result<Channel> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Channel {
            settings: settings.clone(),
            counts,
            runtime: Some(runtime),
            stopped,
            ending,
            is_down: Cell::new(false),
        })
    }

    /// Sends a body; true if it was taken.
    pub(crate) fn send(&self, path: &str, body: String) -> bool {
        let mut waits = WAITS.iter();
        loop {
            let (reason, may_help) = match self.once(path, body.clone()) {
                Ok(()) => {
                    if self.is_down.replace(false) {
                        tracing::info!(target: "portcullis::otlp", "the collector takes spans and metrics again");
                    }
                    return true;
                }
                Err(failed) => failed,
            };
            self.counts.failed.add(1);
            if !self.is_down.replace(true) {
                tracing::warn!(target: "portcullis::otlp", reason, "spans and metrics do not reach the collector");
            }
            let wait = waits.next().filter(|_| may_help);
            let again = wait.is_some_and(|wait| {
                self.stopped.recv_timeout(*wait) == Err(RecvTimeoutError::Timeout)
            });
            if !again {
                return false;
            }
        }
    }

    /// One try: why it failed, and whether another may help.
    fn once(&self, path: &str, body: String) -> Result<(), (String, bool)> {
        let settings = &self.settings;
        let unfit = || ("the header is none".to_owned(), false);
        let mut request = Request::post(body)
            .with(CONTENT_TYPE, b"application/json", false)
            .ok_or_else(unfit)?;
        if let Some((name, value)) = &settings.header {
            let with = request.with(name.clone(), value.expose(), true);
            request = with.ok_or_else(unfit)?;
        }
        let deadline = match self.ending.load(Ordering::Relaxed) {
            true => settings.timeout.min(AT_THE_END),
            false => settings.timeout,
        };
        let bounds = Bounds {
            deadline,
            body_max: ANSWER_MAX,
        };
        let base = settings.endpoint.path().trim_end_matches('/');
        let url = settings.endpoint.at(&format!("{base}{path}"));
        let Some(runtime) = &self.runtime else {
            return Err(("it has ended".to_owned(), false));
        };
        match runtime.block_on(fetch(&url, &settings.trust, request, bounds)) {
            Ok(answer) if answer.is_success() => Ok(()),
            // OTLP 1.5, "Failures": which ones are worth another try.
            Ok(answer) => Err((
                format!("{url} answered with status {}", answer.status),
                matches!(answer.status, 429 | 502 | 503 | 504),
            )),
            Err(fault) => Err((fault.to_string(), true)),
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // A look-up of a name may hang; nobody waits for it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
