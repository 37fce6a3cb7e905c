//! Spans and metrics to an OpenTelemetry collector: OTLP over HTTP, as JSON.
//!
//! Owns a thread of its own, which takes spans from a bounded queue ([`trace::queue`]), adds up how long statements
//! take, and sends both. Names and units are those of OpenTelemetry's stable conventions for databases. Nothing here
//! keeps a session waiting: what can't be sent is dropped and counted. A statement's text is only ever its pattern.

mod durations;
mod encode;
mod metrics;
mod sample;
mod send;
mod spans;

use buf::Secret;
use fetch::header::HeaderName;
use fetch::{Trust, Url};
use observe::{Counter, Family, Kind};
use sample::Sampling;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver as StopReceiver, Sender as StopSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use trace::{Receiver, Sender};

/// Where to, what, and how much.
#[derive(Clone)]
pub struct Settings {
    /// The collector: `/v1/traces` and `/v1/metrics` are put behind it.
    pub endpoint: Url,
    /// Whom its certificate has to be from.
    pub trust: Trust,
    /// A header that goes with every request.
    pub header: Option<(HeaderName, Secret)>,
    /// What this proxy is called.
    pub service_name: String,
    /// Of a million traces that begin here, so many.
    pub sample_ppm: u32,
    /// Spans are sent even where their caller's trace isn't recorded.
    pub unsampled: bool,
    /// Patterns are sent with spans.
    pub query_text: bool,
    /// Spans in a request.
    pub batch_max: usize,
    /// Longest time until a span is sent, and between metrics.
    pub interval: Duration,
    /// How long a request may take.
    pub timeout: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Settings")
            .field("endpoint", &self.endpoint.to_string())
            .finish_non_exhaustive()
    }
}

/// What became of spans and metrics.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    sent: Counter,
    lost: Counter,
    failed: Counter,
}

/// A running export. Dropping it sends what is there, once, and ends it.
pub struct Exporter {
    spans: Sender,
    counts: Arc<Counts>,
    stop: Option<StopSender<()>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Its counts, for those who look at them.
#[derive(Clone, Default)]
pub struct Watch(Option<(Sender, Arc<Counts>)>);

impl Exporter {
    /// Starts the thread. `families` gives the proxy's own metrics.
    pub fn start(
        settings: Settings,
        (spans, taken): (Sender, Receiver),
        families: impl Fn() -> Vec<Family> + Send + 'static,
    ) -> io::Result<Exporter> {
        let counts = Arc::<Counts>::default();
        let (stop, stopped) = mpsc::channel();
        let ending = Arc::<AtomicBool>::default();
        let sender = send::Channel::open(
            &settings,
            Arc::clone(&counts),
            (stopped, Arc::clone(&ending)),
        )?;
        let work = Work {
            sampling: Sampling {
                ppm: settings.sample_ppm,
                unsampled: settings.unsampled,
            },
            settings,
            taken,
            sender,
            ending: Arc::clone(&ending),
            counts: Arc::clone(&counts),
        };
        let thread = std::thread::Builder::new().name("otlp".to_owned());
        let thread = thread.spawn(move || work.run(families))?;
        Ok(Exporter {
            spans,
            counts,
            stop: Some(stop),
            ending,
            thread: Some(thread),
        })
    }

    /// Its counts.
    pub fn watch(&self) -> Watch {
        Watch(Some((self.spans.clone(), Arc::clone(&self.counts))))
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        self.stop = None;
        self.spans.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Watch {
    /// What became of spans; nothing if there is no export.
    pub fn families(&self) -> Vec<Family> {
        let Some((spans, counts)) = &self.0 else {
            return Vec::new();
        };
        let family =
            |name, help, count: u64| Family::single(name, help, Kind::Counter, count as f64);
        vec![
            family(
                "otlp_spans_sent",
                "Spans that the collector took.",
                counts.sent.total(),
            ),
            family(
                "otlp_spans_lost",
                "Spans that the collector did not take.",
                counts.lost.total(),
            ),
            family(
                "otlp_spans_dropped",
                "Spans that found no room in the queue (opentelemetry.queue_max).",
                spans.dropped(),
            ),
            family(
                "otlp_failures",
                "Requests to the collector that failed.",
                counts.failed.total(),
            ),
        ]
    }
}

/// What the thread works with.
struct Work {
    settings: Settings,
    sampling: Sampling,
    taken: Receiver,
    sender: send::Channel,
    ending: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

impl Work {
    fn run(self, families: impl Fn() -> Vec<Family>) {
        let began_ns = now_ns();
        let mut durations = durations::Durations::default();
        let mut batch = Vec::new();
        let mut due = Instant::now() + self.settings.interval;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if let Some(span) = self.taken.next(left) {
                durations.note(&span);
                if self.sampling.takes(&span) {
                    batch.push(span);
                }
            }
            let is_ending = self.ending.load(Ordering::Relaxed);
            let is_due = is_ending || Instant::now() >= due;
            if batch.len() >= self.settings.batch_max || (is_due && !batch.is_empty()) {
                self.send_spans(&batch);
                batch.clear();
            }
            if is_due {
                let span = (began_ns, now_ns());
                let body = metrics::request(&self.settings, &durations, &families(), span);
                self.sender.send("/v1/metrics", body);
                due = Instant::now() + self.settings.interval;
            }
            if is_ending {
                return;
            }
        }
    }

    fn send_spans(&self, batch: &[trace::Span]) {
        let count = batch.len() as u64;
        match self
            .sender
            .send("/v1/traces", spans::request(&self.settings, batch))
        {
            true => self.counts.sent.add(count),
            false => self.counts.lost.add(count),
        }
    }
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX))
}

type Stopped = StopReceiver<()>;
