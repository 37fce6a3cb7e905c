//! The query log as an audit: sealed, chained over every end of a process, and as rules want it.

use crate::log::{Place, await_records};
use crate::scene::{MARKER, POOL_MODES, answered, plan, role, send};
use e2e::StagePlan;
use e2e::drivers::Endpoint;
use e2e::scripted::Session;
use e2e::twins::Message;
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use testkit::peer::message::frame;
use testkit::{Signal, wait};

fn portcullis(arguments: &[&str]) -> Output {
    let mut command = Command::new(testkit::proxy::binary());
    command.args(arguments).output().expect("portcullis")
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A new key: its file, and its public half.
fn keygen(place: &Place) -> (PathBuf, String) {
    let key = place.path("audit.key");
    let made = portcullis(&["audit", "keygen", key.to_str().expect("a path")]);
    assert!(made.status.success(), "{made:?}");
    let said = text(&made);
    let line = said.lines().find_map(|it| it.strip_prefix("recipient = "));
    (key, line.expect("a recipient").to_owned())
}

pub fn audited(role: &Endpoint, mode: &str, file: &Path) -> StagePlan {
    plan(role, mode)
        .set("query_log", "file", &format!("'{}'", file.display()))
        .set("query_log", "audit", "\"before\"")
        .set("query_log", "on_full", "\"refuse\"")
}

pub fn verified(files: &[&Path]) -> Output {
    let files = files.iter().map(|it| it.to_str().expect("a path"));
    let words: Vec<&str> = ["audit", "verify"].into_iter().chain(files).collect();
    portcullis(&words)
}

/// Parse with types, Bind of values in binary form, Execute.
fn typed(text: &str, values: &[(u32, &[u8])]) -> Vec<u8> {
    let count = (values.len() as u16).to_be_bytes();
    let types: Vec<u8> = values.iter().flat_map(|it| it.0.to_be_bytes()).collect();
    let parse = [b"\0", text.as_bytes(), b"\0", &count, &types].concat();
    let values: Vec<u8> = values
        .iter()
        .flat_map(|(_, it)| [&(it.len() as u32).to_be_bytes(), *it].concat())
        .collect();
    let bind = [b"\0\0\0\x01\0\x01".as_slice(), &count, &values, b"\0\0"].concat();
    [
        frame(b'P', &parse),
        frame(b'B', &bind),
        frame(b'E', b"\0\0\0\0\0"),
        frame(b'S', b""),
    ]
    .concat()
}

/// What differs from run to run is named by what it is.
fn golden(record: &Value) -> Value {
    let mut record = record.clone();
    let object = record.as_object_mut().expect("an object");
    for (name, value) in object.iter_mut() {
        let is_run = name.ends_with("_us")
            || ["time", "client_addr", "server", "server_pid", "client"].contains(&name.as_str());
        if is_run {
            *value = json!(format!("({name})"));
        }
    }
    record
}

#[test]
fn sealed_records_hold_no_literal_and_open_with_the_key() {
    for mode in POOL_MODES {
        let role = role(&format!("audit_sealed_{mode}"));
        let place = Place::new();
        let (key, recipient) = keygen(&place);
        let stage = audited(&role, mode, &place.log())
            .set("query_log", "text", "\"full\"")
            .set("query_log", "parameters", "\"values\"")
            .set("query_log", "recipient", &recipient)
            .start();
        assert!(
            !stage.proxy.log().contains("unencrypted"),
            "nothing is plain"
        );
        let mut session = Session::through(&stage, &stage.endpoint(&role));
        session.query(&format!("SELECT '{MARKER}'"));
        let values: [(u32, &[u8]); 2] = [(23, &7i32.to_be_bytes()), (25, MARKER.as_bytes())];
        session.peer.send(&typed("SELECT $1, $2", &values));
        answered(&mut session);
        // Never in any log.
        let secret = format!("ALTER ROLE nobody_of_that_name PASSWORD 's{MARKER}'");
        send(&mut session, &[Message::query(&secret)]);
        answered(&mut session);
        drop(session);
        let opened = || {
            let key = key.to_str().expect("a path");
            let log = place.log();
            portcullis(&[
                "audit",
                "open",
                "--identity",
                key,
                log.to_str().expect("a path"),
            ])
        };
        wait::until("six records", wait::LONG, || {
            text(&opened()).matches("\"event\":\"end\"").count() == 3
        });
        let said = text(&opened());
        let all: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let of = |event: &str| {
            all.iter()
                .filter(|it| it["event"] == event)
                .collect::<Vec<_>>()
        };
        let (starts, ends) = (of("start"), of("end"));
        assert_eq!(ends[0]["text"], format!("SELECT '{MARKER}'"));
        assert_eq!(
            ends[1]["parameters"],
            json!([{"type": "int4", "value": "7"}, {"type": "text", "value": MARKER}])
        );
        assert_eq!(starts[1]["parameters"], ends[1]["parameters"]);
        assert_eq!(
            ends[2]["query"],
            "alter role nobody_of_that_name password ?"
        );
        assert!(!said.contains(&format!("s{MARKER}")));
        let numbers: Vec<_> = all.iter().filter_map(|it| it["seq"].as_u64()).collect();
        assert!(
            numbers.is_sorted() && numbers.len() == all.len(),
            "{numbers:?}"
        );
        // The bytes of the file, as text and as the base64 of any part of it.
        let bytes = fs::read(place.log()).expect("the log");
        let file = String::from_utf8(bytes).expect("ASCII");
        assert!(!file.contains(MARKER) && file.contains("{\"sealed\":\""));
        assert!(!file.contains("audit_sealed"), "nor who it was");
        opened_by_age(&file, &key);
        drop(stage);
        let proof = verified(&[&place.log()]);
        assert!(
            proof.status.success() && text(&proof).contains("closed in order"),
            "{proof:?}"
        );
    }
}

/// The public tool opens what stands between the quotes.
fn opened_by_age(file: &str, key: &Path) {
    let line = file
        .lines()
        .find_map(|it| it.strip_prefix("{\"sealed\":\""));
    let (base64, _) = line
        .expect("a sealed line")
        .split_once('"')
        .expect("its end");
    let script = "printf %s \"$1\" | base64 -d | age -d -i \"$2\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", base64]).arg(key);
    let output = shell.output().expect("sh");
    assert!(
        output.status.success() && text(&output).contains("\"event\":\""),
        "{output:?}"
    );
}

