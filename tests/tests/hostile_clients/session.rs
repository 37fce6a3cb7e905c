//! After the login.

use super::*;

#[test]
fn wrong_messages_after_login() {
    let table: [(&str, Vec<u8>); 14] = [
        ("unknown type 1", frame(1, b"")),
        ("unknown type z", frame(b'z', b"abc")),
        ("a password", message::password("late")),
        ("length 0", miscounted(b'Q', 0, b"")),
        ("length 3", miscounted(b'Q', 3, b"")),
        ("length -1", miscounted(b'Q', u32::MAX, b"")),
        ("huge", miscounted(b'Q', 0x7fff_ffff, b"")),
        ("Execute of 10001", frame(b'E', &[b'x'; 10_001 - 4])),
        ("Sync of 20000", frame(b'S', &[0; 20_000])),
        ("another SSLRequest", message::SSL_REQUEST.to_vec()),
        (
            "another startup",
            message::startup(&[("user", "x"), ("database", "y")]),
        ),
        (
            "Query without terminator",
            [frame(b'Q', b"SELECT 1"), message::TERMINATE.to_vec()].concat(),
        ),
        (
            "Describe of nothing",
            [
                frame(b'D', b""),
                message::SYNC.to_vec(),
                message::TERMINATE.to_vec(),
            ]
            .concat(),
        ),
        (
            "Bind of garbage",
            [
                frame(b'B', b"\0\0\xff\xff"),
                message::SYNC.to_vec(),
                message::TERMINATE.to_vec(),
            ]
            .concat(),
        ),
    ];
    beside_a_bystander(stage(), |endpoint| {
        for (what, bytes) in &table {
            let proxy = Session::begin(proxy_tls(), endpoint).peer;
            let server = Session::begin(server_tls(), direct()).peer;
            compare(what, proxy, server, bytes);
        }
    });
}

/// What was asked for before a message that can't be is answered before it.
#[test]
fn replies_owed_come_before_the_end() {
    let unknown = frame(1, b"");
    let batch = [
        frame(b'P', b"\0SELECT 2\0\0\0"),
        frame(b'B', b"\0\0\0\0\0\0\0\0"),
        frame(b'E', b"\0\0\0\0\0"),
    ];
    let table: [(&str, Vec<u8>); 3] = [
        ("a query", message::query("SELECT 1")),
        ("a batch", [&batch.concat()[..], &message::SYNC].concat()),
        ("a batch without Sync", batch.concat()),
    ];
    beside_a_bystander(stage(), |endpoint| {
        for (what, bytes) in &table {
            let sent = [&bytes[..], &unknown].concat();
            let peers = [
                Session::begin(proxy_tls(), endpoint).peer,
                Session::begin(server_tls(), direct()).peer,
            ];
            let [proxy, server] = peers.map(|mut peer| {
                peer.send(&sent);
                let (said, _) = peer.drain();
                let tags: String = scripted::frames(&said)
                    .iter()
                    .map(|frame| char::from(frame.tag))
                    .collect();
                tags
            });
            assert_eq!(proxy, server, "{what}");
            assert!(proxy.len() > 1 && proxy.ends_with('E'), "{what}: {proxy}");
        }
    });
}

/// A half message is followed by nothing: not at the server either.
#[test]
fn a_client_that_leaves_in_mid_message_takes_its_server_along() {
    beside_a_bystander(stage(), |endpoint| {
        let mut session = Session::begin(proxy_tls(), endpoint);
        let pid = session.process_id();
        session.query("CREATE TABLE half (id int)");
        let insert = message::query("INSERT INTO half VALUES (1)");
        session.peer.send(&insert[..insert.len() - 3]);
        session.peer.cut();
        gone(pid);
        let database = &direct().database;
        let rows = Cluster::shared().sql_in(database, "SELECT count(*) FROM half");
        assert_eq!(rows, [[Some("0".to_owned())]]);
    });
}

#[test]
fn cancel_keys_are_as_long_as_the_version_wants() {
    beside_a_bystander(stage(), |endpoint| {
        let parameters = [
            ("user", endpoint.user.as_str()),
            ("database", endpoint.database.as_str()),
        ];
        for (version, len) in [(0x0003_0000, 4), (0x0003_0002, 32)] {
            let mut peer = proxy_tls();
            peer.send(&message::startup_version(version, &parameters));
            prove(&mut peer, &endpoint.password);
            let session = Session::settle(peer);
            let key = session.key.expect("BackendKeyData").body;
            assert_eq!(key.len(), 4 + len);
        }
    });
}
