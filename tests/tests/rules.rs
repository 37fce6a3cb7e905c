//! Rules about statements through the real wire path: what is refused reads as a server's own refusal, nothing of
//! it is executed, and the connection stays usable.

use e2e::drivers::Endpoint;
use e2e::governed::{MODES, bind, code, execute, parse, run, stage, sync, until_ready};
use e2e::scripted::Session;
use e2e::tables;
use testkit::peer::message::{frame, query};
use testkit::{ClientTls, Cluster, Frame, Peer};

/// A schema with a table of one row that the role may use, and one that it may not.
fn role(name: &str) -> Endpoint {
    let role = Endpoint::direct(Cluster::shared(), name);
    let user = &role.user;
    let make = format!(
        "DROP SCHEMA IF EXISTS {name}_open CASCADE; DROP SCHEMA IF EXISTS {name}_shut CASCADE; \
         CREATE SCHEMA {name}_open; CREATE SCHEMA {name}_shut; \
         CREATE TABLE {name}_open.t (a int); INSERT INTO {name}_open.t VALUES (1); \
         CREATE FUNCTION {name}_open.f() RETURNS int LANGUAGE sql AS \
         'DELETE FROM {name}_open.t RETURNING 1'; \
         CREATE TABLE {name}_shut.t (a int); \
         GRANT USAGE ON SCHEMA {name}_open TO {user}; GRANT ALL ON {name}_open.t TO {user}"
    );
    Cluster::shared().sql_in(&role.database, &make);
    role
}

fn rows_left(role: &Endpoint, name: &str) -> String {
    let count = format!("SELECT count(*) FROM {name}_open.t");
    let rows = Cluster::shared().sql_in(&role.database, &count);
    rows[0][0].clone().expect("a count")
}

/// What a client sees of a frame, without hints and places in sources.
fn seen(frame: &Frame) -> String {
    match frame.tag {
        b'E' => {
            let field = |code| frame.field(code).unwrap_or_default();
            let (severity, sqlstate) = (field(b'V'), field(b'C'));
            format!("E {severity} {sqlstate} {}", field(b'M'))
        }
        _ => frame.bytes().escape_ascii().to_string(),
    }
}

fn answers(session: &mut Session, script: &[Vec<u8>]) -> Vec<String> {
    let mut all = Vec::new();
    for message in script {
        session.peer.send(message);
        // Each script's messages end with as many ReadyForQuery as they have requests for one.
        all.extend(until_ready(&mut session.peer).iter().map(seen));
    }
    all
}

#[test]
fn a_refusal_reads_as_the_servers_own() {
    let name = "rules_reads";
    let role = role(name);
    let shut = format!("SELECT * FROM {name}_shut.t");
    let rules = format!(
        "[policy]\ndefault = \"allow\"\n[[rule]]\nname = \"shut\"\naction = \"deny\"\n\
         relation = \"{name}_shut.*\"\nmessage = \"permission denied for schema {name}_shut\"\n"
    );
    let good = run("SELECT 1", &[]);
    let bad = run(&shut, &[]);
    let scripts: Vec<Vec<Vec<u8>>> = vec![
        vec![query(&shut), query("SELECT 1")],
        vec![
            query("BEGIN"),
            query(&shut),
            query("SELECT 1"),
            query(&shut),
            query("ROLLBACK"),
        ],
        vec![
            [bad.clone(), sync()].concat(),
            [good.clone(), sync()].concat(),
        ],
        vec![[good.clone(), bad.clone(), good.clone(), sync()].concat()],
        vec![
            query("BEGIN"),
            [good.clone(), bad.clone(), sync()].concat(),
            [bad.clone(), sync()].concat(),
            [run("ROLLBACK", &[]), sync()].concat(),
            [good, sync()].concat(),
        ],
        vec![
            [parse("named", &shut), sync()].concat(),
            [bind("", "named", &[]), execute(""), sync()].concat(),
        ],
        vec![
            query("BEGIN"),
            query("SELECT 1/0"),
            query(&shut),
            query("COMMIT"),
        ],
    ];
    for mode in MODES {
        let stage = stage(&role, mode, &rules);
        for (at, script) in scripts.iter().enumerate() {
            let cluster = Cluster::shared();
            let tls = ClientTls::verified(cluster.authority(), "localhost");
            let mut direct = Session::begin(Peer::tls(cluster.address(), &tls), &role);
            let mut proxied = Session::through(&stage, &role);
            let wanted = answers(&mut direct, script);
            assert!(
                wanted
                    .iter()
                    .any(|it| it.contains("42501") || it.contains("25P02"))
            );
            assert_eq!(answers(&mut proxied, script), wanted, "{mode} {at}");
        }
        let mut proxied = Session::through(&stage, &role);
        proxied.peer.send(&query(&shut));
        let frames = until_ready(&mut proxied.peer);
        let hint = frames[0].field(b'H');
        assert_eq!(hint.as_deref(), Some("rule: shut"), "it was ours");
    }
}

