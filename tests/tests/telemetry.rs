//! Spans and metrics as a collector gets them: names, parents, times; and what becomes of them when it is down.

use e2e::drivers::Endpoint;
use e2e::observed::address;
use e2e::scripted::Session;
use e2e::{Stage, StagePlan};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::peer::message;
use testkit::{Authority, Cluster, Identity, Peer, ScriptedServer, ServerTls, wait};

const MARKER: &str = "zqliteralqz";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const TOKEN: &str = "t0kenofcollector";

/// A collector behind HTTPS: what it got, by path.
struct Collector {
    server: ScriptedServer,
    authority: Authority,
    got: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Collector {
    /// Answers with this status.
    fn start(status: u16) -> Collector {
        let authority = Authority::new("Collector");
        let tls = ServerTls::new(&authority.issue(&Identity::localhost()));
        let got = Arc::<Mutex<Vec<(String, Value)>>>::default();
        let all = Arc::clone(&got);
        let server = ScriptedServer::start(move |peer: Peer| {
            let Ok(mut peer) = peer.try_accept(&tls) else {
                return;
            };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Some(byte) = peer.bytes_or_end(1) else {
                    return;
                };
                head.extend(byte);
            }
            let head = String::from_utf8(head).expect("text");
            assert!(
                head.contains(&format!("authorization: Bearer {TOKEN}\r\n")),
                "{head}"
            );
            assert!(
                head.contains("content-type: application/json\r\n"),
                "{head}"
            );
            let length = head.split_once("content-length: ").expect("a length").1;
            let length = length
                .split_once('\r')
                .expect("its end")
                .0
                .parse()
                .expect("a number");
            let body = serde_json::from_slice(&peer.bytes(length)).expect("JSON");
            let path = head.split(' ').nth(1).expect("a path").to_owned();
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((path, body));
            let answer = format!("HTTP/1.1 {status} So\r\nContent-Length: 2\r\n\r\n{{}}");
            let _ = peer.try_send(answer.as_bytes());
            peer.close();
        });
        Collector {
            server,
            authority,
            got,
        }
    }

