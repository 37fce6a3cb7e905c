//! Owns what goes on beside a running proxy until it is told to stop: reloads, orders from the console
//! and by SIGUSR1 and SIGUSR2, the warnings before certificates expire, the line of statistics.

use super::due::{Due, Failure, Why};
use super::watch::Watch;
use super::{NotSet, Reloader, Seen};
use crate::expiry;
use crate::fault::Fault;
use crate::material::now_unix_s;
use crate::stats::Stats;
use config::Reload;
use observe::{End, LastReload};
use shell::Proxy;
use shell::console::{Order, Orders, Shutdown, Wish};
use std::future::pending;
use std::time::Duration;
use tls::Expires;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

const DAY: Duration = Duration::from_secs(86_400);

/// What goes on beside a running proxy.
pub(crate) struct Keeper {
    reloader: Reloader,
    due: Due,
    start: Instant,
    hangup: Signal,
    pause: Signal,
    resume: Signal,
    watch: Option<Watch>,
    polls: Option<Interval>,
    days: Option<Interval>,
    /// When the next certificate, list or staple is over.
    end: Option<Instant>,
    lines: Option<Interval>,
    stats: Stats,
}

/// What woke the keeper.
enum Wake {
    /// SIGHUP.
    Asked,
    /// SIGUSR1.
    Pause,
    /// SIGUSR2.
    Resume,
    /// From the console.
    Ordered(Order),
    /// The kernel told of a change somewhere near.
    Noticed(std::io::Result<()>),
    /// It is time to look again.
    Due,
    /// It is time to look whether something changed.
    Poll,
    /// A day has passed, or something has expired.
    Day,
    /// It is time for statistics.
    Line,
}

impl Keeper {
    /// From here on SIGHUP, SIGUSR1 and SIGUSR2 no longer end the process. Within a runtime.
    pub(crate) fn begin(reloader: Reloader) -> std::io::Result<Keeper> {
        let mut keeper = Keeper {
            reloader,
            due: Due::default(),
            start: Instant::now(),
            hangup: signal(SignalKind::hangup())?,
            pause: signal(SignalKind::user_defined1())?,
            resume: signal(SignalKind::user_defined2())?,
            watch: None,
            polls: None,
            days: every(Some(DAY)),
            end: None,
            lines: None,
            stats: Stats::default(),
        };
        keeper.follow();
        Ok(keeper)
    }

    /// How long clients may stay once another process has taken over, by configuration; `None` for as
    /// long as they want.
    pub(crate) fn takeover_timeout(&self) -> Option<Duration> {
        self.reloader.config.listen.takeover_timeout
    }

    /// Goes on until somebody wants the process to end.
    pub(crate) async fn keep(&mut self, proxy: &Proxy) -> Shutdown {
        self.tell_expiry(proxy);
        let mut orders = proxy.orders();
        loop {
            match self.wake(&mut orders).await {
                Wake::Asked => self.due.asked(self.now()),
                Wake::Pause => match proxy.pause() {
                    true => tracing::info!("SIGUSR1: all databases are paused"),
                    false => tracing::info!("SIGUSR1: all databases are paused already"),
                },
                Wake::Resume => match proxy.resume() {
                    true => tracing::info!("SIGUSR2: work goes on"),
                    false => tracing::info!("SIGUSR2: nothing is paused"),
                },
                Wake::Ordered(order) => match order.wish.clone() {
                    Wish::Shutdown(mode) => {
                        order.done();
                        return mode;
                    }
                    Wish::Set { key, value } => match self.set(proxy, (&key, &value)) {
                        Ok(()) => order.done(),
                        Err(why) => order.not_set(why),
                    },
                    Wish::Reload => match self.reload(proxy) {
                        true => order.done(),
                        false => order.not_reloaded(),
                    },
                },
                Wake::Noticed(Ok(())) => self.due.noticed(self.now()),
                Wake::Noticed(Err(error)) => {
                    tracing::warn!(%error, "files are no longer watched; they are looked at every reload_interval");
                    self.watch = None;
                }
                Wake::Poll if self.reloader.seen.may_have_changed() => self.due.noticed(self.now()),
                Wake::Poll | Wake::Due => {}
                Wake::Day => self.tell_expiry(proxy),
                Wake::Line => {
                    let period = self.reloader.config.log.stats.unwrap_or_default();
                    self.stats.tell(proxy.clients(), proxy.counters(), period);
                }
            }
            match self.due.take(self.now()) {
                Some(Why::Noticed) if !self.reloader.seen.may_have_changed() => {}
                Some(_) => drop(self.reload(proxy)),
                None => {}
            }
        }
    }

