//! Owns what the service manager is told: sd_notify(3), if NOTIFY_SOCKET is set.

use sd_notify::NotifyState;
use shell::{Beat, Proxy};
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How long a proxy that has drained may take to end.
const END: Duration = Duration::from_secs(10);

/// Clients can connect.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The end has begun.
pub(crate) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// The same, and it may take that long, whatever `TimeoutStopSec=` says; 71 minutes at most, as they are told in
/// microseconds of 32 bits.
pub(crate) fn draining(at_most: Duration) {
    let limit = (at_most + END).as_micros();
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("sessions end"),
        NotifyState::ExtendTimeoutUsec(limit.try_into().unwrap_or(u32::MAX)),
    ]);
}

/// Tells a service manager that waits for it (`WatchdogSec=`) that the proxy is alive, for as long as its
/// threads answer.
pub(crate) fn keep_alive(proxy: &Proxy) {
    let mut limit_us = 0;
    if !sd_notify::watchdog_enabled(false, &mut limit_us) {
        return;
    }
    let limit = Duration::from_micros(limit_us);
    if limit < shell::BEAT_MAX {
        tracing::warn!(
            "WatchdogSec= is {} s: a restart for nothing is likely, it should be {} s or more",
            limit.as_secs_f32(),
            shell::BEAT_MAX.as_secs()
        );
    }
    let beats = proxy.beats();
    // Not where signals are heard: files are read there, and their passphrases asked for, which takes its time.
    let thread = std::thread::Builder::new().name("watchdog".to_owned());
    if let Err(error) = thread.spawn(move || say_alive(beats)) {
        tracing::error!(%error, "the service manager's watchdog is not answered");
    }
}

/// Until the proxy is gone.
fn say_alive(mut beats: Receiver<Beat>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the service manager's watchdog is not answered");
            return;
        }
    };
    runtime.block_on(async {
        while beats.changed().await.is_ok() {
            if *beats.borrow_and_update() == Beat::Regular {
                tell(&[NotifyState::Watchdog]);
            }
        }
    });
}

fn tell(states: &[NotifyState<'_>]) {
    // The variable stays: to take it out of the environment while threads run is not safe.
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(%error, "the service manager could not be told (NOTIFY_SOCKET)");
    }
}
