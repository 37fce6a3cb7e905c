//! What rules on relations see through views, partitions and rules of the server.

#![allow(clippy::unwrap_used, reason = "what a test can't unwrap has failed it")]

use policy::views::{Dependencies, Dependency, Doubted, Leads, Sight, Through, TooMany, Views};
use policy::{
    Action, Context, Decision, Default as Otherwise, Log, Mode, Moment, NamePattern,
    ParameterState, Rule, Rules, Statement, Subject, Who, Why,
};
use sql::{Access, Analysis, Asked, Lexing};
use std::sync::Arc;
use std::task::Waker;

fn name(written: &str) -> (Vec<u8>, Vec<u8>) {
    let (schema, name) = written.split_once('.').unwrap_or(("public", written));
    (schema.into(), name.into())
}

fn dependency(leads: Leads, from: &str, to: &str) -> Dependency {
    Dependency {
        leads,
        from: name(from),
        to: name(to),
    }
}

fn graph() -> Dependencies {
    use Leads::{Child, Materialized, Rewrite, View};
    let all = [
        (View, "v", "secrets"),
        (View, "other.over_v", "v"),
        (Materialized, "m", "over_all"),
        (View, "over_all", "other.over_v"),
        (View, "both", "orders"),
        (View, "both", "secrets"),
        (View, "Quoted", "secrets"),
        (View, "harmless", "orders"),
        (Rewrite, "inbox", "secrets"),
        (View, "over_inbox", "inbox"),
        (Child, "measures", "measures_1"),
        (Child, "measures", "measures_2"),
        (Child, "measures_2", "measures_2a"),
        (View, "over_measures", "measures"),
        (View, "over_1", "measures_1"),
        (View, "pg_temp_3.mine", "secrets"),
        // Two that lead to each other are none that PostgreSQL has, and end all the same.
        (View, "ring_1", "ring_2"),
        (View, "ring_2", "ring_1"),
    ];
    let all = all.map(|(leads, from, to)| dependency(leads, from, to));
    Dependencies::new(all).unwrap()
}

fn rule(action: Action, relation: &str, access: &[Access]) -> Rule {
    Rule {
        name: "r".into(),
        mode: Mode::Enforce,
        action,
        log: Log::Default,
        message: String::new(),
        who: Who::default(),
        statement: Statement {
            relations: vec![NamePattern::read(relation).unwrap()],
            access: access.to_vec(),
            ..Statement::default()
        },
    }
}

fn judge(rules: &Rules, views: Sight, text: &str) -> Decision {
    let mut analysis = Analysis::new();
    analysis.read(text.as_bytes(), &Asked::facts(Lexing::default()));
    assert_eq!(analysis.unsure(), None, "{text}");
    let context = Context {
        views,
        ..Context::default()
    };
    let subjects = analysis.statements().iter().map(|facts| Subject::Read {
        text: text.as_bytes(),
        is_utf8: true,
        analysis: &analysis,
        facts,
    });
    let when = (&context, Moment::default());
    rules.judge(when, subjects, ParameterState::None).decision
}

fn denied(relation: &str, access: &[Access], text: &str) -> bool {
    let rules = vec![rule(Action::Deny, relation, access)];
    let rules = Rules::new(Otherwise::Allow, rules).unwrap();
    let through = Through::new(&rules, &graph());
    let decision = judge(&rules, Sight::Through(Arc::new(through)), text);
    assert_ne!(decision, Decision::Deny(Why::Unseen(0)));
    decision == Decision::Deny(Why::Rule(0))
}

