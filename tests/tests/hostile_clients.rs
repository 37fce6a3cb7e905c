//! Malformed, oversized, out-of-order and slow clients: each gets what PostgreSQL would
//! give it, an ErrorResponse or silence, and costs only its own connection.
//!
//! Where PostgreSQL gets the same bytes over the same kind of connection, its verdict is the
//! measure: the tables run against both.

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use e2e::drivers::Endpoint;
use e2e::scripted::{self, Bystander, Session, prove, scram, startup};
use e2e::{Stage, StagePlan};
use openssl::ssl::SslVersion;
use testkit::peer::message::{self, frame, untagged};
use testkit::{ClientTls, Cluster, End, Peer};

/// The role that these tests log in with, at the server itself.
fn direct() -> &'static Endpoint {
    static DIRECT: OnceLock<Endpoint> = OnceLock::new();
    DIRECT.get_or_init(|| Endpoint::direct(Cluster::shared(), "hostile_clients"))
}

fn plan() -> StagePlan {
    Stage::before(Cluster::shared()).user(direct())
}

/// One proxy for all tests that need nothing special of it.
fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| plan().start())
}

/// Runs a test beside a session that must not notice it.
fn beside_a_bystander(stage: &Stage, test: impl FnOnce(&Endpoint)) {
    let endpoint = stage.endpoint(direct());
    let mut bystander = Bystander::new(stage, &endpoint);
    test(&endpoint);
    bystander.is_well();
    assert!(!stage.proxy.log().contains("panicked"));
}

fn proxy_tcp() -> Peer {
    Peer::tcp(stage().proxy.address())
}

fn server_tcp() -> Peer {
    Peer::tcp(Cluster::shared().address())
}

fn proxy_tls() -> Peer {
    Peer::tls(stage().proxy.address(), &stage().client_tls())
}

fn server_tls() -> Peer {
    let cluster = Cluster::shared();
    let tls = ClientTls::verified(cluster.authority(), "localhost");
    Peer::tls(cluster.address(), &tls)
}

/// What a client reads before its connection ends.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Silence,
    Error {
        severity: String,
        sqlstate: String,
        message: String,
    },
}

impl Verdict {
    fn of(peer: &mut Peer) -> Vec<Self> {
        let (bytes, _) = peer.drain();
        let errors = scripted::frames(&bytes);
        let errors = errors.iter().filter(|frame| frame.tag == b'E');
        let errors: Vec<_> = errors
            .map(|frame| {
                let field = |code| frame.field(code).unwrap_or_default();
                Self::Error {
                    severity: field(b'V'),
                    sqlstate: field(b'C'),
                    // One name for all replies to a request for authentication.
                    message: field(b'M').replace("SASL response", "password response"),
                }
            })
            .collect();
        match errors.is_empty() {
            true => vec![Self::Silence],
            false => errors,
        }
    }
}

/// Sends the same to both; both must say the same, and end.
#[track_caller]
fn compare(what: &str, mut proxy: Peer, mut server: Peer, bytes: &[u8]) {
    for peer in [&mut proxy, &mut server] {
        // The other side may close while this is under way: it has read enough.
        let _ = peer.try_send(bytes);
    }
    assert_eq!(Verdict::of(&mut proxy), Verdict::of(&mut server), "{what}");
}

/// A startup-like packet with this length field, whatever follows.
fn counted(len: u32, rest: &[u8]) -> Vec<u8> {
    [&len.to_be_bytes(), rest].concat()
}

/// A tagged message with this length field, whatever follows.
fn miscounted(tag: u8, len: u32, rest: &[u8]) -> Vec<u8> {
    [&[tag][..], &len.to_be_bytes(), rest].concat()
}

/// A startup packet whose parameters need `count` bytes behind the length field.
fn startup_of(count: usize) -> Vec<u8> {
    let fixed = 4 + "user\0x\0".len() + "options\0".len() + 2;
    let mut body = b"\0\x03\0\0user\0x\0options\0".to_vec();
    body.extend(vec![b' '; count - fixed]);
    body.extend(b"\0\0");
    untagged(&body)
}

const V3: &[u8] = b"\0\x03\0\0";

#[test]
fn bad_packets_before_tls() {
    let table: [(&str, Vec<u8>); 9] = [
        ("length 0", counted(0, V3)),
        ("length 3", counted(3, V3)),
        ("length 7", counted(7, V3)),
        ("length -1", counted(u32::MAX, V3)),
        ("huge", counted(0x7fff_ffff, V3)),
        ("10001 bytes", startup_of(10_001)),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("a query", message::query("SELECT 1")),
    ];
    beside_a_bystander(stage(), |_| {
        for (what, bytes) in &table {
            compare(what, proxy_tcp(), server_tcp(), bytes);
        }
    });
}

