//! A primary that the network hides while its standby is promoted, and that comes back as the primary that it was:
//! nothing is written there any more, neither by those who were in the middle of something nor by anybody else.

use std::net::SocketAddr;

use e2e::clustered::{await_role, plan_of, role, session};
use e2e::register::{Crowd, Register};
use testkit::peer::message;
use testkit::{Fault, FaultPipe, FlockPlan, Member, wait};

use super::blows::{await_none, writes_logged};

/// Whoever has sent a statement into the void is told that it is lost. It must not be found and carried out later.
#[test]
fn what_was_sent_to_a_primary_that_is_cut_off_does_not_reach_it_later() {
    let flock = FlockPlan::new(1).set("log_statement", "mod").start();
    let direct = role(&flock, "parted");
    let at = |member: &Member| SocketAddr::from(([127, 0, 0, 1], member.port()));
    let pipe = FaultPipe::start(at(&flock[0]), Fault::None, Fault::None);
    let hosts = [pipe.address().port(), flock[1].port()].map(|it| format!("localhost:{it}"));
    // Who is just connecting there, or asking whether it is well, is not to wait for the end of that.
    let stage = plan_of(&flock, &direct, &hosts, "check_timeout = '300ms'")
        .set("database", "server_connect_timeout", "'1h'")
        .set("database", "server_check_delay", "0")
        .start();
    let crowd = Crowd {
        clients: 8,
        idle: 4,
    };
    let register = Register::start(&stage, &direct, crowd);
    let mut lost = session(&stage, &direct, "parted");
    let mut open = session(&stage, &direct, "parted");
    // Within a transaction each has its server, whatever the others do.
    lost.query("BEGIN");
    open.query("BEGIN");
    open.query("INSERT INTO register VALUES (1000, 1)");
    flock[1].await_caught_up_with(&flock[0]);

    pipe.part();
    lost.peer.send(&message::query(
        "INSERT INTO register VALUES (1000, 2); COMMIT",
    ));
    open.peer.send(&message::query("COMMIT"));
    for session in [&mut lost, &mut open] {
        let error = session.peer.expect_frame(b'E');
        assert_eq!(error.field(b'C').as_deref(), Some("08006"));
    }
    await_none(&flock[0], "parted", "state = 'active'");
    let logged = writes_logged(&flock[0]);
    flock[1].promote();
    register.await_progress();

    pipe.mend();
    await_role(&stage, pipe.address().port(), "refused: old timeline");
    register.await_progress();
    wait::until("the old connections to end", wait::LONG, || {
        e2e::clustered::count_of_backends(&flock[0], "parted") == 0
    });
    let rows = "SELECT count(*) FROM register WHERE client = 1000";
    assert!(!flock[0].is_in_recovery());
    assert_eq!(
        flock[0].sql_in("parted", rows),
        [[Some("0".to_owned())]],
        "{}",
        flock[0].log()
    );
    assert_eq!(writes_logged(&flock[0]), logged, "{}", flock[0].log());
    let story = register.stop();
    assert_eq!(story.idle_lost, 0);
    story.only_lost_connections();
}