#[test]
fn refusals_reach_through_what_leads_to_a_relation() {
    use Access::{Ddl, Read, Write};
    let cases: &[(&str, &[Access], &str, bool)] = &[
        ("secrets", &[], "SELECT * FROM v", true),
        ("secrets", &[], "SELECT * FROM V", true),
        ("secrets", &[], "SELECT * FROM public.v", true),
        ("secrets", &[], "SELECT * FROM other.v", false),
        ("secrets", &[], "SELECT * FROM orders, over_v", true),
        ("secrets", &[], "SELECT * FROM m", true),
        ("secrets", &[], "COPY (TABLE over_all) TO STDOUT", true),
        ("secrets", &[], "WITH a AS (SELECT 1 FROM v) SELECT 1", true),
        (
            "secrets",
            &[],
            "WITH v AS (SELECT 1) SELECT * FROM v",
            false,
        ),
        ("secrets", &[], "SELECT * FROM quoted", false),
        ("secrets", &[], "SELECT * FROM \"Quoted\"", true),
        ("secrets", &[], "SELECT * FROM U&\"\\0051uoted\"", true),
        ("secrets", &[], "SELECT * FROM harmless", false),
        ("secrets", &[], "SELECT * FROM ring_1", false),
        ("ring_2", &[], "SELECT * FROM ring_1", true),
        ("public.secrets", &[], "SELECT * FROM v", true),
        ("other.secrets", &[], "SELECT * FROM v", false),
        ("public.*", &[], "SELECT * FROM other.over_v", true),
        ("secrets", &[], "SELECT * FROM pg_temp.mine", true),
        ("secrets", &[], "SELECT * FROM pg_temp_3.mine", true),
        ("secrets", &[], "SELECT * FROM pg_temp_4.mine", false),
        // What is written to a view may be written to any of its relations, and all of them are read.
        ("secrets", &[Write], "SELECT * FROM v", false),
        ("secrets", &[Write], "UPDATE v SET a = 1", true),
        ("secrets", &[Write], "INSERT INTO both VALUES (1)", true),
        ("secrets", &[Read], "DELETE FROM v", true),
        ("secrets", &[Read], "SELECT * FROM v", true),
        ("secrets", &[Write], "REFRESH MATERIALIZED VIEW m", false),
        ("secrets", &[Read], "REFRESH MATERIALIZED VIEW m", true),
        // Whoever defines it anew could do anything.
        ("secrets", &[Read], "ALTER VIEW v RENAME TO w", true),
        ("secrets", &[Ddl], "ALTER VIEW v RENAME TO w", false),
        // Rules of the server.
        ("secrets", &[], "SELECT * FROM inbox", false),
        ("secrets", &[], "INSERT INTO inbox VALUES (1)", true),
        (
            "secrets",
            &[Write],
            "INSERT INTO over_inbox VALUES (1)",
            true,
        ),
        ("secrets", &[], "SELECT * FROM over_inbox", false),
        // Partitions: down, up, and never aside.
        ("measures_1", &[], "SELECT * FROM measures", true),
        ("measures_2a", &[], "SELECT * FROM measures", true),
        ("measures_2a", &[], "SELECT * FROM measures_2", true),
        ("measures_2a", &[], "SELECT * FROM over_measures", true),
        ("measures", &[], "SELECT * FROM measures_2a", true),
        ("measures", &[], "SELECT * FROM over_1", true),
        ("measures_1", &[], "SELECT * FROM measures_2", false),
        ("measures_2", &[], "SELECT * FROM over_1", false),
        ("measures", &[Ddl], "DROP TABLE measures_1", true),
        ("measures_1", &[Write], "TRUNCATE measures", true),
    ];
    for (relation, access, text, wanted) in cases {
        assert_eq!(
            denied(relation, access, text),
            *wanted,
            "{relation} {access:?}: {text}"
        );
    }
}

#[test]
fn permissions_are_on_names_alone() {
    let rules = vec![
        rule(Action::Allow, "v", &[]),
        rule(Action::Deny, "secrets", &[]),
        rule(Action::Allow, "orders", &[]),
    ];
    let rules = Rules::new(Otherwise::Deny, rules).unwrap();
    let views = Sight::Through(Arc::new(Through::new(&rules, &graph())));
    for (text, wanted) in [
        // An exception in front of the refusal.
        ("SELECT * FROM v", Decision::Allow),
        ("SELECT * FROM other.over_v", Decision::Deny(Why::Rule(1))),
        ("SELECT * FROM orders", Decision::Allow),
        ("SELECT * FROM harmless", Decision::Deny(Why::Default)),
    ] {
        assert_eq!(judge(&rules, views.clone(), text), wanted, "{text}");
    }
}

