//! Changes in what clients execute, seen as operators see them: in the log, in the console, as JSON, in counts, and by a
//! receiver behind HTTPS that verifies each event; and what becomes of events when that receiver is down, slow or wrong.

use e2e::drivers::Endpoint;
use e2e::observed::address;
use e2e::scripted::Session;
use e2e::tables;
use e2e::{Stage, StagePlan};
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::{Authority, Cluster, Identity, Peer, ScriptedServer, ServerTls, wait};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const TOKEN: &str = "the token of the pages";
const ADMIN: (&str, &str) = ("alarms_admin", "the admin's password");
/// A literal that must not be shown anywhere.
const MARKER: &str = "zqliteralqz";

/// One request, as the receiver read it.
#[derive(Clone)]
struct Got {
    head: String,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let value = self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        value.unwrap_or_else(|| panic!("no {name}: {}", self.head))
    }

    fn event(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// A receiver behind HTTPS. What it answers to each request, by number, is the test's; `None`: nothing, ever.
struct Receiver {
    server: ScriptedServer,
    authority: Authority,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    fn start(answer: impl Fn(usize) -> Option<u16> + Send + Sync + 'static) -> Receiver {
        let authority = Authority::new("Hooks");
        let tls = ServerTls::new(&authority.issue(&Identity::localhost()));
        let got = Arc::<Mutex<Vec<Got>>>::default();
        let all = Arc::clone(&got);
        let server = ScriptedServer::start(move |peer: Peer| {
            let Ok(mut peer) = peer.try_accept(&tls) else {
                return;
            };
            let Some(read) = request(&mut peer) else {
                return;
            };
            let number = {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(read);
                all.len() - 1
            };
            match answer(number) {
                Some(status) => {
                    let answer = format!("HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n");
                    let _ = peer.try_send(answer.as_bytes());
                    peer.close();
                }
                None => {
                    peer.end();
                }
            }
        });
        Receiver {
            server,
            authority,
            got,
        }
    }

    fn got(&self) -> Vec<Got> {
        let all = self.got.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }
}

fn request(peer: &mut Peer) -> Option<Got> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(peer.bytes_or_end(1)?);
    }
    let head = String::from_utf8(head).expect("text");
    let got = Got {
        head,
        body: String::new(),
    };
    let length = got.header("content-length").parse().expect("a length");
    let body = String::from_utf8(peer.bytes(length)).expect("text");
    Some(Got { body, ..got })
}

