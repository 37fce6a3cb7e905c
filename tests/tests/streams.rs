//! Long streams, whose end is listened for in another way than the replies of a conversation, and those who have the
//! same connections next.

use e2e::drivers::Endpoint;
use e2e::scripted::Session;
use e2e::{Stage, StagePlan};
use testkit::Cluster;
use testkit::peer::message::{self, frame};

/// A row of the result, as long as its number of rows brings well more than what a stream begins with.
const ROW: usize = 1000;
const ROWS: usize = 30_000;

fn one_connection(role: &Endpoint) -> StagePlan {
    Stage::before(Cluster::shared())
        .user(role)
        .set("pool", "pool_mode", "\"transaction\"")
        .set("pool", "default_pool_size", "1")
}

fn count(session: &mut Session, text: &str, tag: u8) -> usize {
    session.peer.send(&message::query(text));
    let frames = session.peer.until_ready();
    frames.iter().filter(|it| it.tag == tag).count()
}

/// Each has the server connection right behind the end of the other's stream.
#[test]
fn behind_a_stream_every_reply_is_heard() {
    let role = Endpoint::direct(Cluster::shared(), "streams_out");
    let stage = one_connection(&role).start();
    let mut streams = Session::through(&stage, &role);
    let mut talks = Session::through(&stage, &role);
    let series = format!("SELECT repeat('x', {ROW}) FROM generate_series(1, {ROWS})");
    let copy = format!("COPY ({series}) TO STDOUT");
    // The end comes at once behind more than what a stream is listened to for: nobody sleeps in front of it.
    let ends_large = format!("{series} UNION ALL SELECT repeat('y', 3000000)");
    for round in 0..4 {
        // In a transaction what follows is the same client's.
        if round % 2 == 1 {
            streams.query("BEGIN");
        }
        assert_eq!(count(&mut streams, &series, b'D'), ROWS);
        if round % 2 == 1 {
            assert_eq!(count(&mut streams, "SELECT 1", b'D'), 1);
            streams.query("COMMIT");
        }
        assert_eq!(count(&mut talks, "SELECT 1", b'D'), 1);
        assert_eq!(count(&mut streams, &copy, b'd'), ROWS);
        assert_eq!(count(&mut talks, "SELECT 1", b'D'), 1);
        assert_eq!(count(&mut streams, &ends_large, b'D'), ROWS + 1);
        assert_eq!(count(&mut talks, "SELECT 1", b'D'), 1);
    }
}

/// The client streams, and its CopyDone is a few bytes.
#[test]
fn the_end_of_what_a_client_streams_is_heard() {
    let role = Endpoint::direct(Cluster::shared(), "streams_in");
    let stage = one_connection(&role).start();
    let mut session = Session::through(&stage, &role);
    session.query("CREATE TABLE streamed (a text)");
    let row = frame(b'd', &[&vec![b'x'; ROW][..], b"\n"].concat());
    let part = row.repeat(100);
    for copied in 1..=2 {
        session
            .peer
            .send(&message::query("COPY streamed FROM STDIN"));
        for _ in 0..ROWS / 100 {
            session.peer.send(&part);
        }
        session.peer.send(&frame(b'c', b""));
        session.peer.until_ready();
        let text = format!("SELECT 1 FROM streamed HAVING count(*) = {}", copied * ROWS);
        assert_eq!(count(&mut session, &text, b'D'), 1);
    }
}
