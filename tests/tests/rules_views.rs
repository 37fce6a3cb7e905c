//! Rules on relations for what reaches these by another name: views and views of views, materialized views, rules of the
//! server, partitions and parents. Nothing of what is refused is executed.

use std::time::Duration;

use e2e::drivers::Endpoint;
use e2e::governed::{MODES, bind, code, execute, parse, run, sync, until_ready};
use e2e::scripted::Session;
use e2e::{Stage, StagePlan, tables};
use testkit::peer::message::query;
use testkit::{Cluster, wait};

const LIMIT: Duration = Duration::from_secs(60);

/// A client to whom a rule applies, one to whom it doesn't, and who looks in the catalogs.
struct Roles {
    ann: Endpoint,
    migrator: Endpoint,
    looker: Endpoint,
}

/// A database with a table that only a rule keeps from the client, and much that leads to it.
fn roles(name: &str) -> Roles {
    let cluster = Cluster::shared();
    let ann = Endpoint::direct(cluster, name);
    let other = |what: &str| Endpoint {
        database: ann.database.clone(),
        ..Endpoint::role(cluster, &format!("{name}_{what}"))
    };
    let (migrator, looker) = (other("migrates"), other("looks"));
    let (user, owner) = (&ann.user, &migrator.user);
    let make = format!(
        "DROP SCHEMA IF EXISTS app CASCADE; DROP SCHEMA IF EXISTS other CASCADE; \
         CREATE SCHEMA app; CREATE SCHEMA other; SET search_path = app; \
         CREATE TABLE secrets (a int); INSERT INTO secrets VALUES (1); \
         CREATE TABLE orders (a int); INSERT INTO orders VALUES (2); \
         CREATE VIEW v AS SELECT a FROM secrets; \
         CREATE VIEW other.over_v AS SELECT a FROM v WHERE a > 0; \
         CREATE MATERIALIZED VIEW kept AS SELECT a FROM other.over_v; \
         CREATE VIEW \"Qu\"\"oted\" AS SELECT a FROM v; \
         CREATE VIEW harmless AS SELECT a FROM orders; \
         CREATE TABLE inbox (a int); \
         CREATE RULE forward AS ON INSERT TO inbox DO INSTEAD INSERT INTO secrets VALUES (NEW.a); \
         CREATE TABLE parts (a int) PARTITION BY LIST (a); \
         CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1); \
         CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2); \
         CREATE TABLE tree (a int); CREATE TABLE branch () INHERITS (tree); \
         ALTER ROLE {user} IN DATABASE {database} SET search_path = app; \
         ALTER ROLE {owner} IN DATABASE {database} SET search_path = app; \
         GRANT USAGE ON SCHEMA app, other TO {user}; \
         GRANT ALL ON ALL TABLES IN SCHEMA app, other TO {user}; \
         GRANT ALL ON SCHEMA app, other TO {owner}; \
         GRANT ALL ON ALL TABLES IN SCHEMA app, other TO {owner}; \
         ALTER TABLE parts OWNER TO {owner}; ALTER VIEW v OWNER TO {owner}; \
         ALTER VIEW harmless OWNER TO {owner}; \
         ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA app, other GRANT ALL ON TABLES TO {user}",
        database = ann.database
    );
    cluster.sql_in(&ann.database, &make);
    Roles {
        ann,
        migrator,
        looker,
    }
}

impl Roles {
    fn plan(&self, mode: &str, policy: &str) -> StagePlan {
        let user = &self.ann.user;
        tables::plan(&self.ann)
            .user(&self.migrator)
            .set("pool", "pool_mode", &format!("{mode:?}"))
            .file("looker.password", &format!("{}\n", self.looker.password))
            .more(&format!(
                "[policy]\ndefault = \"allow\"\ncatalog_user = \"{}\"\n\
                 catalog_password_file = \"looker.password\"\n{policy}\n\
                 [[rule]]\nname = \"secrets\"\naction = \"deny\"\nuser = \"{user}\"\n\
                 relation = [\"secrets\", \"parts_1\", \"tree\"]\n",
                self.looker.user
            ))
    }

    /// A proxy that learns of changes from what passes through it alone.
    fn stage(&self, mode: &str) -> Stage {
        self.plan(mode, "catalog_interval = \"1h\"").start()
    }

    fn ann(&self, stage: &Stage) -> Session {
        Session::through(stage, &self.ann)
    }

