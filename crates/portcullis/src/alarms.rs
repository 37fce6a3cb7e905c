//! Owns the place of events in the process: the thread that looks for changes in the statistics, and the receivers of
//! webhooks from the configuration.

use crate::fault::{Fault, RemoteProblem};
use crate::material::now_unix_s;
use buf::Secret;
use config::{Changes, Config, Origin, Webhook};
use events::{Kind, Kinds};
use fetch::{Trust, Url};
use patterns::change::{Detector, Rules};
use shell::{Observed, Proxy};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use webhook::{Backoff, Settings, Watch, Webhooks};

/// Bytes of a secret: less can be guessed (RFC 2104 section 3 wants 32 for SHA-256).
const SECRET_MIN: usize = 16;
/// Bytes of a file with authorities.
const AUTHORITIES_MAX: u64 = 16 << 20;

/// What goes on about events beside the proxy: nothing before [`start`](Self::start).
#[derive(Clone, Default)]
pub(crate) struct Alarms(Arc<OnceLock<Begun>>);

struct Begun {
    webhooks: Option<Webhooks>,
    _watcher: Option<Watcher>,
}

/// The thread that looks for changes. Dropping it ends it.
struct Watcher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Alarms {
    /// Starts what the configuration asks for.
    pub(crate) fn start(
        &self,
        config: &Config,
        receivers: Vec<Settings>,
        proxy: &Proxy,
    ) -> Result<(), Vec<Fault>> {
        let system = |error| vec![Fault::System(error)];
        let webhooks = match receivers.is_empty() {
            true => None,
            false => Some(Webhooks::start(receivers, proxy.events()).map_err(system)?),
        };
        let changes = config
            .events
            .changes
            .as_ref()
            .zip(config.inspection.as_ref());
        let watcher = changes.map(|(changes, inspection)| {
            Watcher::start(rules(changes), inspection.window, proxy.observed())
        });
        let begun = Begun {
            webhooks,
            _watcher: watcher.transpose().map_err(system)?,
        };
        let _ = self.0.set(begun);
        Ok(())
    }

    /// Receivers are reached as these settings say from now on.
    pub(crate) fn renew(&self, receivers: Vec<Settings>) {
        if let Some(webhooks) = self.webhooks() {
            webhooks.renew(receivers);
        }
    }

    /// What becomes of events.
    pub(crate) fn watch(&self) -> Watch {
        self.webhooks().map(Webhooks::watch).unwrap_or_default()
    }

    fn webhooks(&self) -> Option<&Webhooks> {
        self.0.get()?.webhooks.as_ref()
    }
}

impl Watcher {
    fn start(rules: Rules, window: Duration, observed: Observed) -> std::io::Result<Watcher> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new().name("changes".to_owned());
        let thread = thread.spawn(move || {
            let mut detector = Detector::new(rules);
            while stopped.recv_timeout(until_end(window)) == Err(RecvTimeoutError::Timeout) {
                observed.look_for_changes(&mut detector, now_unix_s().unsigned_abs());
            }
        })?;
        Ok(Watcher {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Until the present window is over, by the system's clock.
fn until_end(window: Duration) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let (now, length) = (now.unwrap_or_default(), window.as_secs().max(1));
    let end = Duration::from_secs((now.as_secs() / length + 1) * length);
    end.saturating_sub(now)
}

fn rules(changes: &Changes) -> Rules {
    Rules {
        warmup_s: changes.warmup.as_secs(),
        calls_min: changes.calls_min.into(),
        slower_percent: changes.slower_percent.into(),
        slower_min_us: u64::try_from(changes.slower_min.as_micros()).unwrap_or(u64::MAX),
        errors_min: changes.errors_min.into(),
        errors_percent: changes.errors_percent.into(),
        volume_min: changes.volume_min.into(),
        volume_percent: changes.volume_percent.into(),
        told_max: changes.per_minute_max.into(),
    }
}

/// All receivers that a configuration names, or all that is wrong with them.
pub(crate) fn receivers(
    config: &Config,
    passwords: &HashMap<Origin, Secret>,
) -> Result<Vec<Settings>, Vec<Fault>> {
    let (mut receivers, mut faults) = (Vec::new(), Vec::new());
    for hook in &config.webhooks {
        match receiver(hook, passwords) {
            Ok(receiver) => receivers.push(receiver),
            Err(problem) => faults.push(Fault::Remote {
                place: hook.place.clone(),
                problem,
            }),
        }
    }
    match faults.is_empty() {
        true => Ok(receivers),
        false => Err(faults),
    }
}

fn receiver(
    hook: &Webhook,
    passwords: &HashMap<Origin, Secret>,
) -> Result<Settings, RemoteProblem> {
    let url: Url = hook.url.parse().map_err(RemoteProblem::Url)?;
    let secret = passwords.get(&Origin::File(hook.secret_file.clone()));
    let secret = secret.filter(|it| it.expose().len() >= SECRET_MIN);
    Ok(Settings {
        name: hook.name.clone(),
        url,
        trust: authorities(hook.ca_file.as_deref())?,
        secret: secret
            .cloned()
            .ok_or(RemoteProblem::ShortSecret(SECRET_MIN))?,
        kinds: kinds(hook),
        queue_max: hook.queue_max,
        timeout: hook.timeout,
        backoff: Backoff {
            first: hook.retry_wait,
            most: hook.retry_wait_max,
            retries: hook.retries,
        },
    })
}

/// By the authorities of a file, or of the system.
pub(crate) fn authorities(file: Option<&Path>) -> Result<Trust, RemoteProblem> {
    let pem = file.map(read).transpose();
    let pem = pem.map_err(|error| RemoteProblem::Unreadable(error.kind()))?;
    Trust::new(pem.as_deref(), None).map_err(RemoteProblem::Trust)
}

/// Authorities as they stand in a file.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut pem = Vec::new();
    File::open(path)?
        .take(AUTHORITIES_MAX)
        .read_to_end(&mut pem)?;
    Ok(pem)
}

/// By their words, which are the same in both places.
fn kinds(hook: &Webhook) -> Kinds {
    let Some(named) = &hook.kinds else {
        return Kinds::ALL;
    };
    let is_named = |kind: &&Kind| named.iter().any(|it| it.word() == kind.word());
    Kind::ALL.iter().filter(is_named).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_settings() {
        let known: Vec<_> = Kind::ALL.iter().map(|it| it.word()).collect();
        let named: Vec<_> = config::EventKind::WORDS.iter().map(|it| it.word).collect();
        assert_eq!(known, named);
    }

    #[test]
    fn the_next_look_is_at_the_end_of_a_window() {
        for window in [1, 60, 3600] {
            let wait = until_end(Duration::from_secs(window));
            assert!(wait > Duration::ZERO && wait <= Duration::from_secs(window));
        }
    }
}
