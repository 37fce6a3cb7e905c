//! Statements as operators see them: what runs now, what has run by pattern, in every protocol mode, for clients
//! with a server connection of their own and for those that share; never a literal.

mod audit;
mod log;
mod scene;
mod sinks;
mod values;

use e2e::scripted::Session;
use e2e::twins::Message;
use scene::{MARKER, POOL_MODES, Scene, answered, pages, plan, role, run, send};
use serde_json::Value;
use testkit::peer::message;
use testkit::{Cluster, wait};

/// The row whose query is this.
fn pattern<'r>(rows: &'r Value, query: &str) -> &'r Value {
    let all = rows.as_array().expect("a list");
    let found = all.iter().find(|row| row["query"] == query);
    found.unwrap_or_else(|| panic!("no row of {query}: {rows:#}"))
}

#[test]
fn every_protocol_mode_is_counted_by_pattern() {
    for mode in POOL_MODES {
        let role = role(&format!("inspect_patterns_{mode}"));
        let stage = plan(&role, mode).start();
        let mut session = Session::through(&stage, &stage.endpoint(&role));
        session.query("CREATE TEMP TABLE IF NOT EXISTS none (a int)");
        // The simple protocol, twice with other literals.
        session.query(&format!("SELECT '{MARKER}', 1 FROM generate_series(1, 3)"));
        session.query(&format!(
            "select '{MARKER}2',2 from generate_series(1,  5) -- {MARKER}"
        ));
        // An error, twice in other ways.
        for text in ["SELECT 1 / 0", "SELECT 2 / 0"] {
            send(&mut session, &[Message::query(text)]);
            answered(&mut session);
        }
        // A statement that is prepared once and run three times, in one pipeline.
        let sync = Message::Sync;
        let text = "SELECT a FROM generate_series(1, 4) a WHERE a > $1::int";
        send(
            &mut session,
            &[
                Message::Parse("s".to_owned(), text.to_owned()),
                sync.clone(),
            ],
        );
        answered(&mut session);
        let uses: Vec<Message> = (0..3)
            .flat_map(|_| {
                let bind = Message::Bind(String::new(), "s".to_owned(), vec!["2".to_owned()]);
                [bind, Message::Execute(String::new(), 0), Message::Sync]
            })
            .collect();
        send(&mut session, &uses);
        for _ in 0..3 {
            answered(&mut session);
        }
        // A copy each way, in one session that keeps its table.
        session.query("BEGIN; CREATE TEMP TABLE copied (a int) ON COMMIT DROP");
        send(
            &mut session,
            &[
                Message::query("COPY copied FROM STDIN"),
                Message::CopyData("1\n2\n3\n".to_owned()),
                Message::CopyDone,
            ],
        );
        answered(&mut session);
        session.query("COPY copied TO STDOUT");
        session.query("COMMIT");
        // Unnamed, with a failure in the middle of a batch.
        let batch = [
            &run("SELECT 1 WHERE false")[..],
            &run("SELECT 1 % 0"),
            &run("SELECT 3"),
            &[sync],
        ];
        send(&mut session, &batch.concat());
        answered(&mut session);

        let rows = pages(&stage, "/patterns");
        let of = |query: &str| pattern(&rows, query).clone();
        let counts = |query: &str| {
            let row = of(query);
            (
                row["calls"].clone(),
                row["errors"].clone(),
                row["rows"].clone(),
            )
        };
        let is = |query: &str, wanted: (u64, u64, u64)| {
            let (calls, errors, count) = wanted;
            let wanted: (Value, Value, Value) = (calls.into(), errors.into(), count.into());
            assert_eq!(counts(query), wanted, "{mode}: {query}");
        };
        is("select ?, ? from generate_series(?, ...)", (2, 0, 8));
        is("select ? / ?", (2, 2, 0));
        assert_eq!(of("select ? / ?")["errors_by_state"], "22012:2");
        is(
            "select a from generate_series(?, ...) a where a > ?::int",
            (3, 0, 6),
        );
        is("copy copied from stdin", (1, 0, 3));
        is("copy copied to stdout", (1, 0, 3));
        is("select ? where false", (1, 0, 0));
        is("select ? % ?", (1, 1, 0));
        let row = of("select ?, ? from generate_series(?, ...)");
        assert_eq!(row["role"], role.user.as_str());
        assert_eq!(row["database"], role.database.as_str());
        let number = |column: &str| row[column].as_u64().expect(column);
        assert!(
            number("bytes_out") > 8 * 7 && number("bytes_in") > 50,
            "{row:#}"
        );
        assert!(
            number("total_us") >= number("server_us") && number("max_us") > 0,
            "{row:#}"
        );
        assert!(!rows.to_string().contains(MARKER), "{rows:#}");
        // What the server skipped was not called.
        let skipped = rows
            .as_array()
            .map(|it| it.iter().any(|row| row["query"] == "select ?"));
        assert_eq!(skipped, Some(false), "{rows:#}");
        // In numbers of their own, and in all together.
        let metrics = scene::text(&stage, "/metrics");
        let id = row["pattern"].as_str().expect("a number");
        let line = format!("portcullis_pattern_calls_total{{pattern=\"{id}\"");
        assert!(metrics.contains(&line), "{metrics}");
        assert!(!metrics.contains(MARKER) && !metrics.contains("generate_series"));
    }
}

