//! A cluster that Patroni keeps in etcd, all of it real: its members as both tell them, over verified TLS and with
//! passwords, before and after a switchover; and a proxy that follows it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use buf::Secret;
use e2e::StagePlan;
use e2e::clustered::{TABLES, Writers};
use e2e::drivers::Endpoint;
use e2e::tables::{ADMIN as OPERATOR, console, show, text};
use fetch::{Bounds, Request, Trust, Url};
use members::{Etcd, Fault, Found, Login, Patroni, Plan, Servers, Source, SwitchoverFault};
use openssl::base64::encode_block;
use serde_json::{Value, json};
use testkit::Cluster;
use testkit::account::Account;
use testkit::guard::{Guarded, Workplace};
use testkit::ports::{self, Reserved};
use testkit::wait::{self, LONG};
use testkit::{Authority, Binaries, Identity, Signal};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// Longer than Patroni's own patience: initdb, a base backup, and the loss of a leader's key.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than it takes to hear of something and to ask.
const A_WHILE: Duration = Duration::from_millis(1500);
const ADMIN: (&str, &str) = ("admin", "rest \"secret\"");
const ROOT: (&str, &str) = ("root", "etcd \"secret\"");

/// What all of them need.
struct Place {
    authority: Authority,
    account: Account,
    runtime: Runtime,
}

/// A program with its directory, in which lie its certificate and its log.
struct Running {
    child: Guarded,
    log: PathBuf,
}

impl Place {
    fn new() -> Place {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Place {
            authority: Authority::new("Members"),
            account: Account::for_server(),
            runtime: runtime.expect("a runtime"),
        }
    }

    /// A directory that the servers' account owns: with a certificate for localhost, and its authority's.
    fn workplace(&self, name: &str) -> Workplace {
        let place = Workplace::new(name);
        let directory = place.path();
        self.authority.write(directory, "ca");
        self.authority
            .issue(&Identity::localhost())
            .write(directory, "server");
        place
    }

    fn start(&self, place: Workplace, command: impl FnOnce(&Path) -> Command) -> Running {
        let command = command(place.path());
        self.account.own(place.path()).expect("an owned directory");
        let log = place.path().join("log");
        let child = Guarded::start(command, place, &log, Signal::SIGTERM);
        Running { child, log }
    }

    fn command(&self, program: &str) -> Command {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let mut paths = std::env::split_paths(&paths).map(|it| it.join(program));
        let found = paths.find(|it| it.exists());
        let hint = format!("{program}; `scripts/install test` installs it");
        self.account.command(&found.expect(&hint))
    }

    fn servers(&self, urls: &[Url], (user, password): (&str, &str)) -> Servers {
        Servers {
            urls: urls.to_vec(),
            trust: self.trust(),
            login: Some(Login {
                user: user.to_owned(),
                password: Secret::new(password.as_bytes()),
            }),
            timeout: LONG,
        }
    }

    fn trust(&self) -> Trust {
        Trust::new(Some(self.authority.pem()), None).expect("an authority")
    }

    /// Asks until the answer is as wanted.
    #[track_caller]
    fn await_found(
        &self,
        source: &mut Source,
        what: &str,
        is_it: impl Fn(&Found) -> bool,
    ) -> Found {
        let hurry = Notify::new();
        let mut last = None;
        let found = wait::within(PATIENCE, || {
            let next = async { tokio::time::timeout(PATIENCE, source.next(&hurry)).await };
            let answer = self.runtime.block_on(next);
            last = Some(answer.expect("an answer in time"));
            last.clone()?.ok().filter(&is_it)
        });
        found.unwrap_or_else(|| panic!("waited in vain for {what}; the last answer: {last:?}"))
    }
}