#[test]
fn bad_packets_inside_tls() {
    let user = |tail: &[u8]| untagged(&[V3, b"user\0nobody\0", tail].concat());
    let table: [(&str, Vec<u8>); 14] = [
        ("length 0", counted(0, V3)),
        ("length 3", counted(3, V3)),
        ("length 7", counted(7, V3)),
        ("length -1", counted(u32::MAX, V3)),
        ("huge", counted(0x7fff_ffff, V3)),
        ("10001 bytes", startup_of(10_001)),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        ("a query", message::query("SELECT 1")),
        ("no terminator", user(b"")),
        ("a name without value", user(b"database\0")),
        ("bytes behind the terminator", user(b"\0x")),
        ("no user", untagged(&[V3, b"database\0x\0\0"].concat())),
        ("empty user", untagged(&[V3, b"user\0\0\0"].concat())),
        ("nothing at all", untagged(&[V3, b"\0"].concat())),
    ];
    beside_a_bystander(stage(), |_| {
        for (what, bytes) in &table {
            compare(what, proxy_tls(), server_tls(), bytes);
        }
    });
}

#[test]
fn the_longest_startup_packet_is_still_read() {
    let mut peer = proxy_tls();
    peer.send(&startup_of(10_000));
    // The role exists nowhere, which is told only at the end of the exchange.
    assert_eq!(peer.expect_frame(b'R').body[..4], [0, 0, 0, 10]);
}

/// In PostgreSQL's words, with our own versions; it answers those below 3 in a format of theirs.
#[test]
fn unsupported_versions() {
    let table: [(&str, Vec<u8>, &str); 5] = [
        ("2.0", untagged(b"\0\x02\0\0"), "2.0"),
        ("4.0", untagged(b"\0\x04\0\0user\0x\0\0"), "4.0"),
        ("0.0", untagged(b"\0\0\0\0"), "0.0"),
        (
            "SSLRequest inside TLS",
            message::SSL_REQUEST.to_vec(),
            "1234.5679",
        ),
        (
            "GSSENCRequest inside TLS",
            message::GSSENC_REQUEST.to_vec(),
            "1234.5680",
        ),
    ];
    beside_a_bystander(stage(), |_| {
        for (what, bytes, version) in table {
            let wanted = format!("unsupported frontend protocol {version}: server supports ");
            let mut peer = proxy_tls();
            peer.send(&bytes);
            let error = peer.expect_error("0A000");
            let text = error.field(b'M').expect("a message");
            assert!(text.starts_with(&wanted), "{what}: {text}");
            assert_eq!(error.field(b'V').as_deref(), Some("FATAL"));
            assert_eq!(peer.end(), End::CloseNotify);
        }
    });
}

/// CVE-2021-23214: what comes behind SSLRequest is TLS or nothing.
#[test]
fn bytes_behind_ssl_request_are_never_parsed() {
    beside_a_bystander(stage(), |endpoint| {
        let injected = [
            startup(endpoint),
            message::SSL_REQUEST.to_vec(),
            message::cancel(1, b"aaaa"),
            vec![0],
        ];
        for bytes in injected {
            let mut peer = proxy_tcp();
            peer.send(&[&message::SSL_REQUEST[..], &bytes].concat());
            assert_eq!(peer.bytes(1), b"S");
            // The handshake begins in the injected bytes, so it can't succeed.
            let outcome = peer.try_handshake(&stage().client_tls());
            assert!(outcome.is_err(), "{}", bytes.escape_ascii());
        }
        let log = stage().proxy.log();
        assert!(!log.contains("cancel request"), "{log}");
    });
}

/// A ClientHello in the same packet as SSLRequest is what a hurried client may send.
#[test]
fn ssl_request_twice_is_no_startup() {
    beside_a_bystander(stage(), |_| {
        let mut peer = proxy_tcp();
        peer.send(&message::SSL_REQUEST);
        assert_eq!(peer.bytes(1), b"S");
        peer.send(&message::SSL_REQUEST);
        let (alert, _) = peer.drain();
        assert_ne!(alert.first(), Some(&b'S'));
        assert_ne!(alert.first(), Some(&b'E'));
        stage().proxy.await_log("does not speak TLS here");
    });
}