/// As docs/analysis.md tells receivers to do it.
fn is_genuine(secret: &str, header: &str, body: &str) -> bool {
    let Some((at, signature)) = header
        .strip_prefix("t=")
        .and_then(|it| it.split_once(",v1="))
    else {
        return false;
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let is_new = at
        .parse()
        .is_ok_and(|at: u64| now.as_secs().abs_diff(at) < 300);
    let key = PKey::hmac(secret.as_bytes()).expect("a key");
    let mut signer = Signer::new(MessageDigest::sha256(), &key).expect("a signer");
    signer
        .update(format!("{at}.{body}").as_bytes())
        .expect("to sign");
    let wanted: String = signer
        .sign_to_vec()
        .expect("a signature")
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    is_new && wanted.len() == signature.len() && memcmp::eq(wanted.as_bytes(), signature.as_bytes())
}

fn role(name: &str) -> Endpoint {
    Endpoint::direct(Cluster::shared(), name)
}

/// A proxy that looks for changes every second.
fn plan(role: &Endpoint) -> StagePlan {
    Stage::before(Cluster::shared())
        .user(role)
        .user_with(ADMIN.0, ADMIN.1)
        .file("pages.token", TOKEN)
        .file("hook.secret", SECRET)
        .set("inspection", "statements", "true")
        .set("inspection", "window", "\"1s\"")
        .set("events", "changes", "true")
        .set("events", "warmup", "0")
        .more(&format!(
            "[metrics]\naddress = '127.0.0.1:0'\ntoken_file = 'pages.token'\n\
             [admin]\nadmin_users = '{}'\n",
            ADMIN.0
        ))
}

/// With a receiver at this port, whom this authority vouches for.
fn told(plan: StagePlan, port: u16, authority: &Authority, more: &str) -> StagePlan {
    let pem = String::from_utf8(authority.pem().to_vec()).expect("PEM");
    plan.file("hooks.crt", &pem).more(&format!(
        "[[webhook]]\nname = 'hook'\nurl = 'https://localhost:{port}/t0kenpath'\nsecret_file = 'hook.secret'\n\
         ca_file = 'hooks.crt'\nretry_wait = '10ms'\nretry_wait_max = '20ms'\n{more}\n"
    ))
}

#[track_caller]
fn page(stage: &Stage, path: &str) -> String {
    let mut peer = Peer::tcp(address(stage));
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    peer.send(request.as_bytes());
    let answer = String::from_utf8(peer.drain().0).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

/// A number of `/metrics`.
#[track_caller]
fn count(stage: &Stage, series: &str) -> u64 {
    let page = page(stage, "/metrics");
    let line = page
        .lines()
        .find_map(|it| it.strip_prefix(series)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("no {series}: {page}"));
    line.parse().expect("a number")
}

fn events(stage: &Stage) -> Vec<Value> {
    serde_json::from_str(&page(stage, "/events")).expect("JSON")
}

/// New patterns, one after the other, until the condition holds.
#[track_caller]
fn churn(session: &mut Session, what: &str, mut holds: impl FnMut() -> bool) {
    let mut number = 0;
    wait::until(what, wait::LONG, || {
        number += 1;
        session.query(&format!("SELECT '{MARKER}' AS column_{number}"));
        holds()
    });
}

#[test]
fn a_new_pattern_and_a_burst_of_errors_are_told_everywhere_and_signed() {
    let role = role("alarms_told");
    let receiver = Receiver::start(|_| Some(204));
    let plan = plan(&role).set("events", "errors_min", "5");
    let port = receiver.server.address().port();
    let stage = told(plan, port, &receiver.authority, "").start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    let failing = format!("SELECT 1 / 0, '{MARKER}'");
    let of = |kind: &str, phase: &str| {
        let all = receiver.got();
        let is = |it: &Value| it["kind"] == kind && it["phase"] == phase;
        all.iter().map(Got::event).find(|it| is(it))
    };
    wait::until("a burst of errors", wait::LONG, || {
        for _ in 0..10 {
            session.peer.send(&testkit::peer::message::query(&failing));
            while session.peer.frame().tag != b'Z' {}
        }
        of("error_burst", "began").is_some()
    });
    let burst = of("error_burst", "began").expect("the event");
    assert_eq!(burst["facts"]["query"], "select ? / ?, ...");
    assert_eq!(burst["facts"]["database"], role.database.as_str());
    assert_eq!(burst["facts"]["errors_per_thousand"], 1000);
    assert!(burst["facts"]["errors"].as_u64() >= Some(5), "{burst:#}");
    wait::until("a new pattern", wait::LONG, || {
        of("new_pattern", "happened").is_some()
    });
    // Without errors it is over, and that is told of the same subject.
    wait::until("the end of it", wait::LONG, || {
        of("error_burst", "ended").is_some()
    });
    let ended = of("error_burst", "ended").expect("the event");
    assert_eq!(ended["subject"], burst["subject"]);
    let all = receiver.got();
    for got in &all {
        let header = got.header("Portcullis-Signature");
        assert!(
            is_genuine(SECRET, header, &got.body),
            "{header}: {}",
            got.body
        );
        assert!(!is_genuine("another", header, &got.body));
        assert!(
            !is_genuine(SECRET, header, &got.body.replace("began", "ended"))
                || !got.body.contains("began")
        );
        assert!(!is_genuine(SECRET, "t=1,v1=00", &got.body));
        assert_eq!(got.header("content-type"), "application/json");
        assert!(
            got.head.starts_with("POST /t0kenpath HTTP/1.1\r\n"),
            "{}",
            got.head
        );
    }
    let ids: std::collections::HashSet<_> =
        all.iter().map(|it| it.event()["id"].to_string()).collect();
    assert_eq!(ids.len(), all.len(), "each event comes once");
    // The same in the log, in the console, as JSON and in counts.
    let id = burst["id"].as_str().expect("an id");
    assert!(events(&stage).contains(&burst));
    let mut admin = Session::through(
        &stage,
        &Endpoint {
            user: ADMIN.0.to_owned(),
            password: ADMIN.1.to_owned(),
            database: "portcullis".to_owned(),
            ..stage.endpoint(&role)
        },
    );
    let rows = tables::show(&mut admin, "EVENTS");
    let row = tables::of(&rows, "id", id);
    assert_eq!(tables::text(row, "kind"), "error_burst");
    assert!(tables::text(row, "facts").contains("errors_per_thousand=1000"));
    assert!(count(&stage, "portcullis_events_total{kind=\"error_burst\"}") >= 2);
    assert!(
        count(
            &stage,
            "portcullis_webhook_deliveries_total{webhook=\"hook\"}"
        ) >= 3
    );
    let config = tables::show(&mut admin, "CONFIG");
    let log = stage.proxy.log();
    assert!(log.contains(id) && log.contains("error_burst"), "{log}");
    // Neither a literal, nor the secret, nor the path of the receiver.
    for text in [
        &log,
        &format!("{config:?}"),
        &page(&stage, "/metrics"),
        &page(&stage, "/events"),
    ] {
        for secret in [MARKER, SECRET, "t0kenpath"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    assert!(all.iter().all(|it| !it.body.contains(MARKER)));
}

/// As soon as there is a full long span to compare with.
#[test]
fn what_gets_slower_and_what_comes_more_often_is_told() {
    let role = role("alarms_slower");
    let stage = plan(&role)
        .set("events", "calls_min", "2")
        .set("events", "slower_min", "\"20ms\"")
        .set("events", "volume_min", "10")
        .set("events", "volume_percent", "200")
        .start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    let told = |kind: &str, phase: &str, query: &str| {
        let all = events(&stage);
        let is = |it: &Value| {
            it["kind"] == kind && it["phase"] == phase && it["facts"]["query"] == query
        };
        all.into_iter().find(|it| is(it))
    };
    // A long span of five windows has to be full, which began after both were known.
    let span = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.expect("a time").as_secs() / 5
    };
    let known = || {
        ["select pg_sleep(?)", "select ?"]
            .iter()
            .all(|it| told("new_pattern", "happened", it).is_some())
    };
    let mut known_in = None;
    let mut turns = 0..;
    wait::until("a past", wait::LONG, || {
        session.query("SELECT pg_sleep(0.025)");
        if turns.next().is_some_and(|it| it % 10 == 0) {
            session.query("SELECT 1");
            known_in = known_in.or_else(|| known().then(&span));
        }
        known_in.is_some_and(|it| span() >= it + 2)
    });
    // So much of both that a machine with other work shows it, too, before it has become what is usual.
    wait::until("both changes", wait::LONG, || {
        session.query("SELECT pg_sleep(0.25)");
        (0..10).for_each(|_| drop(session.query("SELECT 2")));
        told("slower", "began", "select pg_sleep(?)").is_some()
            && told("volume", "began", "select ?").is_some()
    });
    let slower = told("slower", "began", "select pg_sleep(?)").expect("the event");
    let number = |of: &Value, fact: &str| of["facts"][fact].as_u64().expect(fact);
    assert!(number(&slower, "p95_us") >= 250_000, "{slower:#}");
    assert!(
        (25_000..125_000).contains(&number(&slower, "usual_p95_us")),
        "{slower:#}"
    );
    let volume = told("volume", "began", "select ?").expect("the event");
    assert!(
        number(&volume, "calls") >= 2 * number(&volume, "usual_calls"),
        "{volume:#}"
    );
    // Whoever stops is neither any more.
    wait::until("the ends", wait::LONG, || {
        told("slower", "ended", "select pg_sleep(?)").is_some()
            && told("volume", "ended", "select ?").is_some()
    });
}

#[test]
fn what_fails_is_tried_again_and_what_is_refused_is_not() {
    let role = role("alarms_again");
    let receiver = Receiver::start(|number| Some([500, 503, 200, 404, 307][number.min(4)]));
    let port = receiver.server.address().port();
    let stage = told(plan(&role), port, &receiver.authority, "").start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    let hook = |what: &str| {
        count(
            &stage,
            &format!("portcullis_webhook_{what}{{webhook=\"hook\"}}"),
        )
    };
    churn(&mut session, "three events", || receiver.got().len() >= 5);
    let got = receiver.got();
    let id = |number: usize| got[number].event()["id"].to_string();
    assert!(id(0) == id(1) && id(1) == id(2), "tried until it was taken");
    assert!(id(2) != id(3) && id(3) != id(4), "refused once is refused");
    wait::until("counts", wait::LONG, || hook("given_up_total") >= 2);
    assert_eq!(hook("deliveries_total"), 1);
    assert!(hook("failures_total") >= 4);
    let log = stage.proxy.log();
    assert!(
        log.contains("delivered at last") && log.contains("answered with status 404"),
        "{log}"
    );
}

/// Nobody listens, somebody else does, or nobody answers: statements go on, events make room for newer ones, and all is
/// counted. When the receiver is back, it gets what still waits.
#[test]
fn a_receiver_that_is_down_slow_or_another_holds_up_nobody() {
    let role = role("alarms_down");
    let silent = Receiver::start(|_| None);
    let other = Receiver::start(|_| Some(200));
    let stranger = Authority::new("Stranger");
    // A port that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = free.local_addr().expect("its address").port();
    drop(free);
    for (port, authority, said) in [
        (closed, &stranger, "cannot connect to localhost"),
        (
            other.server.address().port(),
            &stranger,
            "its certificate is not good",
        ),
        (
            silent.server.address().port(),
            &silent.authority,
            "within 100 ms",
        ),
    ] {
        let more = "queue_max = 2\ntimeout = '100ms'\nretries = 100";
        let stage = told(plan(&role), port, authority, more).start();
        let mut session = Session::through(&stage, &stage.endpoint(&role));
        let hook = |what: &str| {
            count(
                &stage,
                &format!("portcullis_webhook_{what}{{webhook=\"hook\"}}"),
            )
        };
        churn(&mut session, "events that make room", || {
            assert!(hook("waiting") <= 3, "two wait, and one is on its way");
            hook("dropped_total") > 0 && hook("failures_total") > 1
        });
        assert_eq!(hook("deliveries_total"), 0);
        let log = stage.proxy.log();
        assert!(log.contains(said), "{said}: {log}");
        assert_eq!(session.value("SELECT 'goes on'"), "goes on");
    }
    assert!(
        other.got().is_empty(),
        "nothing was said to who isn't the receiver"
    );
}

/// A secret that is changed, as a certificate is, comes into force by a reload.
#[test]
fn another_secret_comes_into_force_by_a_reload() {
    let role = role("alarms_renewed");
    let receiver = Receiver::start(|_| Some(200));
    let port = receiver.server.address().port();
    let mut stage = told(plan(&role), port, &receiver.authority, "").start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    let genuine = |secret: &str| {
        let got = receiver.got();
        let is = |it: &Got| is_genuine(secret, it.header("Portcullis-Signature"), &it.body);
        got.last().is_some_and(is)
    };
    churn(&mut session, "an event", || genuine(SECRET));
    let next = "another secret of enough bytes";
    std::fs::write(stage.proxy.directory().join("hook.secret"), next).expect("the file");
    stage.proxy.signal(testkit::Signal::SIGHUP);
    churn(&mut session, "an event with it", || genuine(next));
    assert!(!stage.proxy.log().contains(next));
}

#[test]
fn under_churn_so_many_are_told_in_a_minute_and_the_rest_is_counted() {
    let role = role("alarms_churn");
    let stage = plan(&role).set("events", "per_minute_max", "3").start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    churn(&mut session, "a count of the rest", || {
        count(&stage, "portcullis_events_total{kind=\"suppressed\"}") > 0
    });
    let all = events(&stage);
    let rest = all
        .iter()
        .find(|it| it["kind"] == "suppressed")
        .expect("the event");
    assert!(rest["facts"]["changes"].as_u64() >= Some(1), "{rest:#}");
    assert!(!page(&stage, "/events").contains(MARKER));
}

#[test]
fn what_would_not_protect_events_is_refused() {
    let stage = |webhook: &str, secret: &str| {
        let plan = Stage::before(Cluster::shared())
            .file("hook.secret", secret)
            .more(&format!(
                "[[webhook]]\nname = 'hook'\nsecret_file = 'hook.secret'\n{webhook}\n"
            ));
        let mut proxy = plan.launch();
        proxy.await_end(wait::LONG);
        proxy.log()
    };
    for (webhook, secret, said) in [
        ("url = 'http://localhost/x'", SECRET, "plain_http = true"),
        (
            "url = 'https://user:pass@localhost/x'",
            SECRET,
            "leave it out",
        ),
        ("url = 'localhost/x'", SECRET, "must begin with https://"),
        ("url = 'https://localhost/x'", "short", "less than 16 bytes"),
    ] {
        let log = stage(webhook, secret);
        assert!(log.contains(said), "{said}: {log}");
        assert!(!log.contains("/x") && !log.contains("pass@"), "{log}");
    }
}

/// What docs/analysis.md says to write works, and what it says to verify with takes what is genuine and nothing else.
#[test]
fn the_page_says_what_works() {
    let page = include_str!("../../docs/analysis.md");
    let block = |language: &str| {
        let (_, rest) = page
            .split_once(&format!("```{language}\n"))
            .expect("a block");
        rest.split_once("```").expect("its end").0
    };
    let toml = block("toml");
    let role = role("alarms_page");
    let stage = Stage::before(Cluster::shared())
        .user(&role)
        .file("webhook.secret", SECRET)
        .more(toml)
        .start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    assert_eq!(session.value("SELECT 'works'"), "works");

    let receiver = Receiver::start(|_| Some(200));
    let port = receiver.server.address().port();
    let stage = told(plan(&role), port, &receiver.authority, "").start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    churn(&mut session, "an event", || !receiver.got().is_empty());
    let got = receiver.got().remove(0);
    let signature = got.header("Portcullis-Signature");
    let says = |secret: &str, signature: &str, body: &str| {
        let script = format!(
            "{}\nimport sys\nprint(is_genuine(*(it.encode() if at != 1 else it for at, it in enumerate(sys.argv[1:]))))",
            block("python")
        );
        let run = std::process::Command::new("python3")
            .args(["-c", &script, secret, signature, body])
            .output();
        let run = run.expect("python3");
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        String::from_utf8_lossy(&run.stdout).trim() == "True"
    };
    assert!(says(SECRET, signature, &got.body));
    assert!(!says("another secret", signature, &got.body));
    assert!(!says(
        SECRET,
        signature,
        &got.body.replace("new_pattern", "old_pattern")
    ));
    assert!(!says(SECRET, "", &got.body));
    let (_, hex) = signature.split_once(',').expect("two parts");
    assert!(!says(SECRET, &format!("t=1700000000,{hex}"), &got.body));
    // The event on the page has the form of a real one.
    let written: Value = serde_json::from_str(block("json")).expect("JSON");
    let keys = |it: &Value| {
        it.as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&written), keys(&got.event()));
}