#[test]
fn nothing_gets_around_rules() {
    let name = "rules_evasions";
    let role = role(name);
    let rules = "[policy]\ndefault = \"deny\"\n[[rule]]\nname = \"read\"\naction = \"allow\"\n\
                 effect = [\"read\", \"session\", \"transaction\"]\n";
    let t = format!("{name}_open.t");
    let padding = " ".repeat(200_000);
    let texts = [
        format!("DELETE FROM {t}"),
        format!("SELECT 1; DELETE FROM {t}"),
        format!("dElEtE/*/*nested*/*/FROM--x\n{t}"),
        format!("/* -- */ /* ' */ /* $$ */ DELETE FROM {t}"),
        format!("-- SELECT\rDELETE FROM {t}"),
        format!("\u{c}DELETE\u{c}FROM {t}"),
        format!("; ; ;DELETE FROM {t}"),
        format!("WITH d AS (DELETE FROM {t} RETURNING a) SELECT * FROM d"),
        format!(
            "WITH RECURSIVE a AS (SELECT 1), b AS MATERIALIZED (DELETE FROM {t} RETURNING a) TABLE b"
        ),
        format!(
            "WITH w AS (WITH d AS (DELETE FROM {t} RETURNING a) SELECT * FROM d) SELECT * FROM w"
        ),
        format!("EXPLAIN ANALYZE DELETE FROM {t}"),
        format!("EXPLAIN (COSTS off, ANALYZE true) DELETE FROM {t}"),
        format!("EXPLAIN (\"analyze\" 1) DELETE FROM {t}"),
        format!("EXPLAIN ANALYZE VERBOSE WITH d AS (DELETE FROM {t} RETURNING a) SELECT * FROM d"),
        format!("EXPLAIN ANALYZE CREATE TABLE {name}_open.made AS SELECT * FROM {t}"),
        "EXPLAIN ANALYZE EXECUTE whatever".to_owned(),
        format!("COPY (DELETE FROM {t} RETURNING a) TO STDOUT"),
        format!("COPY (WITH d AS (DELETE FROM {t} RETURNING a) SELECT * FROM d) TO STDOUT"),
        format!("COPY {t} FROM STDIN"),
        format!("COPY {t} TO PROGRAM 'cat'"),
        format!("DO $$ BEGIN DELETE FROM {t}; END $$"),
        format!("DO LANGUAGE plpgsql 'BEGIN DELETE FROM {t}; END'"),
        format!("PREPARE p AS DELETE FROM {t}"),
        format!("PREPARE p AS SELECT 1; PREPARE q AS DELETE FROM {t}"),
        "EXECUTE nobody_knows_it".to_owned(),
        r#"EXECUTE U&"p\0061""#.to_owned(),
        format!("SELECT $a$ ' $a$; DELETE FROM {t}; SELECT $a$ ' $a$"),
        format!("SELECT $a$ $b$ $a$; DELETE FROM {t}; SELECT $b$ $a$ $b$"),
        format!("SELECT $é$ ; $é$; DELETE FROM {t} -- $é$"),
        format!("SELECT a$b$ FROM (SELECT 1 AS a$b$) s; DELETE FROM {t}; SELECT 'a$b$'"),
        format!(r"SELECT E'\''; DELETE FROM {t}; --'"),
        format!(r"SELECT e'\\'; DELETE FROM {t}; --'"),
        format!(r"SELECT U&'\0027'; DELETE FROM {t}; --'"),
        format!("SELECT U&'!0027' UESCAPE '!'; DELETE FROM {t}"),
        format!("SELECT 'a'\n'b'; DELETE FROM {t}; --'"),
        format!("SELECT '''; DELETE FROM x; --'; DELETE FROM {t}"),
        format!(r#"SELECT "a""; " FROM (SELECT 1 AS "a""; ") s; DELETE FROM {t}"#),
        format!("SELECT {name}_open.f()"),
        format!(r#"SELECT "{name}_open"."f"()"#),
        format!("SELECT * FROM {name}_open.f()"),
        format!("SELECT 1 WHERE {name}_open.f() = 1"),
        format!(r#"DELETE FROM {name}_open.U&"\0074""#),
        format!("TRUNCATE {t}"),
        format!("SELECT * INTO {name}_open.copy FROM {t}"),
        format!("CREATE TABLE {name}_open.made AS SELECT * FROM {t}"),
        format!("DECLARE c CURSOR FOR SELECT * FROM {t} FOR UPDATE"),
        format!("SELECT * FROM {t} FOR NO KEY UPDATE"),
        format!("CREATE RULE r AS ON INSERT TO {t} DO ALSO DELETE FROM {t}"),
        "SELECT lo_unlink(1)".to_owned(),
        "SELECT query_to_xml('delete from x', true, true, '')".to_owned(),
        format!("SELECT '{padding}'; DELETE FROM {t}"),
        format!("/*{padding}*/ DELETE FROM {t}"),
        format!("SELECT {}1; DELETE FROM {t}", "1,".repeat(5000)),
        "SELECT 'unterminated".to_owned(),
        "SELECT $x$ unterminated $y$".to_owned(),
        "/* unterminated".to_owned(),
    ];
    for mode in MODES {
        let stage = stage(&role, mode, rules);
        let mut session = Session::through(&stage, &role);
        for text in &texts {
            let about = &text[..text.len().min(60)];
            session.peer.send(&query(text));
            let frames = until_ready(&mut session.peer);
            assert_eq!(code(&frames).as_deref(), Some("42501"), "{mode} Q {about}");
            for name in ["", "named"] {
                let batch = [parse(name, text), bind("", name, &[]), execute(""), sync()];
                session.peer.send(&batch.concat());
                let frames = until_ready(&mut session.peer);
                assert_eq!(code(&frames).as_deref(), Some("42501"), "{mode} P {about}");
            }
            // What could not be prepared can't be executed either.
            let batch = [bind("", "named", &[]), execute(""), sync()];
            session.peer.send(&batch.concat());
            let frames = until_ready(&mut session.peer);
            assert_eq!(code(&frames).as_deref(), Some("26000"), "{mode} B {about}");
            // Inside of a transaction, which fails then.
            session.query("BEGIN");
            session.peer.send(&query(text));
            let frames = until_ready(&mut session.peer);
            assert_eq!(code(&frames).as_deref(), Some("42501"), "{mode} T {about}");
            let ended = session.query("COMMIT");
            assert_eq!(ended[0].body, b"ROLLBACK\0", "{mode} {about}");
        }
        assert_eq!(session.value(&format!("SELECT count(*) FROM {t}")), "1");
        // FunctionCall of a number.
        session.peer.send(&frame(b'F', b"\0\0\x04\xd2\0\0\0\0\0\0"));
        let frames = until_ready(&mut session.peer);
        assert_eq!(code(&frames).as_deref(), Some("42501"), "{mode} F");
        // A portal that nobody knows.
        session.peer.send(&[execute("nobody"), sync()].concat());
        let frames = until_ready(&mut session.peer);
        assert_eq!(code(&frames).as_deref(), Some("42501"), "{mode} E");
        // More than may be judged.
        let long = format!("SELECT '{}'; DELETE FROM {t}", "x".repeat(2 << 20));
        for message in [query(&long), [run(&long, &[]), sync()].concat()] {
            session.peer.send(&message);
            let frames = until_ready(&mut session.peer);
            assert_eq!(code(&frames).as_deref(), Some("54000"), "{mode} long");
        }
        assert_eq!(session.value("SELECT 5"), "5");
        assert_eq!(rows_left(&role, name), "1", "{mode}");
    }
}

#[test]
fn texts_are_read_as_the_session_reads_them() {
    let name = "rules_lexing";
    let role = role(name);
    let rules = "[policy]\ndefault = \"deny\"\n[[rule]]\nname = \"read\"\naction = \"allow\"\n\
                 effect = [\"read\", \"session\", \"transaction\"]\n";
    let t = format!("{name}_open.t");
    for mode in MODES {
        let stage = stage(&role, mode, rules);
        let mut session = Session::through(&stage, &role);
        // What deletes where backslashes escape nothing, and where they do; the other way each is one SELECT.
        let (on, off) = (
            format!("SELECT 'a\\'; DELETE FROM {t}; --'"),
            format!("SELECT 'a\\' , '; DELETE FROM {t}; --'"),
        );
        for setting in ["on", "off", "on"] {
            session.query(&format!("SET standard_conforming_strings = {setting}"));
            for text in [&on, &off] {
                session.peer.send(&query(text));
                let _ = until_ready(&mut session.peer);
                session.peer.send(&[run(text, &[]), sync()].concat());
                let _ = until_ready(&mut session.peer);
            }
            // Both in one message, before anybody has said how it stands.
            for text in [&on, &off] {
                let both = [query("SET standard_conforming_strings = off"), query(text)].concat();
                session.peer.send(&both);
                let _ = until_ready(&mut session.peer);
                let _ = until_ready(&mut session.peer);
                session.query(&format!("SET standard_conforming_strings = {setting}"));
            }
        }
        assert_eq!(rows_left(&role, name), "1", "{mode}");
        assert_eq!(session.value("SELECT 5"), "5");
    }
}

/// In these encodings a letter's second byte may be that of a backslash.
#[test]
fn texts_are_read_in_the_clients_encoding() {
    let name = "rules_encodings";
    let role = role(name);
    let rules = "[policy]\ndefault = \"deny\"\n[[rule]]\nname = \"read\"\naction = \"allow\"\n\
                 effect = [\"read\", \"session\", \"transaction\"]\n";
    let t = format!("{name}_open.t");
    for mode in MODES {
        let stage = stage(&role, mode, rules);
        let mut session = Session::through(&stage, &role);
        for (encoding, letter) in [
            ("SJIS", &b"\x95\x5c"[..]),
            ("GBK", b"\xbf\x5c"),
            ("BIG5", b"\xa5\x5c"),
            ("UTF8", "é".as_bytes()),
            ("SJIS", b"\x95"),
        ] {
            session.query(&format!("SET client_encoding = {encoding}"));
            // What deletes if the letter is read as it should be, and what does if it isn't.
            let tails = [
                format!("'; DELETE FROM {t}; --'"),
                format!("\\''; DELETE FROM {t}; --'"),
            ];
            for (escapes, tail) in [("E", 0), ("E", 1), ("", 0), ("", 1)] {
                let tail = tails[tail].as_bytes();
                let text = [b"SELECT ", escapes.as_bytes(), b"'", letter, tail].concat();
                session
                    .peer
                    .send(&frame(b'Q', &[&text[..], b"\0"].concat()));
                let _ = until_ready(&mut session.peer);
                let parse = frame(b'P', &[b"\0", &text[..], b"\0\0\0"].concat());
                let batch = [parse, bind("", "", &[]), execute(""), sync()];
                session.peer.send(&batch.concat());
                let _ = until_ready(&mut session.peer);
                assert_eq!(rows_left(&role, name), "1", "{mode} {encoding}");
            }
        }
        session.query("SET client_encoding = UTF8");
        assert_eq!(session.value("SELECT 5"), "5", "{mode}");
    }
}

#[test]
fn what_sql_prepared_is_judged_by_its_text() {
    let role = role("rules_prepared");
    let rules = "[policy]\ndefault = \"deny\"\n[[rule]]\nname = \"read\"\naction = \"allow\"\n\
                 effect = [\"read\", \"session\", \"transaction\"]\n";
    for mode in MODES {
        let stage = stage(&role, mode, rules);
        let mut session = Session::through(&stage, &role);
        session.query("PREPARE known AS SELECT 40 + 2");
        assert_eq!(session.value("EXECUTE known"), "42", "{mode}");
        session
            .peer
            .send(&[bind("", "known", &[]), execute(""), sync()].concat());
        let frames = until_ready(&mut session.peer);
        assert_eq!(code(&frames), None, "{mode}");
        session.peer.send(&query("EXECUTE known_to_nobody"));
        assert_eq!(
            code(&until_ready(&mut session.peer)).as_deref(),
            Some("42501")
        );
    }
}

#[test]
fn values_are_judged_when_they_are_bound_and_warnings_are_notices() {
    let role = role("rules_values");
    let rules = "[policy]\ndefault = \"allow\"\n\
                 [[rule]]\nname = \"told\"\nmode = \"warn\"\naction = \"deny\"\n\
                 function = \"abs\"\nmessage = \"Mind your numbers.\"\n\
                 [[rule]]\nname = \"seven\"\naction = \"deny\"\nparameter = 1\n\
                 parameter_value = \"7\"\n";
    for mode in MODES {
        let stage = stage(&role, mode, rules);
        let mut session = Session::through(&stage, &role);
        let text = "SELECT $1::int";
        session.peer.send(&[parse("s", text), sync()].concat());
        assert_eq!(code(&until_ready(&mut session.peer)), None, "{mode}");
        for (value, wanted) in [("8", None), ("7", Some("42501")), ("9", None)] {
            let batch = [bind("", "s", &[value]), execute(""), sync()].concat();
            session.peer.send(&batch);
            let frames = until_ready(&mut session.peer);
            assert_eq!(code(&frames).as_deref(), wanted, "{mode} {value}");
        }
        // Before and behind good ones, in one pipeline: the server skips as it does for errors of its own.
        let pipeline = [
            bind("", "s", &["1"]),
            execute(""),
            bind("", "s", &["7"]),
            execute(""),
            bind("", "s", &["2"]),
            execute(""),
            sync(),
        ];
        session.peer.send(&pipeline.concat());
        let tags: Vec<u8> = until_ready(&mut session.peer)
            .iter()
            .map(|it| it.tag)
            .collect();
        assert_eq!(tags, *b"2DCEZ", "{mode}");
        let frames = session.query("SELECT abs(-1)");
        let notice = frames.iter().find(|it| it.tag == b'N').expect("a notice");
        let text = notice.field(b'M').expect("a message");
        assert_eq!(text, "Mind your numbers. (rule: told)", "{mode}");
        assert!(frames.iter().any(|it| it.tag == b'D'), "{mode}");
    }
}

#[test]
fn a_reload_goes_for_sessions_that_are_there_and_hits_are_counted() {
    let role = role("rules_reload");
    let rules = "[policy]\ndefault = \"allow\"\n[[rule]]\nname = \"no-writes\"\naction = \"deny\"\n\
                 mode = \"observe\"\neffect = \"write\"\n";
    let stage = tables::plan(&role).more(rules).start();
    let update = "UPDATE rules_reload_open.t SET a = a";
    let mut session = Session::through(&stage, &role);
    session.query(update);
    session.peer.send(&[parse("s", update), sync()].concat());
    assert_eq!(code(&until_ready(&mut session.peer)), None);
    // A portal that was bound before is judged again.
    session.query("BEGIN");
    session
        .peer
        .send(&[bind("p", "s", &[]), frame(b'H', b"")].concat());
    assert_eq!(session.peer.frame().tag, b'2');
    let file = stage.proxy.directory().join("portcullis.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let text = text.replace("mode = \"observe\"\neffect", "mode = \"enforce\"\neffect");
    let mut admin = tables::console(&stage, tables::ADMIN);
    std::fs::write(&file, text).expect("the configuration");
    admin.query("RELOAD");
    session.peer.send(&[execute("p"), sync()].concat());
    let frames = until_ready(&mut session.peer);
    assert_eq!(code(&frames).as_deref(), Some("42501"));
    assert_eq!(
        session.query("ROLLBACK").last().expect("a frame").body,
        b"I"
    );
    // Query, Parse, Bind and the refusal of Execute; counts go on over a reload.
    let shown = tables::show(&mut admin, "RULES");
    let [row] = shown.as_slice() else {
        panic!("one rule");
    };
    let of = |column| tables::text(row, column);
    assert_eq!((of("name"), of("mode")), ("no-writes", "enforce"));
    assert_eq!(tables::number(row, "hits"), 4);
}
