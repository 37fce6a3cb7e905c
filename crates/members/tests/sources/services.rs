//! Members by Patroni and etcd, over HTTPS, from servers that answer by script.

use crate::{Asked, NEVER, runtime};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use buf::Secret;
use fetch::{Trust, Url};
use members::{Etcd, Fault, Login, Patroni, Plan, Servers, SwitchoverFault};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::wait::LONG;
use testkit::{Authority, Identity, Peer, ScriptedServer, ServerTls};

const CLUSTER: &str = r#"{"members": [
    {"name": "db1", "role": "leader", "state": "running", "host": "10.0.0.1", "port": 5432, "timeline": 1},
    {"name": "db2", "role": "replica", "state": "streaming", "host": "10.0.0.2", "port": 5432, "timeline": 1,
     "lag": 0}], "scope": "main"}"#;

/// What a server does with a request.
enum Answer {
    /// Status and body.
    Says(u16, String),
    /// It closes the connection.
    HangsUp,
    /// It waits until the other side closes it.
    Waits,
}

/// From head and body of a request to what is done with it.
type Script = dyn Fn(&str, &str) -> Answer + Send + Sync;

/// An HTTPS server of this authority, for localhost.
struct Service {
    server: ScriptedServer,
    /// Head and body of each request.
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Service {
    fn start(authority: &Authority, script: Box<Script>) -> Service {
        let tls = ServerTls::new(&authority.issue(&Identity::localhost()));
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let tell = Arc::clone(&asked);
        let server = ScriptedServer::start(move |peer: Peer| {
            let Ok(mut peer) = peer.try_accept(&tls) else {
                return;
            };
            let (head, body) = request(&mut peer);
            tell.lock().unwrap().push((head.clone(), body.clone()));
            let (status, body) = match script(&head, &body) {
                Answer::Says(status, body) => (status, body),
                Answer::HangsUp => return peer.close(),
                Answer::Waits => {
                    peer.end();
                    return;
                }
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            // Who asked may have had enough before the end.
            let _ = peer.try_send(head.as_bytes());
            let _ = peer.try_send(body.as_bytes());
            peer.close();
        });
        Service { server, asked }
    }

    fn answering(authority: &Authority, status: u16, body: &str) -> Service {
        let body = body.to_owned();
        Service::start(
            authority,
            Box::new(move |_, _| Answer::Says(status, body.clone())),
        )
    }

    fn url(&self) -> Url {
        let port = self.server.address().port();
        format!("https://localhost:{port}/ignored").parse().unwrap()
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

fn request(peer: &mut Peer) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(peer.bytes(1));
    }
    let head = String::from_utf8(head).unwrap();
    let length = |it: &str| it.strip_prefix("content-length: ")?.parse().ok();
    let length = head.lines().find_map(length).unwrap_or(0);
    let body = String::from_utf8(peer.bytes(length)).unwrap();
    (head, body)
}

fn servers(authority: &Authority, urls: Vec<Url>, login: Option<(&str, &str)>) -> Servers {
    Servers {
        urls,
        trust: Trust::new(Some(authority.pem()), None).unwrap(),
        login: login.map(|(user, password)| Login {
            user: user.to_owned(),
            password: Secret::new(password.as_bytes()),
        }),
        timeout: LONG,
    }
}

fn patroni(authority: &Authority, urls: Vec<Url>) -> Patroni {
    Patroni {
        servers: servers(authority, urls, None),
        interval: NEVER,
    }
}

#[test]
fn patroni_names_members_and_leader() {
    let authority = Authority::new("Patroni");
    let service = Service::answering(&authority, 200, CLUSTER);
    let mut plan = patroni(&authority, vec![service.url()]);
    plan.servers.login = servers(&authority, vec![], Some(("admin", "s3cret"))).login;
    let mut asked = Asked::new(Plan::Patroni(plan));
    let found = asked.next().unwrap();
    assert_eq!(crate::keys(&found), ["10.0.0.1:5432", "10.0.0.2:5432"]);
    assert_eq!(found.leader.unwrap().as_str(), "10.0.0.1:5432");
    let (head, _) = &service.asked()[0];
    assert!(head.starts_with("GET /cluster HTTP/1.1\r\n"), "{head}");
    // Who only reads does not say who it is.
    assert!(
        !head.to_ascii_lowercase().contains("authorization"),
        "{head}"
    );
    assert!(!format!("{:?}", asked.source).contains("s3cret"));
}

#[test]
fn what_is_no_answer_of_patroni_is_a_fault_that_says_where() {
    let (authority, stranger) = (Authority::new("Right"), Authority::new("Wrong"));
    let huge = format!("{}{}", " ".repeat(1 << 20), CLUSTER);
    for (service, word) in [
        (
            Service::answering(&authority, 500, "no\r\nway"),
            "HTTP 500: no  way",
        ),
        (
            Service::answering(&authority, 401, "who?"),
            "does not let us in (HTTP 401): who?",
        ),
        (
            Service::answering(&authority, 302, ""),
            "HTTP 302: (nothing said)",
        ),
        (
            Service::answering(&authority, 200, "<html>"),
            "its answer can't be used",
        ),
        (
            Service::answering(&authority, 200, "{\"members\": []}"),
            "names no member",
        ),
        (
            Service::answering(&authority, 200, &huge),
            "longer than 1048576 bytes",
        ),
        (
            Service::answering(&stranger, 200, CLUSTER),
            "its certificate is not good",
        ),
    ] {
        let url = service.url();
        let mut asked = Asked::new(Plan::Patroni(patroni(&authority, vec![url.clone()])));
        let fault = asked.next().unwrap_err().to_string();
        let begin = format!("Patroni: {url}: ");
        assert!(fault.starts_with(&begin) && fault.contains(word), "{fault}");
    }
    let silent = Service::start(&authority, Box::new(|_, _| Answer::Waits));
    let mut plan = patroni(&authority, vec![silent.url()]);
    plan.servers.timeout = Duration::from_millis(300);
    let fault = Asked::new(Plan::Patroni(plan)).next().unwrap_err();
    assert!(fault.to_string().contains("within 300 ms"), "{fault}");
    let mut none = Asked::new(Plan::Patroni(patroni(&authority, vec![])));
    let fault = none.next().unwrap_err();
    assert!(fault.to_string().contains("no URL is given"), "{fault}");
}

#[test]
fn servers_are_asked_in_turn_beginning_with_the_one_that_worked() {
    let authority = Authority::new("Turns");
    let ill = Service::answering(&authority, 503, "not yet");
    let well = Service::answering(&authority, 200, CLUSTER);
    let dead: Url = "https://localhost:1/".parse().unwrap();
    let mut plan = patroni(&authority, vec![dead, ill.url(), well.url()]);
    plan.interval = Duration::from_secs(1);
    let mut asked = Asked::new(Plan::Patroni(plan.clone()));
    for turn in 1..=3 {
        asked.next().unwrap();
        assert_eq!((ill.asked().len(), well.asked().len()), (1, turn));
    }
    // All are named that were of no use.
    plan.servers.urls.pop();
    let Err(Fault::Service { tried, .. }) = Asked::new(Plan::Patroni(plan)).next() else {
        panic!("somebody answered");
    };
    assert_eq!(tried.len(), 2);
}

#[test]
fn a_switchover_is_asked_for_once_and_told_in_patronis_words() {
    let authority = Authority::new("Switchover");
    let switchover = |mut plan: Patroni, login| {
        plan.servers.login = servers(&authority, vec![], login).login;
        runtime().block_on(plan.switchover("db1", "db2"))
    };
    let done = Service::answering(&authority, 200, "Successfully switched over to \"db2\"");
    let dead: Url = "https://localhost:1/".parse().unwrap();
    let login = Some(("admin", "s3cret"));
    let words = switchover(patroni(&authority, vec![dead.clone(), done.url()]), login).unwrap();
    assert_eq!(words, "Successfully switched over to \"db2\"");
    let (head, body) = &done.asked()[0];
    assert!(head.starts_with("POST /switchover HTTP/1.1\r\n"), "{head}");
    let basic = BASE64_STANDARD.encode("admin:s3cret");
    assert!(
        head.contains(&format!("authorization: Basic {basic}\r\n")),
        "{head}"
    );
    assert_eq!(body, r#"{"candidate":"db2","leader":"db1"}"#);

    // A refusal is the answer: nobody else is asked.
    let refusing = Service::answering(&authority, 412, "leader name does not match");
    let urls = vec![refusing.url(), done.url()];
    let fault = switchover(patroni(&authority, urls), None).unwrap_err();
    let wanted = format!(
        "switchover from db1 to db2: {} refused it (HTTP 412): leader name does not match",
        refusing.url()
    );
    assert_eq!(fault.to_string(), wanted);
    assert!(!refusing.asked()[0].0.contains("authorization"));
    // Nor when it isn't known what became of it.
    let lost = Service::start(&authority, Box::new(|_, _| Answer::HangsUp));
    let urls = vec![lost.url(), done.url()];
    let fault = switchover(patroni(&authority, urls), None).unwrap_err();
    let is_unknown = matches!(
        fault,
        Fault::Switchover {
            why: SwitchoverFault::Unknown { .. },
            ..
        }
    );
    assert!(is_unknown, "{fault}");
    assert_eq!(done.asked().len(), 1);
    // Where nobody could be asked, nothing has changed.
    let fault = switchover(patroni(&authority, vec![dead]), None).unwrap_err();
    assert!(
        fault.to_string().contains("no Patroni could be asked"),
        "{fault}"
    );
}

fn etcd(authority: &Authority, urls: Vec<Url>, login: Option<(&str, &str)>) -> Plan {
    Plan::Etcd(Etcd {
        servers: servers(authority, urls, login),
        scope: "/service/main".to_owned(),
        interval: Duration::from_secs(1),
    })
}

/// As etcd's gateway has it.
fn error(text: &str) -> String {
    format!(r#"{{"error":"{text}","message":"{text}","code":3}}"#)
}

fn keys_of_patroni() -> String {
    let pair = |key: &str, value: &str| {
        let (key, value) = (BASE64_STANDARD.encode(key), BASE64_STANDARD.encode(value));
        format!(
            r#"{{"key":"{key}","create_revision":"5","mod_revision":"9","version":"3","value":"{value}"}}"#
        )
    };
    let member = |host: &str, role: &str| {
        format!(
            r#"{{"conn_url":"postgres://{host}:5432/postgres","state":"running","role":"{role}"}}"#
        )
    };
    let pairs = [
        pair("/service/main/leader", "db2"),
        pair("/service/main/members/db1", &member("10.0.0.1", "replica")),
        pair("/service/main/members/db2", &member("10.0.0.2", "primary")),
    ];
    format!(
        r#"{{"header":{{"revision":"9"}},"kvs":[{}],"count":"3"}}"#,
        pairs.join(",")
    )
}

#[test]
fn etcd_names_members_and_leader() {
    let authority = Authority::new("etcd");
    let service = Service::answering(&authority, 200, &keys_of_patroni());
    let mut asked = Asked::new(etcd(&authority, vec![service.url()], None));
    let found = asked.next().unwrap();
    assert_eq!(crate::keys(&found), ["10.0.0.1:5432", "10.0.0.2:5432"]);
    assert_eq!(found.leader.unwrap().as_str(), "10.0.0.2:5432");
    let (head, body) = &service.asked()[0];
    assert!(head.starts_with("POST /v3/kv/range HTTP/1.1\r\n"), "{head}");
    assert!(
        body.contains(&BASE64_STANDARD.encode("/service/main/leader")),
        "{body}"
    );
}

#[test]
fn etcd_is_told_who_we_are_once_and_again_when_it_has_forgotten() {
    let authority = Authority::new("etcd auth");
    // Each token is good for two ranges. Then one version says so, and another one hangs up.
    for says_so in [true, false] {
        let given = Mutex::new((0, 0));
        let script = move |head: &str, body: &str| {
            let mut given = given.lock().unwrap();
            if head.starts_with("POST /v3/auth/authenticate ") {
                assert_eq!(body, r#"{"name":"reader","password":"s3cret \" \\"}"#);
                *given = (given.0 + 1, 0);
                return Answer::Says(200, format!(r#"{{"token":"tok.{}"}}"#, given.0));
            }
            given.1 += 1;
            let token = format!("authorization: tok.{}\r\n", given.0);
            match (head.contains(&token) && given.1 <= 2, says_so) {
                (true, _) => Answer::Says(200, keys_of_patroni()),
                (false, true) => Answer::Says(401, error("etcdserver: invalid auth token")),
                (false, false) => Answer::HangsUp,
            }
        };
        let service = Service::start(&authority, Box::new(script));
        let login = Some(("reader", "s3cret \" \\"));
        let mut asked = Asked::new(etcd(&authority, vec![service.url()], login));
        for _ in 0..3 {
            assert_eq!(asked.keys().len(), 2);
        }
        let paths: Vec<String> = service
            .asked()
            .iter()
            .filter_map(|(head, _)| head.split(' ').nth(1).map(str::to_owned))
            .collect();
        let (who, range) = ("/v3/auth/authenticate", "/v3/kv/range");
        assert_eq!(paths, [who, range, range, range, who, range]);
        assert!(!format!("{:?}", asked.source).contains("tok."));
    }
}

#[test]
fn what_etcd_refuses_is_told_in_its_words() {
    let authority = Authority::new("etcd refuses");
    let login = Some(("reader", "s3cret"));
    for (login, status, body, word) in [
        (
            None,
            400,
            error("etcdserver: user name is empty"),
            "HTTP 400: etcdserver: user name is empty",
        ),
        (
            login,
            400,
            error("etcdserver: authentication failed"),
            "authentication failed; check user and password",
        ),
        (login, 200, "{}".to_owned(), "no token in its answer"),
        (
            None,
            404,
            "404 page not found\n".to_owned(),
            "HTTP 404: 404 page not found",
        ),
        (
            None,
            200,
            r#"{"header":{}}"#.to_owned(),
            "etcd below /service/main/ names no member",
        ),
    ] {
        let service = Service::answering(&authority, status, &body);
        let mut asked = Asked::new(etcd(&authority, vec![service.url()], login));
        let fault = asked.next().unwrap_err().to_string();
        assert!(fault.contains(word), "{fault}");
        assert!(!fault.contains("s3cret"), "{fault}");
    }
    // Where nobody needs to log in, user and password do no harm.
    let script = move |head: &str, _: &str| match head.contains("/authenticate ") {
        true => Answer::Says(400, error("etcdserver: authentication is not enabled")),
        false => Answer::Says(200, keys_of_patroni()),
    };
    let service = Service::start(&authority, Box::new(script));
    let mut asked = Asked::new(etcd(&authority, vec![service.url()], login));
    assert_eq!(asked.keys().len(), 2);
}

/// Who asks once in a lifetime asks again when the watch tells of something, from the next revision on.
#[test]
fn etcd_is_asked_again_when_its_watch_has_news() {
    let authority = Authority::new("etcd watch");
    let script = |head: &str, body: &str| {
        if !head.starts_with("POST /v3/watch ") {
            return Answer::Says(200, keys_of_patroni());
        }
        assert!(body.contains(r#""start_revision":"10""#), "{body}");
        let key = BASE64_STANDARD.encode("/service/main/leader");
        let news =
            format!(r#"{{"result":{{"events":[{{"type":"DELETE","kv":{{"key":"{key}"}}}}]}}}}"#);
        Answer::Says(
            200,
            format!("{{\"result\":{{\"created\":true}}}}\n{news}\n"),
        )
    };
    let service = Service::start(&authority, Box::new(script));
    let plan = match etcd(&authority, vec![service.url()], None) {
        Plan::Etcd(plan) => Plan::Etcd(Etcd {
            interval: NEVER,
            ..plan
        }),
        other => other,
    };
    let mut asked = Asked::new(plan);
    for _ in 0..2 {
        assert_eq!(asked.keys().len(), 2);
    }
    let asked = service.asked();
    let paths: Vec<_> = asked
        .iter()
        .map(|(head, _)| head.split(' ').nth(1))
        .collect();
    let (range, watch) = (Some("/v3/kv/range"), Some("/v3/watch"));
    assert_eq!(paths, [range, watch, range]);
}