#[test]
fn patterns_are_forgotten_when_the_console_says_so() {
    let role = role("inspect_reset");
    let stage = plan(&role, "transaction").start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    session.query("SELECT 1");
    let mut scene = Scene::console(&stage);
    assert_eq!(scene.shown("PATTERNS").len(), 1);
    scene.order("RESET PATTERNS");
    assert!(scene.shown("PATTERNS").is_empty());
    session.query("SELECT 2");
    assert_eq!(scene.shown("PATTERNS")[0]["query"], "select ?");
}

#[test]
fn statements_under_way_are_shown_with_what_they_wait_for() {
    for mode in POOL_MODES {
        let role = role(&format!("inspect_activity_{mode}"));
        let stage = plan(&role, mode)
            .set("pool", "default_pool_size", "1")
            .start();
        let mut session = Session::through(&stage, &stage.endpoint(&role));
        let is = |what: &str, wanted: &[(&str, &str)]| {
            let mut last = Value::Null;
            let found = wait::within(wait::LONG, || {
                last = pages(&stage, "/activity");
                let rows = last.as_array().expect("a list");
                let fits =
                    |row: &&Value| wanted.iter().all(|(column, value)| row[column] == *value);
                rows.iter().find(fits).cloned()
            });
            found.unwrap_or_else(|| panic!("{mode}: {what}: {last:#}"))
        };
        session.query("BEGIN");
        let row = is(
            "idle in transaction",
            &[
                ("state", "idle in transaction"),
                ("wait_reason", "the client sends"),
            ],
        );
        assert_eq!(row["query"], Value::Null);
        assert_eq!(row["user"], role.user.as_str());
        session.peer.send(&message::query(&format!(
            "SELECT pg_sleep(600), '{MARKER}'"
        )));
        let row = is(
            "executing",
            &[("state", "executing"), ("query", "select pg_sleep(?), ?")],
        );
        assert_eq!(row["wait_reason"], "the server answers");
        assert!(
            row["tls"]
                .as_str()
                .is_some_and(|it| it.starts_with("TLSv1.")),
            "{row:#}"
        );
        assert!(
            row["server_tls"]
                .as_str()
                .is_some_and(|it| it.starts_with("TLSv1.")),
            "{row:#}"
        );
        assert!(
            row["server_pid"].as_u64().is_some_and(|it| it > 0),
            "{row:#}"
        );
        if mode == "transaction" {
            // Another one waits for the only connection.
            let mut other = Session::through(&stage, &stage.endpoint(&role));
            other.peer.send(&message::query("SELECT 1"));
            let row = is("waiting", &[("state", "waiting for a server")]);
            assert_eq!(row["wait_reason"], "a server connection");
            other.peer.close();
        }
        // Cancelled, it is an error of its pattern.
        let pid = row["server_pid"].to_string();
        Cluster::shared().sql(&format!("SELECT pg_cancel_backend({pid})"));
        answered(&mut session);
        session.query("ROLLBACK");
        let rows = pages(&stage, "/patterns");
        assert_eq!(
            pattern(&rows, "select pg_sleep(?), ?")["errors_by_state"],
            "57014:1"
        );
        // A client that doesn't read what it asked for.
        let long = "SELECT repeat('x', 1000) FROM generate_series(1, 200000)";
        session.peer.send(&message::query(long));
        let row = is(
            "streaming",
            &[("state", "streaming"), ("wait_reason", "the client reads")],
        );
        assert!(
            row["rows"].as_u64() > Some(10) && row["bytes"].as_u64() > Some(10_000),
            "{row:#}"
        );
        assert!(!pages(&stage, "/activity").to_string().contains(MARKER));
        session.peer.close();
        let gone = wait::within(wait::LONG, || {
            let rows = pages(&stage, "/activity");
            rows.as_array().is_some_and(Vec::is_empty).then_some(())
        });
        assert!(gone.is_some(), "{mode}");
    }
}

#[test]
fn nothing_is_looked_at_unless_it_is_wanted() {
    let role = role("inspect_off");
    let stage = plan(&role, "transaction")
        .set("inspection", "statements", "false")
        .start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    session.query("SELECT 1");
    assert_eq!(pages(&stage, "/patterns"), Value::Array(Vec::new()));
    assert!(!scene::text(&stage, "/metrics").contains("portcullis_pattern"));
}