#[test]
fn lines_are_these() {
    let role = role("audit_lines");
    let place = Place::new();
    let stage = audited(&role, "transaction", &place.log())
        .set("query_log", "parameters", "\"types\"")
        .start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    session
        .peer
        .send(&typed("SELECT $1 + 1", &[(23, &7i32.to_be_bytes())]));
    answered(&mut session);
    let all = await_records(&place.log(), 3);
    let common = json!({
        "time": "(time)", "client": "(client)", "client_addr": "(client_addr)", "user": "audit_lines",
        "database": "audit_lines", "application_name": "", "pool_user": "audit_lines", "statement": 1,
        "server": "(server)", "server_pid": "(server_pid)", "protocol": "extended", "query": "select ? + ?",
        "parameters": [{"type": "int4", "format": "binary", "bytes": 4}],
    });
    let with = |more: Value| {
        let mut wanted = common.clone();
        let object = wanted.as_object_mut().expect("an object");
        object.extend(more.as_object().expect("an object").clone());
        wanted
    };
    let mut found: Vec<Value> = all.iter().map(golden).collect();
    for record in &mut found {
        let object = record.as_object_mut().expect("an object");
        for (name, len) in [("pattern", 16), ("writer", 8), ("chain", 64)] {
            if let Some(value) = object.remove(name) {
                assert_eq!(value.as_str().map(str::len), Some(len), "{name}");
            }
        }
    }
    assert_eq!(
        found[0],
        json!({"time": "(time)", "event": "log-begun", "seq": 1})
    );
    assert_eq!(found[1], with(json!({"event": "start", "seq": 2})));
    assert_eq!(
        found[2],
        with(json!({
            "event": "end", "seq": 3, "outcome": "done", "command": "SELECT", "rows": 1, "bytes_in": 33,
            "bytes_out": 12, "wait_us": "(wait_us)", "first_row_us": "(first_row_us)",
            "server_us": "(server_us)", "total_us": "(total_us)",
        }))
    );
}