#[test]
fn gss_is_declined_and_tls_follows() {
    beside_a_bystander(stage(), |endpoint| {
        let mut peer = proxy_tcp();
        peer.send(&message::GSSENC_REQUEST);
        assert_eq!(peer.bytes(1), b"N");
        let peer = peer.request_tls(&stage().client_tls());
        Session::begin(peer, endpoint).query("SELECT 1");
        // Once each: a second request is a version nobody knows, and unencrypted at that.
        let mut peer = proxy_tcp();
        peer.send(&message::GSSENC_REQUEST);
        assert_eq!(peer.bytes(1), b"N");
        peer.send(&message::GSSENC_REQUEST);
        peer.expect_error("28000");
        assert_eq!(peer.end(), End::Fin);
    });
}

#[test]
fn a_startup_in_clear_text_is_told_to_use_tls() {
    beside_a_bystander(stage(), |endpoint| {
        let mut peer = proxy_tcp();
        peer.send(&startup(endpoint));
        let error = peer.expect_error("28000");
        let text = error.field(b'M').expect("a message");
        assert!(
            text.contains("TLS") && text.contains("sslmode=verify-full"),
            "{text}"
        );
        assert_eq!(peer.end(), End::Fin);
        stage().proxy.await_log("the client did not ask for TLS");
    });
}

#[test]
fn a_cancel_in_clear_text_is_refused_and_logged() {
    let stage = plan().start();
    beside_a_bystander(&stage, |endpoint| {
        let mut session = Session::through(&stage, endpoint);
        let key = session.key.clone().expect("BackendKeyData").body;
        session.peer.send(&message::query("SELECT pg_sleep(0.3)"));
        let pid = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
        let mut peer = Peer::tcp(stage.proxy.address());
        peer.send(&message::cancel(pid, &key[4..]));
        assert_eq!(peer.end(), End::Fin);
        stage.proxy.await_log("plaintext_cancel");
        // It wasn't carried out.
        session.peer.until_ready();
    });
}

#[test]
fn wrong_messages_during_authentication() {
    let endpoint = direct();
    let first = scram::client_first();
    let sasl = |mechanism: &str, data: &[u8]| scram::initial_response(mechanism, data);
    let table: [(&str, Vec<u8>); 9] = [
        ("a query", message::query("SELECT 1")),
        ("an unknown type", frame(1, b"")),
        ("Terminate", message::TERMINATE.to_vec()),
        ("wrong mechanism", sasl("SCRAM-SHA-1", first.as_bytes())),
        ("no mechanism", sasl("", first.as_bytes())),
        ("garbage", sasl(scram::MECHANISM, b"\xff\xfe,,garbage")),
        ("no nonce", sasl(scram::MECHANISM, b"n,,n=")),
        (
            "another identity",
            sasl(scram::MECHANISM, b"n,a=x,n=,r=abc"),
        ),
        ("downgrade", sasl(scram::MECHANISM, b"y,,n=,r=abc")),
    ];
    beside_a_bystander(stage(), |_| {
        for (what, bytes) in &table {
            let [proxy, server] = [proxy_tls(), server_tls()].map(|mut peer| {
                peer.send(&startup(endpoint));
                peer.expect_frame(b'R');
                peer
            });
            compare(what, proxy, server, bytes);
        }
    });
}

/// PostgreSQL takes a length that can't be for a wrong password, and has other words for strings
/// without an end.
#[test]
fn broken_messages_during_authentication() {
    let table: [(&str, Vec<u8>, Option<&str>); 8] = [
        ("length 0", miscounted(b'p', 0, b""), None),
        ("length 3", miscounted(b'p', 3, b""), None),
        ("length -1", miscounted(b'p', u32::MAX, b""), None),
        ("huge", miscounted(b'p', 0x7fff_ffff, b""), None),
        ("70000", frame(b'p', &[b'n'; 70_000]), None),
        ("2000", frame(b'p', &[b'n'; 2000]), Some("08P01")),
        ("nothing", frame(b'p', b""), Some("08P01")),
        (
            "no terminator",
            frame(b'p', b"SCRAM-SHA-256"),
            Some("08P01"),
        ),
    ];
    beside_a_bystander(stage(), |endpoint| {
        for (what, bytes, sqlstate) in &table {
            let mut peer = proxy_tls();
            peer.send(&startup(endpoint));
            peer.expect_frame(b'R');
            // The other side may close before the last byte.
            let _ = peer.try_send(bytes);
            let (said, _) = peer.drain();
            let said = scripted::frames(&said);
            let codes: Vec<_> = said.iter().map(|frame| frame.field(b'C')).collect();
            let wanted: Vec<_> = sqlstate.iter().map(|code| Some(code.to_string())).collect();
            assert_eq!(codes, wanted, "{what}");
        }
    });
}