#[test]
fn blind_refusals_are_for_whatever_may_lead_there() {
    use Access::{Ddl, Read, Write};
    for (access, text, is_denied) in [
        (&[][..], "SELECT * FROM orders", true),
        (&[], "SELECT 1", false),
        (&[Write], "SELECT * FROM orders", false),
        (&[Write], "UPDATE orders SET a = 1", true),
        (&[Read], "UPDATE orders SET a = 1", true),
        (&[Ddl], "UPDATE orders SET a = 1", false),
        (&[Ddl], "DROP TABLE orders", true),
    ] {
        let rules = vec![rule(Action::Deny, "secrets", access)];
        let rules = Rules::new(Otherwise::Allow, rules).unwrap();
        let wanted = match is_denied {
            true => Decision::Deny(Why::Unseen(0)),
            false => Decision::Allow,
        };
        assert_eq!(
            judge(&rules, Sight::Blind, text),
            wanted,
            "{access:?} {text}"
        );
        assert_eq!(judge(&rules, Sight::Names, text), Decision::Allow);
    }
    let mut observed = rule(Action::Deny, "secrets", &[]);
    observed.mode = Mode::Observe;
    let rules = Rules::new(Otherwise::Allow, vec![observed]).unwrap();
    let decision = judge(&rules, Sight::Blind, "SELECT * FROM orders");
    assert_eq!(decision, Decision::Allow);
}

#[test]
fn a_catalog_that_is_too_large_is_a_fault() {
    let many = |count: usize| {
        let all = (0..count).map(|it| dependency(Leads::View, &format!("v{it}"), "t"));
        Dependencies::new(all)
    };
    assert_eq!(many(Dependencies::MAX).unwrap().views(), Dependencies::MAX);
    assert_eq!(many(Dependencies::MAX + 1), Err(TooMany));
}

fn doubts(views: &Views, name: &str) -> Vec<Doubted> {
    let mut by = Vec::new();
    views.doubt(name.as_bytes(), &mut by);
    by
}

#[test]
fn names_are_in_doubt_until_somebody_has_looked_after_the_change() {
    let waker = Waker::noop();
    let views = Arc::new(Views::new(false));
    assert_eq!(doubts(&views, "a"), [Doubted::FirstLook]);
    let first = views.begin();
    views.looked(first, Ok(Dependencies::default()), 1);
    assert!(!views.may_doubt());
    let change = views.change(vec![b"v"[..].into()]);
    let by = doubts(&views, "v");
    assert!(by.len() == 1 && doubts(&views, "w").is_empty());
    // A look that began before the change had ended says nothing of it.
    let early = views.begin();
    drop(change);
    assert!(views.poll_wanted(waker) && views.is_awaited());
    views.looked(early, Ok(graph()), 2);
    assert!(!views.wait(&by, waker));
    let late = views.begin();
    views.looked(late, Err("broken".to_owned()), 3);
    assert!(!views.wait(&by, waker));
    assert_eq!(views.seen().trouble, "broken");
    let last = views.begin();
    assert!(!views.looked(last, Ok(graph()), 4), "nothing new");
    assert!(views.wait(&by, waker) && !views.may_doubt());
    assert_eq!(
        (views.seen().at_s, views.seen().changed_s),
        (Some(4), Some(2))
    );
}

#[test]
fn what_is_seen_follows_the_looks() {
    let rules = vec![rule(Action::Deny, "secrets", &[])];
    let rules = Rules::new(Otherwise::Allow, rules).unwrap();
    for (is_required, unknown) in [(false, Sight::Names), (true, Sight::Blind)] {
        let views = Views::new(is_required);
        assert_eq!(views.sight(&rules, 1).0, unknown);
        let look = views.begin();
        views.looked(look, Err("broken".to_owned()), 1);
        assert_eq!(views.sight(&rules, 1).0, unknown);
        let before = views.generation();
        let look = views.begin();
        assert!(views.looked(look, Ok(graph()), 2));
        assert_ne!(views.generation(), before);
        let (sight, _) = views.sight(&rules, 1);
        assert!(matches!(sight, Sight::Through(_)));
        // A look that fails later leaves what is known.
        let look = views.begin();
        views.looked(look, Err("broken".to_owned()), 3);
        assert_eq!(views.sight(&rules, 1).0, sight);
        views.give_up();
        assert_eq!(views.sight(&rules, 1).0, Sight::Names);
    }
}