    fn sql(&self, text: &str) -> Vec<Vec<Option<String>>> {
        Cluster::shared().sql_in(&self.ann.database, text)
    }

    /// The secrets are as they were.
    fn nothing_was_done(&self, about: &str) {
        let rows = self.sql("SELECT string_agg(a::text, ',') FROM app.secrets");
        assert_eq!(rows[0][0].as_deref(), Some("1"), "{about}");
    }
}

fn asked(session: &mut Session, messages: &[u8]) -> Option<String> {
    session.peer.send(messages);
    code(&until_ready(&mut session.peer))
}

/// Refused in every way in which a statement can be sent.
fn is_refused(session: &mut Session, text: &str, about: &str) {
    let refused = Some("42501".to_owned());
    assert_eq!(asked(session, &query(text)), refused, "{about} Q {text}");
    let batch = [run(text, &[]), sync()].concat();
    assert_eq!(asked(session, &batch), refused, "{about} P {text}");
}

fn passes(session: &mut Session, text: &str, about: &str) {
    assert_eq!(asked(session, &query(text)), None, "{about} Q {text}");
    let batch = [run(text, &[]), sync()].concat();
    assert_eq!(asked(session, &batch), None, "{about} P {text}");
}

#[test]
fn what_leads_to_a_relation_is_refused_as_that_is() {
    let roles = roles("views_lead");
    for mode in MODES {
        let stage = roles.stage(mode);
        let mut session = roles.ann(&stage);
        // The very first statement waits until it is known what leads where.
        for text in [
            "SELECT * FROM v",
            "SELECT * FROM app.v",
            "SELECT * FROM V AS orders",
            "SELECT * FROM other.over_v",
            "SELECT * FROM orders JOIN other.over_v USING (a)",
            "SELECT * FROM orders WHERE a IN (SELECT a FROM v)",
            "TABLE kept",
            "REFRESH MATERIALIZED VIEW kept",
            "SELECT * FROM \"Qu\"\"oted\"",
            r#"SELECT * FROM U&"Q\0075""oted""#,
            "INSERT INTO v VALUES (5)",
            "UPDATE v SET a = 5",
            "DELETE FROM v",
            "MERGE INTO v USING orders ON true WHEN MATCHED THEN DO NOTHING",
            "WITH gone AS (DELETE FROM v RETURNING a) SELECT * FROM gone",
            "INSERT INTO inbox VALUES (5)",
            "COPY (SELECT * FROM v) TO STDOUT",
            "COPY v FROM STDIN",
            "EXPLAIN ANALYZE SELECT * FROM v",
            "DECLARE c CURSOR FOR SELECT * FROM v",
            "PREPARE p AS SELECT * FROM v",
            "CREATE TEMP TABLE mine AS SELECT * FROM v",
            "CREATE VIEW app.mine AS SELECT * FROM v",
            "ALTER VIEW v RENAME TO w",
            "SELECT * FROM parts",
            "SELECT * FROM branch",
        ] {
            is_refused(&mut session, text, mode);
        }
        session.query("SET search_path = other");
        is_refused(&mut session, "SELECT * FROM over_v", mode);
        session.query("SET search_path = app");
        for text in [
            "SELECT * FROM harmless",
            "SELECT * FROM parts_2",
            "SELECT * FROM inbox",
            "WITH v AS (SELECT 1) SELECT * FROM v",
        ] {
            passes(&mut session, text, mode);
        }
        let batch = [parse("named", "SELECT * FROM v"), sync()].concat();
        assert_eq!(asked(&mut session, &batch).as_deref(), Some("42501"));
        roles.nothing_was_done(mode);
        let mut admin = tables::console(&stage, tables::ADMIN);
        let shown = tables::show(&mut admin, "VIEWS");
        let row = tables::of(&shown, "database", &roles.ann.database);
        let of = |column| tables::text(row, column);
        assert_eq!((of("state"), of("trouble")), ("known", ""));
        assert!(tables::number(row, "views") >= 5);
        assert!(of("read").starts_with("20") && of("changed") <= of("read"));
    }
}

