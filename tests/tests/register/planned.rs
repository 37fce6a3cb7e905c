//! A planned switchover under load, there and back: nothing fails, and the pause is printed.

use std::time::Instant;

use e2e::clustered::{await_role, count_of_backends, host, plan, role};
use e2e::register::{Crowd, Register};
use e2e::tables::{ADMIN, console};
use testkit::peer::message;
use testkit::{Flock, wait};

use super::scaled;

const NOTHING_MORE: &str =
    "the primary has nothing more to do: the other host is to be promoted now";

const CROWD: Crowd = Crowd {
    clients: 64,
    idle: 16,
};

#[test]
fn a_planned_switchover_under_load_fails_nothing() {
    let flock = Flock::start(1);
    let direct = role(&flock, "planned");
    let stage = plan(&flock, &direct, "").start();
    let mut admin = console(&stage, ADMIN);
    let mut leader = 0;
    for run in 0..scaled(2, 10) {
        let (old, new) = (&flock[leader], &flock[1 - leader]);
        await_role(&stage, new.port(), "standby");
        let register = Register::start(&stage, &direct, CROWD);
        let ordered = Instant::now();
        let order = format!("SWITCHOVER main TO {}", host(new));
        admin.peer.send(&message::query(&order));
        wait::until("nothing to be done", wait::LONG, || {
            stage.proxy.log().matches(NOTHING_MORE).count() > run
        });
        let drained = ordered.elapsed();
        assert_eq!(count_of_backends(old, "planned"), 0);
        old.stop();
        new.promote();
        let promoted = ordered.elapsed();
        let answer = admin.peer.until_ready();
        assert!(answer.iter().all(|it| it.tag != b'E'), "{answer:?}");
        let first = register.first_write_at(new.port(), ordered);
        register.await_progress();
        let story = register.stop();
        assert_eq!(story.errors, [], "{}", stage.proxy.log());
        assert_eq!(story.idle_lost, 0);
        let figures = story.judge(new, "planned");
        assert_eq!((figures.unknown_gone, figures.unknown_there), (0, 0));
        println!(
            "run {run}: drained after {drained:?}, promoted after {promoted:?}, first write after {first:?}; \
             the longest took {:?}; {figures:?}",
            story.longest()
        );
        for table in ["DELETE FROM register", "UPDATE counters SET value = 0"] {
            new.sql_in("planned", table);
        }
        old.rejoin(new);
        leader = 1 - leader;
    }
}