    fn got(&self) -> Vec<(String, Value)> {
        self.got
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All spans so far.
    fn spans(&self) -> Vec<Value> {
        let all = self.got();
        let traces = all.iter().filter(|it| it.0 == "/otel/v1/traces");
        let of = |body: &Value| {
            let scope = &body["resourceSpans"][0]["scopeSpans"][0];
            scope["spans"].as_array().expect("spans").clone()
        };
        traces.flat_map(|it| of(&it.1)).collect()
    }

    /// The points of a metric, as last told.
    fn points(&self, name: &str) -> Vec<Value> {
        let all = self.got();
        let last = all.iter().rev().find(|it| it.0 == "/otel/v1/metrics");
        let metrics =
            last.map(|it| it.1["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].clone());
        let metrics = metrics
            .as_ref()
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let metric = metrics.iter().find(|it| it["name"] == name);
        let kinds = ["histogram", "sum", "gauge"];
        let points = metric.and_then(|it| {
            kinds
                .iter()
                .find_map(|kind| it[kind]["dataPoints"].as_array())
        });
        points.cloned().unwrap_or_default()
    }

    /// The span of this text.
    #[track_caller]
    fn span(&self, query: &str) -> Value {
        wait::until_some(query, wait::LONG, || {
            self.spans()
                .into_iter()
                .find(|it| attribute(it, "db.query.text") == query)
        })
    }
}

/// An attribute of a span or a point.
fn attribute(of: &Value, key: &str) -> Value {
    let all = of["attributes"].as_array().expect("attributes");
    let found = all.iter().find(|it| it["key"] == key);
    let value = found.and_then(|it| it["value"].as_object()?.values().next());
    value.cloned().unwrap_or(Value::Null)
}

fn role(name: &str) -> Endpoint {
    Endpoint::direct(Cluster::shared(), name)
}

fn plan(role: &Endpoint, collector: &Collector, more: &str) -> StagePlan {
    let pem = String::from_utf8(collector.authority.pem().to_vec()).expect("PEM");
    let port = collector.server.address().port();
    Stage::before(Cluster::shared())
        .user(role)
        .file("collector.crt", &pem)
        .file("collector.header", &format!("Authorization: Bearer {TOKEN}\n"))
        .more(&format!(
            "[metrics]\naddress = '127.0.0.1:0'\n[opentelemetry]\nendpoint = 'https://localhost:{port}/otel'\n\
             ca_file = 'collector.crt'\nheader_file = 'collector.header'\ninterval = '100ms'\n{more}\n"
        ))
}

fn now_ns() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time")
        .as_nanos()
}

#[test]
fn statements_are_spans_of_their_callers() {
    for mode in ["session", "transaction"] {
        let role = role(&format!("telemetry_spans_{mode}"));
        let collector = Collector::start(200);
        let stage = plan(&role, &collector, "")
            .set("pool", "pool_mode", &format!("\"{mode}\""))
            .start();
        let mut session = Session::through(&stage, &stage.endpoint(&role));
        session.query("CREATE TEMP TABLE IF NOT EXISTS none (a int)");
        let before = now_ns();
        session.query(&format!(
            "SELECT a, '{MARKER}' FROM pg_sleep(0.05), generate_series(1, 3) a /*app='x',traceparent='00-{TRACE}-{PARENT}-01'*/"
        ));
        let after = now_ns();
        let span = collector.span("select a, ? from pg_sleep(?), generate_series(?, ...) a");
        assert_eq!(span["traceId"], TRACE);
        assert_eq!(span["parentSpanId"], PARENT);
        assert_eq!(span["spanId"].as_str().map(str::len), Some(16));
        assert_ne!(span["spanId"], PARENT);
        assert_eq!(
            (&span["kind"], &span["name"]),
            (&3.into(), &"SELECT".into())
        );
        assert_eq!(span["status"], serde_json::json!({}));
        let time = |key: &str| {
            span[key]
                .as_str()
                .and_then(|it| it.parse::<u128>().ok())
                .expect(key)
        };
        let (began, ended) = (time("startTimeUnixNano"), time("endTimeUnixNano"));
        assert!(ended - began >= 50_000_000, "{span:#}");
        // The clock is asked once a minute.
        const SLACK: u128 = 20_000_000;
        assert!(
            began + SLACK >= before && ended <= after + SLACK,
            "{before} {span:#} {after}"
        );
        for (key, value) in [
            ("db.system.name", "postgresql"),
            ("db.namespace", &role.database),
            ("db.operation.name", "SELECT"),
            ("db.query.summary", "SELECT"),
            ("db.response.returned_rows", "3"),
            ("server.address", "localhost"),
            ("server.port", &Cluster::shared().port().to_string()),
        ] {
            assert_eq!(attribute(&span, key), value, "{key}: {span:#}");
        }
        // Without a caller it is a trace of its own; with an error it says so.
        session.peer.send(&message::query(&format!(
            "SELECT a / 0 FROM pg_class, (SELECT 1 a) x -- '{MARKER}'"
        )));
        while session.peer.frame().tag != b'Z' {}
        let span = collector.span("select a / ? from pg_class, (select ? a) x");
        assert_eq!(span["parentSpanId"], "");
        assert_ne!(span["traceId"], TRACE);
        assert_eq!(span["name"], "SELECT pg_class");
        assert_eq!(span["status"]["code"], 2);
        assert_eq!(attribute(&span, "db.response.status_code"), "22012");
        assert_eq!(attribute(&span, "error.type"), "22012");
        // A caller that records nothing has no span.
        session.query(&format!(
            "SELECT 'unsampled' AS b /*traceparent='00-{TRACE}-{PARENT}-00'*/"
        ));
        session.query("SELECT 'last' AS c");
        collector.span("select ? as c");
        let all = collector.spans();
        assert!(
            all.iter()
                .all(|it| attribute(it, "db.query.text") != "select ? as b")
        );
        // Prepared, and with its parent in the text of Parse.
        let text = format!("SELECT $1::int AS d /*traceparent='00-{TRACE}-{PARENT}-01'*/");
        let sent: Vec<u8> = [
            e2e::twins::Message::Parse(String::new(), text),
            e2e::twins::Message::Bind(String::new(), String::new(), vec!["7".to_owned()]),
            e2e::twins::Message::Execute(String::new(), 0),
            e2e::twins::Message::Sync,
        ]
        .iter()
        .flat_map(|it| it.encode(""))
        .collect();
        session.peer.send(&sent);
        while session.peer.frame().tag != b'Z' {}
        assert_eq!(collector.span("select ?::int as d")["parentSpanId"], PARENT);
        // Durations are of all statements, and connections those of the pool.
        let points = wait::until_some("durations", wait::LONG, || {
            let points = collector.points("db.client.operation.duration");
            let right = |it: &Value| {
                attribute(it, "db.operation.name") == "SELECT"
                    && attribute(it, "error.type").is_null()
            };
            let point = points.iter().find(|it| right(it))?.clone();
            (point["count"] == "4").then_some((points, point))
        });
        let (points, point) = points;
        assert_eq!(
            point["explicitBounds"],
            serde_json::json!([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0])
        );
        assert_eq!(point["bucketCounts"].as_array().map(Vec::len), Some(10));
        assert!(point["sum"].as_f64() >= Some(0.05), "{point:#}");
        assert_eq!(attribute(&point, "db.namespace"), role.database.as_str());
        assert!(
            points
                .iter()
                .any(|it| attribute(it, "error.type") == "22012"),
            "{points:#?}"
        );
        let states = collector.points("db.client.connection.count");
        assert!(
            states
                .iter()
                .any(|it| attribute(it, "db.client.connection.state") == "used"),
            "{states:#?}"
        );
        assert!(!collector.points("portcullis.clients").is_empty());
        // No literal, and no token in the log.
        assert!(!format!("{:?}", collector.got()).contains(MARKER));
        assert!(!stage.proxy.log().contains(TOKEN));
    }
}

#[test]
fn so_many_are_sampled_as_wanted_and_callers_may_be_overruled() {
    let role = role("telemetry_sampled");
    let collector = Collector::start(200);
    let more = "sample_per_million = 0\nunsampled = true\nquery_text = false";
    let stage = plan(&role, &collector, more).start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    session.query("SELECT 1");
    session.query(&format!(
        "SELECT 2 /*traceparent='00-{TRACE}-{PARENT}-00'*/"
    ));
    wait::until("the span", wait::LONG, || !collector.spans().is_empty());
    drop(session);
    drop(stage);
    let all = collector.spans();
    let parents: Vec<_> = all.iter().map(|it| &it["parentSpanId"]).collect();
    assert_eq!(parents, [PARENT]);
    assert!(attribute(&all[0], "db.query.text").is_null());
}

/// A number of `/metrics`.
#[track_caller]
fn count(stage: &Stage, series: &str) -> u64 {
    let mut peer = Peer::tcp(address(stage));
    peer.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let page = String::from_utf8(peer.drain().0).expect("text");
    let line = page
        .lines()
        .find_map(|it| it.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series}: {page}"))
        .parse()
        .expect("a number")
}

/// A collector that refuses, or isn't the right one: statements go on, and what is lost is counted.
#[test]
fn a_collector_that_takes_nothing_holds_up_nobody() {
    let role = role("telemetry_down");
    let refusing = Collector::start(400);
    let slow = Collector::start(503);
    let stranger = Collector {
        authority: Authority::new("Stranger"),
        ..Collector::start(200)
    };
    for (collector, series, said) in [
        (
            &refusing,
            "portcullis_otlp_spans_lost_total",
            "answered with status 400",
        ),
        (
            &slow,
            "portcullis_otlp_spans_dropped_total",
            "answered with status 503",
        ),
        (
            &stranger,
            "portcullis_otlp_spans_dropped_total",
            "its certificate is not good",
        ),
    ] {
        let stage = plan(&role, collector, "queue_max = 4\nbatch_max = 2").start();
        let mut session = Session::through(&stage, &stage.endpoint(&role));
        wait::until(said, wait::LONG, || {
            (0..20).for_each(|_| drop(session.query("SELECT 1")));
            count(&stage, series) > 0 && count(&stage, "portcullis_otlp_failures_total") > 0
        });
        let log = stage.proxy.log();
        assert!(log.contains(said), "{said}: {log}");
        assert_eq!(count(&stage, "portcullis_otlp_spans_sent_total"), 0);
    }
    assert!(
        stranger.got().is_empty(),
        "nothing was said to who isn't the collector"
    );
}

/// What docs/opentelemetry.md says to write works, and its statement names a caller.
#[test]
fn the_page_says_what_works() {
    let page = include_str!("../../docs/opentelemetry.md");
    let block = |language: &str| {
        let (_, rest) = page
            .split_once(&format!("```{language}\n"))
            .expect("a block");
        rest.split_once("```").expect("its end").0
    };
    let role = role("telemetry_page");
    let toml = block("toml");
    let stage = Stage::before(Cluster::shared())
        .user(&role)
        .file("collector.header", "Authorization: Bearer t")
        .more(toml)
        .start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    assert_eq!(session.value("SELECT 'works'"), "works");

    let collector = Collector::start(200);
    let stage = plan(&role, &collector, "").start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    session.query("CREATE TEMP TABLE orders (a int)");
    session.query(block("sql"));
    let span = collector.span("select * from orders");
    assert_eq!(
        (&span["traceId"], &span["parentSpanId"]),
        (&TRACE.into(), &PARENT.into())
    );
    assert_eq!(span["name"], "SELECT orders");
}