#[test]
fn what_is_defined_through_the_proxy_is_seen_by_the_next_statement() {
    let roles = roles("views_change");
    for mode in MODES {
        let stage = roles.stage(mode);
        let mut session = roles.ann(&stage);
        let mut migrator = Session::through(&stage, &roles.migrator);
        passes(&mut session, "SELECT * FROM harmless", mode);
        // A statement that is prepared while the view is harmless.
        let prepared = [parse("s", "SELECT * FROM harmless"), sync()].concat();
        assert_eq!(asked(&mut session, &prepared), None);
        for round in 0..10 {
            let made = format!("made_{mode}_{round}");
            for (changes, text) in [
                (
                    vec![format!("CREATE VIEW {made} AS SELECT * FROM secrets")],
                    format!("SELECT * FROM {made}"),
                ),
                (
                    vec![format!("ALTER VIEW {made} RENAME TO \"{made} again\"")],
                    format!("SELECT * FROM \"{made} again\""),
                ),
                (
                    vec![format!("ALTER VIEW \"{made} again\" SET SCHEMA other")],
                    format!("SELECT * FROM other.\"{made} again\""),
                ),
                (
                    vec![
                        "BEGIN".to_owned(),
                        format!("CREATE VIEW {made} AS SELECT a FROM harmless"),
                        format!("CREATE OR REPLACE VIEW {made} AS SELECT a FROM v"),
                        "COMMIT".to_owned(),
                    ],
                    format!("SELECT * FROM {made}"),
                ),
                (
                    vec![format!("BEGIN; CREATE VIEW {made}_2 AS TABLE v; COMMIT")],
                    format!("SELECT * FROM {made}_2"),
                ),
            ] {
                for change in changes {
                    migrator.query(&change);
                }
                is_refused(&mut session, &text, mode);
            }
            let late = format!("late_{mode}_{round}");
            let batch = run(&format!("CREATE VIEW {late} AS TABLE secrets"), &[]);
            assert_eq!(asked(&mut migrator, &[batch, sync()].concat()), None);
            is_refused(&mut session, &format!("TABLE {late}"), mode);
        }
        // What was prepared before is judged by what is known when it is bound.
        migrator.query("CREATE OR REPLACE VIEW harmless AS SELECT a FROM secrets");
        let batch = [bind("", "s", &[]), execute(""), sync()].concat();
        assert_eq!(asked(&mut session, &batch).as_deref(), Some("42501"));
        // What was refused stays so until somebody has looked.
        migrator.query("CREATE OR REPLACE VIEW harmless AS SELECT a FROM orders");
        wait::until("the view is harmless again", LIMIT, || {
            asked(&mut session, &query("SELECT * FROM harmless")).is_none()
        });
        roles.nothing_was_done(mode);
    }
}

#[test]
fn what_is_defined_elsewhere_is_seen_after_the_interval() {
    let roles = roles("views_interval");
    let stage = roles
        .plan("transaction", "catalog_interval = \"1s\"")
        .start();
    let mut session = roles.ann(&stage);
    roles.sql(&format!(
        "CREATE VIEW app.elsewhere AS SELECT a FROM app.secrets WHERE false; \
         GRANT ALL ON app.elsewhere TO {}",
        roles.ann.user
    ));
    wait::until("the view is known", LIMIT, || {
        let code = asked(&mut session, &query("SELECT * FROM elsewhere"));
        code.as_deref() == Some("42501")
    });
}

#[test]
fn check_tries_who_looks() {
    let roles = roles("views_check");
    let stage = roles.stage("transaction");
    let looker = &roles.looker.user;
    let (succeeded, said) = stage.check();
    assert!(succeeded, "{said}");
    let can = format!("what they depend on can be read as {looker:?}\n");
    assert!(said.contains(&can), "{said}");
    // Behind an entry for all names the database that every cluster has is tried.
    let cluster = Cluster::shared();
    cluster.sql_in(
        "postgres",
        "REVOKE SELECT ON pg_catalog.pg_inherits FROM PUBLIC",
    );
    let (succeeded, said) = stage.check();
    let denied = format!("as policy.catalog_user {looker:?}: ");
    cluster.sql_in(
        "postgres",
        "GRANT SELECT ON pg_catalog.pg_inherits TO PUBLIC",
    );
    let is_denied = said.contains(&denied) && said.contains("42501");
    assert!(!succeeded && is_denied && !said.contains(&can), "{said}");
    roles.sql(&format!("ALTER ROLE {looker} PASSWORD 'another'"));
    let (succeeded, said) = stage.check();
    assert!(
        !succeeded && said.contains(&denied) && !said.contains(&can),
        "{said}"
    );
}

