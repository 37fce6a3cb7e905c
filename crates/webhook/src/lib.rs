//! Events by HTTPS to those who want to hear of them: one POST for each, signed, and tried again.
//!
//! Owns a thread of its own, the way of each event from its queue to the receiver, and the counts of what became of
//! them. Takes events from [`events::Events`], whose queues are bounded; nothing that happens here keeps anybody else
//! waiting. The secret is in no line of the log, no error and no count.

mod backoff;
mod deliver;
mod sign;

pub use backoff::{Backoff, Next, Outcome};
pub use sign::{SIGNATURE, signature};

use buf::Secret;
use deliver::{Counts, Current, Hook};
use events::{Events, Kinds};
use fetch::{Trust, Url};
use observe::{Family, Kind, Sample};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// One receiver.
#[derive(Clone)]
pub struct Settings {
    /// What it is called in the log and in counts.
    pub name: String,
    /// Where events go.
    pub url: Url,
    /// Whom its certificate has to be from.
    pub trust: Trust,
    /// What events are signed with.
    pub secret: Secret,
    /// Which events.
    pub kinds: Kinds,
    /// How many may wait; the oldest make room.
    pub queue_max: usize,
    /// How long one try may take.
    pub timeout: Duration,
    /// When there is another.
    pub backoff: Backoff,
}

impl fmt::Debug for Settings {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Settings")
            .field("name", &self.name)
            .field("url", &self.url.to_string())
            .finish_non_exhaustive()
    }
}

/// A receiver's place among the counts.
struct Told {
    name: String,
    counts: Arc<Counts>,
    settings: Arc<Current>,
}

/// All receivers of a proxy. Dropping it ends the deliveries; what waits is not delivered.
pub struct Webhooks {
    told: Arc<Vec<Told>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// The counts of all receivers, for those who look at them.
#[derive(Clone, Default)]
pub struct Watch(Arc<Vec<Told>>);

impl Webhooks {
    /// Starts the thread. Events that are posted from now on are delivered.
    pub fn start(settings: Vec<Settings>, events: &Events) -> io::Result<Webhooks> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (mut told, mut hooks) = (Vec::new(), Vec::new());
        for settings in settings {
            let arrived = Arc::new(Notify::new());
            let wakes = Arc::clone(&arrived);
            let wake = move || wakes.notify_one();
            let taker = events.subscribe(settings.kinds, settings.queue_max, wake);
            let counts = Arc::new(Counts::of(Arc::clone(&taker)));
            let name = settings.name.clone();
            let settings = Arc::new(Current::of(settings));
            told.push(Told {
                name,
                counts: Arc::clone(&counts),
                settings: Arc::clone(&settings),
            });
            hooks.push(Hook {
                settings,
                taker,
                arrived,
                counts,
            });
        }
        let (stop, mut stopped) = watch::channel(false);
        let thread = std::thread::Builder::new().name("webhook".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(async move {
                let mut tasks = JoinSet::new();
                for hook in hooks {
                    tasks.spawn(hook.deliver());
                }
                let _ = stopped.changed().await;
            });
            // A look-up of a name may hang; nobody waits for it.
            runtime.shutdown_background();
        })?;
        Ok(Webhooks {
            told: Arc::new(told),
            stop,
            thread: Some(thread),
        })
    }

    /// From the next try on, those of these names are reached as these settings say; which events they get and how
    /// many may wait stays.
    pub fn renew(&self, settings: Vec<Settings>) {
        for settings in settings {
            if let Some(told) = self.told.iter().find(|it| it.name == settings.name) {
                told.settings.replace(settings);
            }
        }
    }

    /// The counts of all receivers.
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.told))
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Watch {
    /// What became of the events, by receiver.
    pub fn families(&self) -> Vec<Family> {
        type Of = fn(&Counts) -> u64;
        let all: [(&'static str, &'static str, Kind, Of); 5] = [
            (
                "webhook_deliveries",
                "Events that a receiver took.",
                Kind::Counter,
                Counts::delivered,
            ),
            (
                "webhook_failures",
                "Tries to deliver an event that failed.",
                Kind::Counter,
                Counts::failed,
            ),
            (
                "webhook_given_up",
                "Events that were not delivered because the receiver refused them, or no try succeeded (webhook.retries).",
                Kind::Counter,
                Counts::given_up,
            ),
            (
                "webhook_dropped",
                "Events that were not delivered because newer ones needed their place (webhook.queue_max).",
                Kind::Counter,
                Counts::dropped,
            ),
            (
                "webhook_waiting",
                "Events that wait to be delivered.",
                Kind::Gauge,
                Counts::waiting,
            ),
        ];
        let family = |(name, help, kind, of): (&'static str, _, _, Of)| Family {
            name: name.into(),
            help,
            kind,
            samples: self.0.iter().map(|it| sample(it, of)).collect(),
        };
        all.into_iter().map(family).collect()
    }
}

fn sample(told: &Told, of: fn(&Counts) -> u64) -> Sample {
    Sample {
        labels: vec![("webhook", told.name.clone())],
        value: (of(&told.counts) as f64).into(),
    }
}