    async fn wake(&mut self, orders: &mut Orders) -> Wake {
        let due = self.due.at().map(|at| self.start + at);
        tokio::select! {
            _ = self.hangup.recv() => Wake::Asked,
            _ = self.pause.recv() => Wake::Pause,
            _ = self.resume.recv() => Wake::Resume,
            Some(order) = orders.next() => Wake::Ordered(order),
            noticed = notice(&mut self.watch) => Wake::Noticed(noticed),
            () = until(due) => Wake::Due,
            () = tick(&mut self.polls) => Wake::Poll,
            () = tick(&mut self.days) => Wake::Day,
            () = until(self.end) => Wake::Day,
            () = tick(&mut self.lines) => Wake::Line,
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Reads everything anew; true if it came into force.
    fn reload(&mut self, proxy: &Proxy) -> bool {
        let now_unix_s = now_unix_s();
        let came_into_force = match self.reloader.reload(proxy, now_unix_s) {
            Ok(waiting) => {
                self.due.succeeded();
                tell_success(&waiting);
                proxy.counters().reload.succeeded.add(1);
                true
            }
            Err(faults) => {
                let failure = self.due.failed(self.now());
                tell_failure(failure, &faults);
                // What gets a second chance has not failed yet.
                if failure == Failure::TryAgain {
                    self.follow();
                    return false;
                }
                proxy.counters().reload.failed.add(1);
                false
            }
        };
        proxy.gauges().set_last_reload(LastReload {
            at_unix_s: now_unix_s,
            came_into_force,
        });
        self.follow();
        if came_into_force {
            self.tell_expiry(proxy);
        }
        came_into_force
    }

    /// Changes one setting, or says why not.
    fn set(&mut self, proxy: &Proxy, change: (&str, &str)) -> Result<(), String> {
        let set = self.reloader.set(proxy, change, now_unix_s());
        self.follow();
        match set {
            Ok(()) => {
                self.tell_expiry(proxy);
                Ok(())
            }
            Err(NotSet::Unfit(why)) => Err(why),
            Err(NotSet::Unusable(faults)) => {
                for fault in &faults {
                    tracing::error!(target: "portcullis::reload", reason = %fault, "SET refused");
                }
                Err("the configuration could not be used with it; the log says why".to_owned())
            }
        }
    }

    /// Goes by the present configuration, and watches the files that were last read.
    fn follow(&mut self) {
        let config = &self.reloader.config;
        let files = &config.files;
        let (watched, polled) = match files.reload {
            Reload::Watch => (true, true),
            Reload::Poll => (false, true),
            Reload::Sighup => (false, false),
        };
        set(&mut self.polls, polled.then_some(files.reload_interval));
        set(&mut self.lines, config.log.stats);
        self.watch = match watched {
            true => watch(&self.reloader.seen),
            false => None,
        };
        // What changed between the look and the watch.
        if polled && self.reloader.seen.looks_different() {
            self.due.noticed(self.start.elapsed());
        }
    }

    fn tell_expiry(&mut self, proxy: &Proxy) {
        let now_unix_s = now_unix_s();
        let Reloader {
            certificates,
            config,
            ..
        } = &self.reloader;
        let ends = certificates.iter().map(|dated| End {
            file: dated.of.clone(),
            kind: match dated.kind {
                Expires::Certificate => "certificate",
                Expires::Authority => "authority",
                Expires::RevocationList => "revocation_list",
                Expires::Staple => "staple",
            },
            not_after_unix_s: dated.not_after_unix_s,
        });
        proxy.gauges().set_certificates(ends.collect());
        expiry::tell(certificates, config.files.expiry_warning, now_unix_s);
        let next = expiry::next_end(certificates, now_unix_s);
        self.end = next.map(|left| Instant::now() + left);
    }
}

fn tell_success(waiting: &[&str]) {
    match waiting {
        [] => tracing::info!(target: "portcullis::reload", "reloaded"),
        waiting => tracing::warn!(
            target: "portcullis::reload",
            waiting = waiting.join(" "),
            "reloaded, but some changed settings wait for a restart"
        ),
    }
}

fn tell_failure(failure: Failure, faults: &[Fault]) {
    if failure == Failure::TryAgain {
        let faults = faults.len();
        tracing::info!(target: "portcullis::reload", faults, "not reloaded yet: trying again in a moment");
        return;
    }
    for fault in faults {
        tracing::error!(target: "portcullis::reload", reason = %fault, "reload refused");
    }
    tracing::error!(
        target: "portcullis::reload",
        faults = faults.len(),
        "what was in force stays in force"
    );
}

fn watch(seen: &Seen) -> Option<Watch> {
    let watch = Watch::over(&seen.directories()).inspect_err(|error| {
        tracing::warn!(%error, "cannot watch files; they are looked at every reload_interval");
    });
    watch.ok()
}

fn every(period: Option<Duration>) -> Option<Interval> {
    period.map(|period| {
        let mut interval = interval_at(Instant::now() + period, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    })
}

/// An interval that goes on as it is if its period is the same.
fn set(interval: &mut Option<Interval>, period: Option<Duration>) {
    if interval.as_ref().map(Interval::period) != period {
        *interval = every(period);
    }
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

async fn notice(watch: &mut Option<Watch>) -> std::io::Result<()> {
    match watch {
        Some(watch) => watch.notice().await,
        None => pending().await,
    }
}