#[test]
fn where_the_catalogs_cannot_be_read() {
    let roles = roles("views_unknown");
    let looker = &roles.looker.user;
    for (views, knows_v) in [("auto", false), ("required", true)] {
        roles.sql(&format!("ALTER ROLE {looker} PASSWORD 'another'"));
        let policy = format!("views = \"{views}\"\ncatalog_interval = \"1s\"");
        let stage = roles.plan("transaction", &policy).start();
        let mut session = roles.ann(&stage);
        is_refused(&mut session, "SELECT * FROM secrets", views);
        passes(&mut session, "SELECT 1", views);
        session.peer.send(&query("SELECT * FROM v"));
        let frames = until_ready(&mut session.peer);
        assert_eq!(code(&frames).is_some(), knows_v, "{views}");
        match knows_v {
            true => {
                let error = &frames[0];
                let message = error.field(b'M').expect("a message");
                assert!(message.contains("isn't known"), "{message}");
                assert_eq!(error.field(b'H').as_deref(), Some("rule: secrets"));
                is_refused(&mut session, "SELECT * FROM harmless", views);
            }
            false => passes(&mut session, "SELECT * FROM harmless", views),
        }
        let mut admin = tables::console(&stage, tables::ADMIN);
        // While somebody looks once more, it is "reading".
        wait::until("the trouble is told", LIMIT, || {
            let shown = tables::show(&mut admin, "VIEWS");
            let row = tables::of(&shown, "database", &roles.ann.database);
            tables::text(row, "state") == "unknown" && !tables::text(row, "trouble").is_empty()
        });
        let counters = tables::show(&mut admin, "COUNTERS");
        let failures = tables::of(&counters, "name", "views_failures");
        assert!(tables::number(failures, "value") > 0, "{views}");
        let told = |admin: &mut _| -> Vec<String> {
            let shown = tables::show(admin, "EVENTS");
            let ours = shown
                .iter()
                .filter(|row| tables::text(row, "kind") == "views");
            let words = |row| {
                format!(
                    "{} {}",
                    tables::text(row, "phase"),
                    tables::text(row, "subject")
                )
            };
            ours.map(words).collect()
        };
        let subject = format!("database {}", roles.ann.database);
        assert_eq!(told(&mut admin), [format!("began {subject}")], "{views}");
        // Once they can be read, all is as it should be.
        let password = &roles.looker.password;
        roles.sql(&format!("ALTER ROLE {looker} PASSWORD '{password}'"));
        wait::until("the catalogs are read", LIMIT, || {
            let shown = tables::show(&mut admin, "VIEWS");
            let row = tables::of(&shown, "database", &roles.ann.database);
            tables::text(row, "state") == "known" && tables::text(row, "trouble").is_empty()
        });
        let both = [format!("began {subject}"), format!("ended {subject}")];
        assert_eq!(told(&mut admin), both, "{views}");
        is_refused(&mut session, "SELECT * FROM v", views);
        passes(&mut session, "SELECT * FROM harmless", views);
    }
    roles.nothing_was_done("unknown");
}

/// The role of a database that has one for all its clients is the one that looks, and a reload brings rules to sessions
/// that are there.
#[test]
fn the_databases_own_role_looks() {
    let roles = roles("views_own");
    let looker = &roles.looker;
    roles.sql(&format!(
        "GRANT USAGE ON SCHEMA app TO {0}; GRANT ALL ON ALL TABLES IN SCHEMA app TO {0}",
        looker.user
    ));
    let rule = "[[rule]]\nname = \"secrets\"\naction = \"deny\"\nrelation = \"secrets\"\n";
    let stage = tables::plan(&roles.ann)
        .set("database", "user", &format!("{:?}", looker.user))
        .set("database", "password_file", "\"looker.password\"")
        .file("looker.password", &format!("{}\n", looker.password))
        .more("[policy]\ndefault = \"allow\"\n# more\n")
        .start();
    let mut session = roles.ann(&stage);
    passes(&mut session, "SELECT * FROM app.v", "before");
    let file = stage.proxy.directory().join("portcullis.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    std::fs::write(&file, text.replace("# more\n", rule)).expect("the configuration");
    let mut admin = tables::console(&stage, tables::ADMIN);
    admin.query("RELOAD");
    is_refused(&mut session, "SELECT * FROM app.v", "after");
    passes(&mut session, "SELECT * FROM app.orders", "after");
}
