//! Learning what clients execute, and judging by what was learned.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use e2e::Stage;
use e2e::drivers::Endpoint;
use e2e::governed::{bind, code, execute, parse, run, sync, until_ready};
use e2e::scripted::Session;
use testkit::peer::message::query;
use testkit::{Cluster, wait};

/// A proxy with this policy, whose directory has the file.
fn stage(role: &Endpoint, mode: &str, policy: &str, learned: &Path) -> Stage {
    Stage::before(Cluster::shared())
        .user(role)
        .set("pool", "pool_mode", &format!("{mode:?}"))
        .more(&format!(
            "[policy]\ndefault = \"deny\"\n{policy} = '{}'\n",
            learned.display()
        ))
        .start()
}

#[test]
fn what_was_learned_passes_and_nothing_else() {
    let role = Endpoint::direct(Cluster::shared(), "learning");
    let directory = tempfile::tempdir().expect("a directory");
    for mode in ["session", "transaction"] {
        let file = directory.path().join(format!("{mode}.toml"));
        let read = || std::fs::read_to_string(&file).unwrap_or_default();
        let mut taught = 0;
        // Twice, with a restart between.
        for round in 0..2 {
            let stage = stage(&role, mode, "learn", &file);
            let mut session = Session::through(&stage, &role);
            assert_eq!(session.value("SELECT 40 + 2"), "42", "{mode}");
            let named = [
                parse("n", "SELECT $1::int"),
                bind("", "n", &["5"]),
                execute(""),
                sync(),
            ];
            session.peer.send(&named.concat());
            assert_eq!(code(&until_ready(&mut session.peer)), None, "{mode}");
            session
                .peer
                .send(&[run("SELECT upper('a')", &[]), sync()].concat());
            assert_eq!(code(&until_ready(&mut session.peer)), None, "{mode}");
            // It can't be judged, and passes all the same.
            session.query("DO $$ BEGIN END $$");
            if round == 1 {
                session.query("BEGIN; SELECT 'new' WHERE 'b' = 'b'; COMMIT");
            }
            taught += 1;
            let wanted = format!("# {taught} times, from ");
            wait::until("what was learned", wait::LONG, || {
                let text = read();
                let is_new = round == 0 || text.contains("# select ? where ? = ?");
                is_new && text.matches(&wanted).count() >= 3
            });
        }
        let text = read();
        assert!(text.contains("# select ? + ?\n"), "{text}");
        assert!(
            !text.contains("40") || !text.contains("+ 2"),
            "no literals: {text}"
        );
        assert!(text.contains("of \"learning\" in \"learning\""), "{text}");
        let mode_bits = std::fs::metadata(&file)
            .expect("the file")
            .permissions()
            .mode();
        assert_eq!(mode_bits & 0o777, 0o600);

        let stage = stage(&role, mode, "rules_file", &file);
        let mut session = Session::through(&stage, &role);
        assert_eq!(session.value("SELECT 1 + 1"), "2", "{mode}");
        session.query("BEGIN; SELECT 'x' WHERE 'y' = 'z'; COMMIT");
        let named = [
            parse("n", "SELECT $1::int"),
            bind("", "n", &["6"]),
            execute(""),
            sync(),
        ];
        session.peer.send(&named.concat());
        assert_eq!(code(&until_ready(&mut session.peer)), None, "{mode}");
        for other in [
            "SELECT 1 - 1",
            "SELECT upper('a') || 'b'",
            "DO $$ BEGIN END $$",
        ] {
            for batch in [query(other), [run(other, &[]), sync()].concat()] {
                session.peer.send(&batch);
                let frames = until_ready(&mut session.peer);
                assert_eq!(code(&frames).as_deref(), Some("42501"), "{mode} {other}");
            }
        }
        session
            .peer
            .send(&[run("SELECT upper('b')", &[]), sync()].concat());
        assert_eq!(code(&until_ready(&mut session.peer)), None, "{mode}");
    }
}

#[test]
fn a_file_of_rules_holds_rules_alone_and_says_where_they_are_wrong() {
    let role = Endpoint::direct(Cluster::shared(), "learning_wrong");
    for (content, wanted) in [
        (
            "[limits]\nmax_client_conn = 5\n",
            "holds [[rule]]s and nothing else",
        ),
        (
            "\n[[rule]]\nname = \"x\"\naction = \"sing\"\n",
            "more.toml:4",
        ),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("more.toml");
        std::fs::write(&file, content).expect("the file");
        let mut proxy = Stage::before(Cluster::shared())
            .user(&role)
            .more(&format!(
                "[policy]\ndefault = \"deny\"\nrules_file = '{}'\n",
                file.display()
            ))
            .launch();
        let status = proxy.await_end(wait::LONG);
        assert!(!status.success());
        let log = proxy.log();
        assert!(log.contains(wanted), "{log}");
    }
}