#[test]
fn wrong_final_messages_of_scram() {
    let endpoint = direct();
    let table: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("garbage", b"\xff\xff\xff"),
        (
            "another nonce",
            b"c=biws,r=other,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
        (
            "another header",
            b"c=eSws,r=other,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
        ("short proof", b"c=biws,r=other,p=AAAA"),
        ("no proof", b"c=biws,r=other"),
    ];
    beside_a_bystander(stage(), |_| {
        for (what, body) in table {
            let [proxy, server] = [proxy_tls(), server_tls()].map(|mut peer| {
                peer.send(&startup(endpoint));
                peer.expect_frame(b'R');
                let first = scram::client_first();
                peer.send(&scram::initial_response(scram::MECHANISM, first.as_bytes()));
                peer.expect_frame(b'R');
                peer
            });
            compare(what, proxy, server, &frame(b'p', body));
        }
    });
}

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

/// Waits until the server process has ended.
#[track_caller]
fn gone(pid: u32) {
    let query = format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid}");
    testkit::wait::until("the server's end", testkit::wait::LONG, || {
        Cluster::shared().sql(&query).is_empty()
    });
}

#[test]
fn bytes_that_are_no_tls_records_inside_tls() {
    beside_a_bystander(stage(), |endpoint| {
        let mut session = Session::begin(proxy_tls(), endpoint);
        let pid = session.process_id();
        session.peer.send_raw(b"this is no TLS record at all");
        assert_eq!(session.peer.end(), End::Alert);
        gone(pid);
    });
}

#[test]
fn a_tls_record_that_breaks_off() {
    beside_a_bystander(stage(), |endpoint| {
        let mut session = Session::begin(proxy_tls(), endpoint);
        let pid = session.process_id();
        // Application data of 256 bytes, of which 3 come.
        session.peer.send_raw(b"\x17\x03\x03\x01\x00abc");
        session.peer.cut();
        gone(pid);
        // In the handshake.
        let mut peer = proxy_tcp();
        peer.send(&message::SSL_REQUEST);
        peer.send(b"\x16\x03\x01\x02\x00\x01\x00");
        peer.cut();
    });
}

/// ClientHello of TLS 1.1 with one cipher suite (RFC 4346 section 7.4.1.2).
fn client_hello_1_1() -> Vec<u8> {
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let mut handshake = vec![1, 0, 0, u8::try_from(hello.len()).expect("short")];
    handshake.extend(hello);
    let mut record = vec![0x16, 3, 1, 0, u8::try_from(handshake.len()).expect("short")];
    record.extend(handshake);
    record
}

#[test]
fn tls_1_1_is_too_old() {
    beside_a_bystander(stage(), |_| {
        for direct in [false, true] {
            let mut peer = proxy_tcp();
            if !direct {
                peer.send(&message::SSL_REQUEST);
                peer.expect(b"S");
            }
            peer.send(&client_hello_1_1());
            let (alert, _) = peer.drain();
            // Fatal protocol_version (RFC 8446 section 6.2).
            assert_eq!(alert.len(), 7, "{}", alert.escape_ascii());
            assert_eq!((alert[0], &alert[5..]), (0x15, &[2, 70][..]));
        }
        stage()
            .proxy
            .await_log("no TLS version or cipher suite in common");
    });
}

#[test]
fn tls_1_2_will_do() {
    beside_a_bystander(stage(), |endpoint| {
        let tls = stage().client_tls();
        let tls = tls.versions(SslVersion::TLS1_2, SslVersion::TLS1_2);
        let peer = Peer::tls(stage().proxy.address(), &tls);
        Session::begin(peer, endpoint).query("SELECT 1");
    });
}

