//! A primary in a network of its own, whose link is unplugged: packets of all connections are lost, as where a switch
//! dies, and the kernel on either side learns nothing of it.

use std::fs;
use std::time::Instant;

use e2e::clustered::{await_role, host, plan_of, role, session};
use e2e::register::{Crowd, Register};
use testkit::cluster::apart;
use testkit::peer::message;
use testkit::{FlockPlan, wait};

/// What was acknowledged is there at the promoted standby, clients go on there, and when the link is back, nothing that
/// was sent meanwhile is delivered.
#[test]
fn a_primary_whose_link_is_down_is_left_and_gets_nothing_later() {
    if let Err(why) = apart::allowed() {
        println!("SKIPPED: no network of its own can be made for a server here: {why}");
        return;
    }
    // No commit is acknowledged that the standby doesn't have.
    let flock = FlockPlan::new(1)
        .apart(0)
        .set_on(0, "synchronous_standby_names", "member1")
        .set("log_statement", "mod")
        .start();
    let direct = role(&flock, "unplugged");
    let hosts = [flock[0].address(), host(&flock[1])];
    let stage = plan_of(&flock, &direct, &hosts, "check_timeout = '300ms'")
        .set("database", "server_connect_timeout", "'1h'")
        .set("database", "server_check_delay", "0")
        .start();
    await_role(&stage, flock[1].port(), "standby");
    let crowd = Crowd {
        clients: 8,
        idle: 4,
    };
    let register = Register::start(&stage, &direct, crowd);
    let mut lost = session(&stage, &direct, "unplugged");
    lost.query("BEGIN");

    // Our end of its connection.
    let ours = lost.value("SELECT inet_client_port()").parse();
    let ours = ours.expect("a port");

    flock[0].unplug();
    let unplugged = Instant::now();
    let sent = "INSERT INTO register VALUES (1000, 1); COMMIT";
    lost.peer.send(&message::query(sent));
    wait::until("a statement in the void", wait::LONG, || has_unsent(ours));
    let error = lost.peer.expect_frame(b'E');
    assert_eq!(error.field(b'C').as_deref(), Some("08006"));
    // While the kernel has it, it would send it again.
    wait::until("nothing to be sent again", wait::LONG, || !has_unsent(ours));
    flock[1].promote();
    let first = register.first_write_at(flock[1].port(), unplugged);
    register.await_progress();
    println!("first write after {first:?}");

    flock[0].plug_in();
    await_role(&stage, flock[0].port(), "refused: old timeline");
    register.await_progress();
    let story = register.stop();
    assert_eq!(story.idle_lost, 0);
    story.only_lost_connections();
    println!("{:?}", story.judge(&flock[1], "unplugged"));
    let log = flock[0].log();
    assert!(!log.contains(sent), "{log}");
    let log = stage.proxy.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Whether the kernel holds anything that was written to the socket at this port and is not acknowledged (`/proc/net/tcp`).
#[track_caller]
fn has_unsent(ours: u16) -> bool {
    let sockets = fs::read_to_string("/proc/net/tcp").expect("the kernel's sockets");
    let unsent = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (_, port) = words.next()?.split_once(':')?;
        let (unsent, _) = words.nth(2)?.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(port == ours && u32::from_str_radix(unsent, 16) != Ok(0))
    };
    sockets.lines().any(|it| unsent(it) == Some(true))
}