/// A chain goes on over processes that ended in order and that were killed.
#[test]
fn a_chain_survives_kill_and_is_proved() {
    let role = role("audit_killed");
    let place = Place::new();
    for round in 0..3 {
        let mut stage = audited(&role, "transaction", &place.log()).start();
        let mut session = Session::through(&stage, &stage.endpoint(&role));
        for _ in 0..10 {
            session.query("SELECT 1");
        }
        if round < 2 {
            stage.proxy.signal(Signal::SIGKILL);
            stage.proxy.await_end(wait::LONG);
            // As if it had been in the middle of a write.
            let mut file = OpenOptions::new()
                .append(true)
                .open(place.log())
                .expect("the log");
            file.write_all(b"{\"time\":\"2026-").expect("a torn line");
        }
    }
    let proof = verified(&[&place.log()]);
    let said = text(&proof);
    assert!(proof.status.success(), "{said}");
    assert_eq!(said.matches("note:").count(), 2, "{said}");
    let starts = |records: &[Value]| records.iter().filter(|it| it["event"] == "start").count();
    let whole: String = fs::read_to_string(place.log()).expect("the log");
    let whole = whole.replace("{\"time\":\"2026-\n", "");
    let parsed: Vec<Value> = whole
        .lines()
        .map(|it| serde_json::from_str(it).expect("JSON"))
        .collect();
    assert_eq!(
        starts(&parsed),
        30,
        "every statement that was answered has its start record"
    );
    // A changed digit speaks against it.
    let changed = place.path("changed");
    fs::write(
        &changed,
        whole.replacen("\"statement\":3", "\"statement\":4", 1),
    )
    .expect("a file");
    let proof = verified(&[&changed]);
    assert!(
        !proof.status.success() && text(&proof).contains("WRONG"),
        "{proof:?}"
    );
    // And so does a head that is not there.
    let head = format!("00000000:1:{}", "0".repeat(64));
    let log = place.log();
    let proof = portcullis(&[
        "audit",
        "verify",
        "--head",
        &head,
        log.to_str().expect("a path"),
    ]);
    assert!(
        !proof.status.success() && text(&proof).contains("cut off at its end"),
        "{proof:?}"
    );
}

/// What can't be, and what must not be by mistake.
#[test]
fn configurations_that_lose_or_show_records_are_refused() {
    for (settings, wanted) in [
        ("text = 'full'", "name a recipient"),
        ("parameters = 'values'", "name a recipient"),
        ("audit = 'before'", "loses no record"),
        (
            "audit = 'before'\non_full = 'block'\nsample_per_million = 7",
            "every statement",
        ),
        ("recipient = 'age1nonsense'", "no recipient of age"),
        ("recipient = 'AGE-SECRET-KEY-1ABC'", "this is a secret key"),
    ] {
        let place = Place::new();
        let file = place.path("portcullis.toml");
        let text = format!(
            "[listen]\naddress = '127.0.0.1:0'\n[listen.tls]\nmode = 'disable'\n[auth]\nauth_user = 'u'\n\
             [[database]]\nname = '*'\nhost = 'localhost'\n[database.tls]\nmode = 'disable'\n\
             [query_log]\nfile = 'log'\n{settings}\n"
        );
        fs::write(&file, text).expect("a file");
        let output = portcullis(&["run", "--config", file.to_str().expect("a path")]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(wanted),
            "{settings}: {said}"
        );
    }
}

/// The guide's configurations are some, and its commands do what it says, one after the other.
#[test]
fn the_guide_is_true() {
    const GUIDE: &str = include_str!("../../../docs/logging.md");
    let role = role("audit_guide");
    let place = Place::new();
    let blocks = |kind: &'static str| {
        let parts = GUIDE.split("```").skip(1).step_by(2);
        parts.filter_map(move |it| it.strip_prefix(kind)?.strip_prefix('\n'))
    };
    let shell = |script: &str| {
        let binary = testkit::proxy::binary().parent().expect("a directory");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command
            .args(["-e", "-c", script])
            .current_dir(place.path("."));
        command.env("PATH", format!("{}:{path}", binary.display()));
        command.output().expect("sh")
    };
    let mut commands = blocks("sh");
    let keygen = shell(commands.next().expect("keygen"));
    assert!(keygen.status.success(), "{keygen:?}");
    let said = text(&keygen);
    let recipient = said
        .lines()
        .find_map(|it| it.strip_prefix("recipient = "))
        .expect("a recipient");
    let mut stage = plan(&role, "transaction");
    let audit = blocks("toml")
        .find(|it| it.contains("recipient"))
        .expect("an audit");
    for line in audit.lines().filter(|it| it.contains(" = ")) {
        let (name, value) = line.split_once(" = ").expect("a setting");
        let value = match name {
            "file" => format!("'{}'", place.log().display()),
            "recipient" => recipient.to_owned(),
            _ => value.split(" #").next().unwrap_or(value).trim().to_owned(),
        };
        stage = stage.set("query_log", name, &value);
    }
    let stage = stage.start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    session.query("SELECT 'read with the key'");
    drop(session);
    drop(stage);
    let mut count = 0;
    for script in commands {
        let output = shell(script);
        assert!(output.status.success(), "{script}: {output:?}");
        count += usize::from(text(&output).contains("read with the key"));
    }
    assert!(count > 0, "some command opened the log");
}

