//! One failover under load, measured: from the end of the promotion to the first write by the proxy, beside the first
//! one that goes to the server itself.

use std::time::{Duration, Instant};

use e2e::clustered::{plan, role};
use e2e::register::{Crowd, Register};

use super::blows::succeed;
use super::{received, scaled, synchronous};

/// How many clients work, in the small form too: it takes no longer.
const CROWD: Crowd = Crowd {
    clients: 64,
    idle: 16,
};

#[test]
fn a_primary_is_killed_under_load() {
    for run in 0..scaled(1, 5) {
        let name = format!("killed{run}");
        let flock = synchronous().start();
        let direct = role(&flock, &name);
        let stage = plan(&flock, &direct, "").start();
        let register = Register::start(&stage, &direct, CROWD);
        flock[0].kill();
        let killed = Instant::now();
        let (next, other) = match received(&flock[1]) >= received(&flock[2]) {
            true => (&flock[1], &flock[2]),
            false => (&flock[2], &flock[1]),
        };
        succeed(next, other);
        let promoted = Instant::now();
        // Waits for its standby as every commit does.
        next.sql_in(
            &name,
            "UPDATE counters SET value = value WHERE client = 127",
        );
        let by_itself = promoted.elapsed();
        let first = register.first_write_at(next.port(), killed);
        let first = first.saturating_sub(promoted - killed);
        register.await_progress();
        let story = register.stop();
        let figures = story.judge(next, &name);
        println!(
            "run {run}: promoted {:?} after the kill; then the first write after {first:?} \
             (without the proxy {by_itself:?}); {figures:?}, {} errors",
            promoted - killed,
            story.errors.len()
        );
        assert_eq!(story.idle_lost, 0, "idle clients that were cut off");
        story.only_lost_connections();
        assert!(first < Duration::from_secs(60));
        let log = stage.proxy.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}