impl Drop for Running {
    /// Patroni ends its PostgreSQL before itself, which takes a while.
    fn drop(&mut self) {
        self.child.signal(Signal::SIGTERM);
        let ended = wait::within(LONG, || self.child.ended());
        if ended.is_none() || std::thread::panicking() {
            println!("{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// etcd, whose root has a password.
fn etcd(place: &Place, port: &Reserved) -> Running {
    let running = place.start(place.workplace("etcd-"), |directory| {
        let within = |name: &str| directory.join(name).display().to_string();
        let here = format!("https://localhost:{}", port.number);
        // Nobody else is there to talk to: a socket of Unix will do.
        let peers = "unix://peers:0".to_owned();
        let mut command = place.command("etcd");
        command.current_dir(directory);
        for (option, value) in [
            ("--data-dir", within("data")),
            (
                "--listen-client-urls",
                format!("https://{}", port.address()),
            ),
            ("--advertise-client-urls", here),
            ("--cert-file", within("server.crt")),
            ("--key-file", within("server.key")),
            ("--listen-peer-urls", peers.clone()),
            ("--initial-advertise-peer-urls", peers.clone()),
            ("--initial-cluster", format!("default={peers}")),
        ] {
            command.args([option, &value]);
        }
        command
    });
    let (user, password) = ROOT;
    for (path, body) in [
        ("user/add", json!({ "name": user, "password": password })),
        ("role/add", json!({ "name": user })),
        ("user/grant", json!({ "user": user, "role": user })),
        ("enable", json!({})),
    ] {
        let what = format!("etcd to take auth/{path}");
        wait::until(&what, LONG, || tell_etcd(place, port, path, &body));
    }
    running
}

fn tell_etcd(place: &Place, port: &Reserved, path: &str, body: &Value) -> bool {
    let url = url(port).at(&format!("/v3/auth/{path}"));
    let bounds = Bounds {
        deadline: LONG,
        body_max: 65_536,
    };
    let request = Request::post(body.to_string());
    let trust = place.trust();
    let asked = fetch::fetch(&url, &trust, request, bounds);
    place
        .runtime
        .block_on(asked)
        .is_ok_and(|it| it.is_success())
}

fn url(port: &Reserved) -> Url {
    let url = format!("https://localhost:{}", port.number);
    url.parse().expect("a URL")
}

/// A node's ports.
struct Node {
    name: &'static str,
    rest: Reserved,
    postgres: Reserved,
}

impl Node {
    fn new(name: &'static str) -> Node {
        Node {
            name,
            rest: ports::reserve(),
            postgres: ports::reserve(),
        }
    }

    fn key(&self) -> String {
        format!("127.0.0.1:{}", self.postgres.number)
    }

    fn start(&self, place: &Place, etcd: &Reserved, tags: &Value) -> Running {
        place.start(place.workplace("patroni-"), |directory| {
            let file = directory.join("patroni.yml");
            // JSON is YAML too.
            let settings = self.settings(directory, etcd, tags).to_string();
            fs::write(&file, settings).expect("Patroni's settings");
            let mut command = place.command("patroni");
            command.arg(file).current_dir(directory);
            command
        })
    }

    fn settings(&self, directory: &Path, etcd: &Reserved, tags: &Value) -> Value {
        let within = |name: &str| directory.join(name).display().to_string();
        let binaries = Binaries::installed().program("");
        let (admin, password) = ADMIN;
        json!({
            "scope": "main", "name": self.name,
            "restapi": {
                "listen": self.rest.address(), "connect_address": self.rest.address(),
                "certfile": within("server.crt"), "keyfile": within("server.key"), "cafile": within("ca.crt"),
                "authentication": { "username": admin, "password": password },
            },
            "ctl": { "cacert": within("ca.crt") },
            "etcd3": {
                "host": format!("localhost:{}", etcd.number), "protocol": "https", "cacert": within("ca.crt"),
                "username": ROOT.0, "password": ROOT.1,
            },
            "bootstrap": {
                "dcs": { "ttl": 20, "loop_wait": 1, "retry_timeout": 5 },
                "initdb": [{ "encoding": "UTF8" }, "no-sync"],
                "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
            },
            "postgresql": {
                "listen": self.key(), "connect_address": self.key(),
                "bin_dir": binaries, "data_dir": within("data"), "pgpass": within("pgpass"),
                "authentication": {
                    "superuser": { "username": "postgres", "password": "unused" },
                    "replication": { "username": "replicator", "password": "unused" },
                },
                "parameters": {
                    "unix_socket_directories": directory, "fsync": "off", "shared_buffers": "16MB",
                    "ssl": "on", "ssl_cert_file": within("server.crt"), "ssl_key_file": within("server.key"),
                },
            },
            "tags": tags,
        })
    }
}

fn keys(found: &Found) -> Vec<&str> {
    let keys = found.members.iter().map(|it| it.key().as_str());
    keys.collect()
}

fn leader(found: &Found) -> Option<&str> {
    found.leader.as_ref().map(|it| it.as_str())
}

/// Whoever writes to etcd as Patroni does.
struct Writer<'a> {
    place: &'a Place,
    port: &'a Reserved,
    token: String,
}

impl<'a> Writer<'a> {
    fn new(place: &'a Place, port: &'a Reserved) -> Writer<'a> {
        let mut writer = Writer {
            place,
            port,
            token: String::new(),
        };
        let (name, password) = ROOT;
        let login = json!({ "name": name, "password": password });
        let answer = writer.tell("auth/authenticate", &login);
        writer.token = answer["token"].as_str().expect("a token").to_owned();
        writer
    }

    #[track_caller]
    fn tell(&self, path: &str, body: &Value) -> Value {
        let url = url(self.port).at(&format!("/v3/{path}"));
        let bounds = Bounds {
            deadline: LONG,
            body_max: 65_536,
        };
        let request = Request::post(body.to_string());
        let request = match self.token.is_empty() {
            true => request,
            false => request
                .with(fetch::header::AUTHORIZATION, self.token.as_bytes(), true)
                .expect("a header"),
        };
        let trust = self.place.trust();
        let asked = fetch::fetch(&url, &trust, request, bounds);
        let answer = self.place.runtime.block_on(asked).expect("an answer");
        assert!(answer.is_success(), "{answer:?}");
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    #[track_caller]
    fn put(&self, key: &str, value: &str) {
        let encoded = |text: &str| encode_block(text.as_bytes());
        let key = encoded(&format!("/service/main/{key}"));
        self.tell("kv/put", &json!({ "key": key, "value": encoded(value) }));
    }

    #[track_caller]
    fn remove(&self, key: &str) {
        let key = encode_block(format!("/service/main/{key}").as_bytes());
        self.tell("kv/deleterange", &json!({ "key": key }));
    }

    #[track_caller]
    fn put_member(&self, name: &str, xlog_location: u64) {
        let value = json!({
            "conn_url": format!("postgres://{name}.example.com:5432/postgres"),
            "state": "running", "role": "replica", "xlog_location": xlog_location,
        });
        self.put(&format!("members/{name}"), &value.to_string());
    }
}

/// Who asks once an hour hears of another leader and of another member when that happens, and of nothing else.
#[test]
fn a_change_in_etcd_is_heard_of_when_it_happens() {
    let place = Place::new();
    let port = ports::reserve();
    let _etcd = etcd(&place, &port);
    let writer = Writer::new(&place, &port);
    writer.put_member("one", 1);
    writer.put_member("other", 1);
    writer.put("leader", "one");
    let mut source = Source::new(Plan::Etcd(Etcd {
        servers: place.servers(&[url(&port)], ROOT),
        scope: "/service/main".to_owned(),
        interval: Duration::from_secs(3600),
    }));
    let hurry = Notify::new();
    let mut next = |patience| {
        let next = async { tokio::time::timeout(patience, source.next(&hurry)).await };
        let answer = place.runtime.block_on(next);
        answer.ok().map(|it| it.expect("what etcd has"))
    };
    let found = next(LONG).expect("what is there");
    assert_eq!(leader(&found), Some("one.example.com:5432"));

    // Nothing is missed that happens between the answer and the watch.
    writer.put("leader", "other");
    let found = next(LONG).expect("the other leader");
    assert_eq!(leader(&found), Some("other.example.com:5432"));
    assert!(next(A_WHILE).is_none(), "nothing has happened");
    writer.put_member("one", 2);
    writer.put_member("other", 2);
    assert!(next(A_WHILE).is_none(), "that is no news");
    writer.put_member("third", 1);
    let found = next(LONG).expect("one more");
    assert_eq!(keys(&found).len(), 3);
    // A key that goes is news, too.
    writer.remove("members/other");
    let found = next(LONG).expect("one less");
    assert_eq!(keys(&found).len(), 2);
}

#[test]
fn patroni_and_its_keys_in_etcd_tell_the_same_before_and_after_a_switchover() {
    let place = Place::new();
    let etcd_port = ports::reserve();
    let _etcd = etcd(&place, &etcd_port);
    let (one, other) = (Node::new("one"), Node::new("other"));
    let _one = one.start(&place, &etcd_port, &json!({}));
    let urls = [url(&one.rest), url(&other.rest)];
    let patroni = Patroni {
        servers: place.servers(&urls, ADMIN),
        interval: Duration::from_secs(1),
    };
    let plan = Etcd {
        servers: place.servers(&[url(&etcd_port)], ROOT),
        scope: "/service/main".to_owned(),
        interval: Duration::from_secs(1),
    };
    let mut by_patroni = Source::new(Plan::Patroni(patroni.clone()));
    let mut by_etcd = Source::new(Plan::Etcd(plan.clone()));
    let is_led_by = |node: &Node| {
        let key = node.key();
        move |found: &Found| leader(found) == Some(&*key)
    };
    place.await_found(&mut by_patroni, "a leader", is_led_by(&one));

    // The second one joins, and is to be read by nobody.
    let tags = json!({ "noloadbalance": true, "zone": "b" });
    let _other = other.start(&place, &etcd_port, &tags);
    let wanted = [one.key(), other.key()];
    let is_complete = |found: &Found| keys(found) == wanted;
    for source in [&mut by_patroni, &mut by_etcd] {
        let found = place.await_found(source, "two members", is_complete);
        assert_eq!(leader(&found), Some(&*one.key()));
        let facts: Vec<_> = found
            .members
            .iter()
            .map(|it| (it.title.as_str(), it.member.weight, it.member.zone.as_str()))
            .collect();
        assert_eq!(facts, [("one", 100, ""), ("other", 0, "b")]);
    }

    // What can't be is refused in Patroni's words.
    let switchover = |patroni: &Patroni, from: &str, to: &str| {
        place.runtime.block_on(patroni.switchover(from, to))
    };
    let mut stranger = patroni.clone();
    stranger.servers.login = None;
    for (patroni, from, wanted) in [(&patroni, "other", 412), (&stranger, "one", 401)] {
        match switchover(patroni, from, "other") {
            Err(Fault::Switchover {
                why: SwitchoverFault::Refused { status, words, .. },
                ..
            }) => assert_eq!(status, wanted, "{words}"),
            unexpected => panic!("{unexpected:?}"),
        }
    }
    let mut wrong = plan;
    wrong.servers = place.servers(&[url(&etcd_port)], ("root", "wr0ng"));
    let refused = place
        .runtime
        .block_on(Source::new(Plan::Etcd(wrong)).next(&Notify::new()))
        .expect_err("a wrong password");
    let shown = refused.to_string();
    assert!(shown.contains("check user and password"), "{shown}");

    // It may take a while until the new one can be chosen.
    let mut last = None;
    let words = wait::within(PATIENCE, || {
        last = Some(switchover(&patroni, "one", "other"));
        last.clone()?.ok()
    });
    let words = words.unwrap_or_else(|| panic!("no switchover: {last:?}"));
    assert_eq!(words, "Successfully switched over to \"other\"");
    for source in [&mut by_patroni, &mut by_etcd] {
        let found = place.await_found(source, "the new leader", is_led_by(&other));
        assert_eq!(keys(&found), wanted);
    }
}

/// What the node's server says to the superuser.
#[track_caller]
fn sql(node: &Node, text: &str) -> String {
    let mut psql = Cluster::client_program("psql");
    psql.args([
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        "--command",
        text,
    ])
    .env("PGHOST", "127.0.0.1")
    .env("PGPORT", node.postgres.number.to_string())
    .env("PGUSER", "postgres")
    .env("PGDATABASE", "postgres");
    let output = testkit::program::output(&mut psql);
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "{}", said(&output.stderr));
    said(&output.stdout)
}

/// Ends a node as a power failure does: Patroni and its server at once.
fn cut_power(running: &Running) {
    let pid = fs::read_to_string(running.child.directory().join("data/postmaster.pid"));
    let pid = pid.expect("the server's process id");
    let pid = pid.lines().next().and_then(|it| it.parse().ok());
    let pid = nix::unistd::Pid::from_raw(pid.expect("a number"));
    running.child.signal(Signal::SIGKILL);
    nix::sys::signal::kill(pid, Signal::SIGKILL).expect("a signal to the server");
}

#[test]
fn a_proxy_follows_patroni_through_a_switchover_and_a_failover() {
    let place = Place::new();
    let etcd_port = ports::reserve();
    let _etcd = etcd(&place, &etcd_port);
    let (one, other) = (Node::new("one"), Node::new("other"));
    let first = one.start(&place, &etcd_port, &json!({}));
    let mut source = Source::new(Plan::Patroni(Patroni {
        servers: place.servers(&[url(&one.rest)], ADMIN),
        interval: Duration::from_secs(1),
    }));
    let key = one.key();
    place.await_found(&mut source, "a leader", |it| leader(it) == Some(&*key));
    let second = other.start(&place, &etcd_port, &json!({}));
    place.await_found(&mut source, "two members", |it| keys(it).len() == 2);

    sql(&one, "CREATE ROLE writer LOGIN");
    sql(&one, "CREATE ROLE checker LOGIN");
    sql(&one, TABLES);
    sql(&one, "GRANT ALL ON register, counters TO writer");
    let authority = place.workplace("authority-");
    let ca = authority.path().join("ca.crt");
    let role = Endpoint {
        host: "localhost".to_owned(),
        port: 0,
        ca_file: ca.clone(),
        user: "writer".to_owned(),
        password: "the password of the writer".to_owned(),
        database: "postgres".to_owned(),
    };
    let cluster = format!(
        "[admin]\nadmin_users = '{}'\n[[cluster]]\nname = 'main'\ncheck_user = 'checker'\n\
         check_timeout = '20s'\n\
         patroni = ['{}', '{}']\npatroni_user = '{}'\npatroni_password_file = 'rest.password'\n\
         members_interval = '1s'\nswitchover_timeout = '60s'\n\
         [cluster.tls]\nca = '{ca}'\n[cluster.source_tls]\nca = '{ca}'\n",
        OPERATOR.0,
        url_text(&one.rest),
        url_text(&other.rest),
        ADMIN.0,
        ca = ca.display(),
    );
    let stage = StagePlan::new("localhost", one.postgres.number, &ca)
        .unset("database", "host")
        .unset("database", "port")
        .unset("database.tls", "ca")
        .set("database", "cluster", "'main'")
        .set("database", "pool_mode", "'transaction'")
        .file("rest.password", ADMIN.1)
        .user(&role)
        .user_with(OPERATOR.0, OPERATOR.1)
        .more(&cluster)
        .start();
    let mut writers = Writers::start(&stage, &role, 8);
    let hosts = || show(&mut console(&stage, OPERATOR), "HOSTS");
    wait::until("a standby", PATIENCE, || {
        hosts().iter().any(|it| text(it, "role") == "standby")
    });
    // Patroni says itself when the other one can be chosen.
    let mut admin = console(&stage, OPERATOR);
    let order = format!("SWITCHOVER main TO {}", other.key());
    wait::until("the switchover", PATIENCE, || {
        admin.peer.send(&testkit::peer::message::query(&order));
        loop {
            match admin.peer.frame().tag {
                b'C' => break true,
                b'E' => break false,
                _ => {}
            }
        }
    });
    writers.until_next_write();
    assert_eq!(sql(&other, "SELECT pg_is_in_recovery()"), "f");

    // The other way without a warning, once the first one is a standby that Patroni would take.
    let key = other.key();
    place.await_found(&mut source, "the new leader", |it| {
        leader(it) == Some(&*key)
    });
    wait::until("a standby again", PATIENCE, || {
        hosts().iter().any(|it| {
            text(it, "port") == one.postgres.number.to_string() && text(it, "role") == "standby"
        })
    });
    // Patroni promotes nobody who is behind by more than 1 MiB when the power goes.
    wait::until("its replication", PATIENCE, || {
        let caught_up = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' \
                         AND pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn) < 65536";
        sql(&other, caught_up) == "1"
    });
    cut_power(&second);
    wait::until("a promotion", PATIENCE, || {
        sql(&one, "SELECT pg_is_in_recovery()") == "f"
    });
    writers.until_next_write();
    let written = writers.stop();
    assert_eq!(written.idle(), "served");
    let log = stage.proxy.log();
    assert!(!log.contains("panicked"), "{log}");
    drop(first);
}

fn url_text(port: &Reserved) -> String {
    format!("https://localhost:{}", port.number)
}