#[test]
fn direct_tls_needs_alpn() {
    beside_a_bystander(stage(), |endpoint| {
        let (address, tls) = (stage().proxy.address(), stage().client_tls());
        // Right.
        let mut peer = Peer::direct_tls(address, &tls);
        let selected = peer.ssl().and_then(|ssl| ssl.selected_alpn_protocol());
        assert_eq!(selected, Some(&b"postgresql"[..]));
        // An SSLRequest inside it is declined, once.
        peer.send(&message::SSL_REQUEST);
        peer.expect(b"N");
        Session::begin(peer, endpoint).query("SELECT 1");
        // None: closed after the handshake, without a word.
        if let Ok(mut peer) = Peer::tcp(address).try_handshake(&tls) {
            let _ = peer.try_send(&startup(endpoint));
            assert!(peer.drain().0.is_empty());
        }
        stage()
            .proxy
            .await_log("without the ALPN protocol postgresql");
        // Another: alert, also after SSLRequest.
        let other = tls.alpn(&["http/1.1"]);
        assert!(Peer::tcp(address).try_handshake(&other).is_err());
        let mut peer = Peer::tcp(address);
        peer.send(&message::SSL_REQUEST);
        peer.expect(b"S");
        assert!(peer.try_handshake(&other).is_err());
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

#[test]
fn newer_minor_versions_and_unknown_options_are_negotiated() {
    let option = "_pq_.test_protocol_negotiation";
    // Version asked for, option, version answered.
    let table = [
        (0x0003_270f, Some(option), 0x0003_0002_u32),
        (0x0003_270f, None, 0x0003_0002),
        (0x0003_0000, Some(option), 0x0003_0000),
        (0x0003_0001, None, 0x0003_0000),
    ];
    beside_a_bystander(stage(), |endpoint| {
        for (asked, option, answered) in table {
            let mut parameters = vec![
                ("user", endpoint.user.as_str()),
                ("database", endpoint.database.as_str()),
            ];
            parameters.extend(option.map(|name| (name, "1")));
            let mut peer = proxy_tls();
            peer.send(&message::startup_version(asked, &parameters));
            let mut wanted = answered.to_be_bytes().to_vec();
            wanted.extend(u32::from(option.is_some()).to_be_bytes());
            if let Some(name) = option {
                wanted.extend([name.as_bytes(), b"\0"].concat());
            }
            let answer = peer.expect_frame(b'v');
            assert_eq!(answer.body, wanted, "{asked:x}");
            prove(&mut peer, &endpoint.password);
            Session::settle(peer).query("SELECT 1");
        }
    });
}

/// Sends these bytes one by one, never the last, until the other side gives up.
fn trickle(mut peer: Peer, bytes: &[u8]) -> Peer {
    let (_, bytes) = bytes.split_last().expect("something to hold back");
    for byte in bytes.iter().cycle() {
        if peer.try_send(&[*byte]).is_err() || !peer.silent_for(Duration::from_millis(100)) {
            break;
        }
    }
    peer
}

#[test]
fn slow_clients_are_cut_in_every_phase() {
    const LIMIT: Duration = Duration::from_secs(1);
    let stage = plan().set("listen", "client_login_timeout", "1").start();
    let (address, tls) = (stage.proxy.address(), stage.client_tls());
    beside_a_bystander(&stage, |endpoint| {
        let granted = || {
            let mut peer = Peer::tcp(address);
            peer.send(&message::SSL_REQUEST);
            peer.expect(b"S");
            peer
        };
        let greeted = || Peer::tls(address, &tls);
        let challenged = || {
            let mut peer = greeted();
            peer.send(&startup(endpoint));
            peer.expect_frame(b'R');
            peer
        };
        // A packet that never ends.
        let startup = startup_of(9_000);
        let proof = frame(b'p', &[b'x'; 1000]);
        type Phase<'a> = (&'a str, &'a (dyn Fn() -> Peer + Sync), &'a [u8], bool);
        let phases: [Phase<'_>; 9] = [
            ("says nothing", &|| Peer::tcp(address), b"", false),
            ("half SSLRequest", &|| Peer::tcp(address), &startup, false),
            ("no ClientHello", &granted, b"", false),
            (
                "half ClientHello",
                &granted,
                b"\x16\x03\x01\x0f\xff\x01\0\x0f\xfb\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                false,
            ),
            ("no startup", &greeted, b"", true),
            ("half startup", &greeted, &startup, true),
            ("no proof", &challenged, b"", true),
            ("half proof", &challenged, &proof, true),
            ("half direct ClientHello", &|| Peer::tcp(address), b"\x16\x03\x01\x0f\xff\x01\0\x0f\xfb\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ];
        thread::scope(|scope| {
            for (what, reach, bytes, told) in phases {
                scope.spawn(move || {
                    let start = Instant::now();
                    let mut peer = reach();
                    if !bytes.is_empty() {
                        peer = trickle(peer, bytes);
                    }
                    let (words, _) = peer.drain();
                    let took = start.elapsed();
                    assert!(
                        took >= LIMIT - Duration::from_millis(50),
                        "{what}: {took:?}"
                    );
                    assert!(took < LIMIT * 10, "{what}: {took:?}");
                    let words = String::from_utf8_lossy(&words).into_owned();
                    // A byte may have been taken off the answer by looking for silence.
                    let heard = words.contains("canceling authentication due to timeout");
                    assert_eq!(heard, told, "{what}: {words:?}");
                });
            }
        });
        stage
            .proxy
            .await_log("client_login_timeout passed while logging in");
    });
}

/// Nobody learns from the proxy which users there are.
#[test]
fn unknown_users_and_wrong_passwords_look_the_same() {
    beside_a_bystander(stage(), |endpoint| {
        let exchange = |user: &str| {
            let mut peer = proxy_tls();
            peer.send(&message::startup(&[("user", user), ("database", "any")]));
            let offer = peer.expect_frame(b'R');
            let first = scram::client_first();
            peer.send(&scram::initial_response(scram::MECHANISM, first.as_bytes()));
            let challenge = peer.expect_frame(b'R');
            peer.send(&scram::client_final(&challenge.body[4..], "wrong"));
            let error = peer.expect_error("28P01");
            assert_eq!(peer.end(), End::CloseNotify);
            let text = String::from_utf8(challenge.body).expect("text");
            let (nonce, salt) = text.split_once(",s=").expect("a salt");
            let shape = (offer.body, nonce.len(), salt.len());
            let words = error.body.clone();
            let words = String::from_utf8(words).expect("text").replace(user, "?");
            (shape, words, salt.to_owned())
        };
        let (known, known_words, _) = exchange(&endpoint.user);
        let (unknown, unknown_words, salt) = exchange("nobody_here");
        assert_eq!(known, unknown);
        assert_eq!(known_words, unknown_words);
        assert!(known_words.contains("password authentication failed for user \"?\""));
        // The same salt each time, as a real user's, and another for another user.
        assert_eq!(exchange("nobody_here").2, salt);
        assert_ne!(exchange("nobody_there").2, salt);
    });
}

#[test]
fn method_password_asks_inside_tls() {
    let stage = plan().set("auth", "method", "\"password\"").start();
    let endpoint = stage.endpoint(direct());
    let connect = || {
        let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        peer.send(&startup(&endpoint));
        assert_eq!(peer.expect_frame(b'R').body, [0, 0, 0, 3]);
        peer
    };
    let mut peer = connect();
    peer.send(&message::password(&endpoint.password));
    Session::settle(peer).query("SELECT 1");
    for (wrong, sqlstate) in [
        (message::password("wrong"), "28P01"),
        (message::password(""), "28P01"),
        (frame(b'p', b"no terminator"), "08P01"),
        (frame(b'p', b"two\0strings\0"), "08P01"),
        (message::query("SELECT 1"), "08P01"),
    ] {
        let mut peer = connect();
        peer.send(&wrong);
        peer.expect_error(sqlstate);
        assert_eq!(peer.end(), End::CloseNotify);
    }
    // As PostgreSQL: a password beyond 65535 bytes ends the connection without a word.
    let mut peer = connect();
    let _ = peer.try_send(&message::password(&"x".repeat(70_000)));
    assert!(peer.drain().0.is_empty());
}

#[test]
fn method_md5_challenges_users_whose_password_is_known() {
    let stage = plan().set("auth", "method", "\"md5\"").start();
    let endpoint = stage.endpoint(direct());
    let hex = |bytes: &[u8]| {
        let digest = openssl::hash::hash(openssl::hash::MessageDigest::md5(), bytes);
        let digest = digest.expect("MD5");
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    for (password, right) in [(endpoint.password.as_str(), true), ("wrong", false)] {
        let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        peer.send(&startup(&endpoint));
        let request = peer.expect_frame(b'R');
        assert_eq!(
            (&request.body[..4], request.body.len()),
            (&[0, 0, 0, 5][..], 8)
        );
        let inner = hex(format!("{password}{}", endpoint.user).as_bytes());
        let outer = hex(&[inner.as_bytes(), &request.body[4..]].concat());
        peer.send(&message::password(&format!("md5{outer}")));
        match right {
            true => drop(Session::settle(peer).query("SELECT 1")),
            false => drop(peer.expect_error("28P01")),
        }
    }
}