/// Rules have statements logged that the sample leaves out, with literals where they say so, and what they refuse.
#[test]
fn rules_say_what_is_logged() {
    for mode in POOL_MODES {
        let role = role(&format!("audit_rules_{mode}"));
        let place = Place::new();
        let stage = plan(&role, mode)
            .set("query_log", "file", &format!("'{}'", place.log().display()))
            .set("query_log", "sample_per_million", "0")
            .set("query_log", "plaintext_log", "true")
            .more(
                "[policy]\ndefault = 'allow'\n\
                 [[rule]]\nname = 'watched'\nmode = 'observe'\naction = 'deny'\nlog = 'always'\nfunction = 'upper'\n\
                 [[rule]]\nname = 'read'\nmode = 'observe'\naction = 'deny'\nlog = 'full'\nfunction = 'lower'\n\
                 [[rule]]\nname = 'no-drops'\naction = 'deny'\nlog = 'always'\neffect = 'ddl'\n",
            )
            .start();
        let mut session = Session::through(&stage, &stage.endpoint(&role));
        session.query("SELECT 1");
        session.query("SELECT upper('a')");
        session.query("SELECT lower('B')");
        session.peer.send(&typed("SELECT lower($1)", &[(25, b"C")]));
        answered(&mut session);
        send(
            &mut session,
            &[Message::query("DROP TABLE nothing_of_that_name")],
        );
        answered(&mut session);
        session.query("SELECT upper('d')");
        let all = await_records(&place.log(), 5);
        let of = |name: &str| -> Vec<Value> { all.iter().map(|it| it[name].clone()).collect() };
        assert_eq!(
            of("event"),
            ["end", "end", "end", "refused", "end"],
            "{mode}: {all:#?}"
        );
        assert_eq!(of("query")[0], "select upper(?)");
        assert_eq!(of("text")[1..3], ["SELECT lower('B')", "SELECT lower($1)"]);
        assert_eq!(of("parameters")[2], json!([{"type": "text", "value": "C"}]));
        assert_eq!(
            (&all[3]["rule"], &all[3]["query"], &all[3]["user"]),
            (
                &json!("no-drops"),
                &json!("drop table nothing_of_that_name"),
                &json!(role.user)
            )
        );
    }
}

/// A recipient that a reload brings waits for a restart, and so does everything that hangs on it.
#[test]
fn nothing_is_plain_before_a_new_recipient_is_in_force() {
    let role = role("audit_reload");
    let place = Place::new();
    let (_, recipient) = keygen(&place);
    let mut stage = plan(&role, "transaction")
        .set("query_log", "file", &format!("'{}'", place.log().display()))
        .start();
    let file = stage.proxy.directory().join("portcullis.toml");
    let before = fs::read_to_string(&file).expect("the configuration");
    let after = before.replacen(
        "[query_log]\n",
        &format!(
            "[query_log]\nrecipient = {recipient}\ntext = \"full\"\nparameters = \"values\"\n"
        ),
        1,
    );
    assert_ne!(before, after);
    fs::write(&file, after).expect("the configuration");
    stage.proxy.signal(Signal::SIGHUP);
    stage.proxy.await_log("query_log.recipient");
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    session.query(&format!("SELECT '{MARKER}'"));
    session
        .peer
        .send(&typed("SELECT $1", &[(25, MARKER.as_bytes())]));
    answered(&mut session);
    let all = await_records(&place.log(), 2);
    assert_eq!(all[1]["parameters"][0]["bytes"], MARKER.len());
    let text = fs::read_to_string(place.log()).expect("the log");
    assert!(!text.contains(MARKER), "{text}");
}
