//! Verdicts by table, and what holds for all rules and statements.

#![allow(clippy::unwrap_used, reason = "what a test can't unwrap has failed it")]

use policy::{
    Action, Context, Decision, Default as Otherwise, EffectSet, Hours, Lead, Log, Mode, Moment,
    NamePattern, Parameter, ParameterState, Rule, Rules, Statement, Subject, Value, Who, Why,
};
use proptest::prelude::*;
use sql::{Access, Analysis, Asked, Impact, Lexing};

fn rule(action: Action, statement: Statement) -> Rule {
    Rule {
        name: "r".into(),
        mode: Mode::Enforce,
        action,
        log: Log::Default,
        message: String::new(),
        who: Who::default(),
        statement,
    }
}

fn effects(words: &[&str]) -> Statement {
    let known = |set: Impact, word: &&str| set | Impact::named(word).unwrap_or(Impact::NONE);
    Statement {
        effects: Some(EffectSet {
            known: words.iter().fold(Impact::NONE, known),
            unknown: words.contains(&"unknown"),
        }),
        ..Statement::default()
    }
}

fn relations(names: &[&str], access: &[Access]) -> Statement {
    Statement {
        relations: names
            .iter()
            .map(|name| NamePattern::read(name).unwrap())
            .collect(),
        access: access.to_vec(),
        ..Statement::default()
    }
}

fn functions(names: &[&str]) -> Statement {
    Statement {
        functions: relations(names, &[]).relations,
        ..Statement::default()
    }
}

fn judge(rules: &Rules, text: &str, parameters: ParameterState) -> policy::Verdict {
    let mut analysis = Analysis::new();
    let mut asked = Asked::facts(Lexing::default());
    asked.shape = rules.wants_shapes().then_some(&[][..]);
    analysis.read(text.as_bytes(), &asked);
    let context = (&Context::default(), Moment::default());
    if let Some(unsure) = analysis
        .unsure()
        .filter(|_| analysis.statements().is_empty())
    {
        let bytes = text.len();
        return rules.judge(context, [Subject::Unread { unsure, bytes }], parameters);
    }
    let subjects = analysis.statements().iter().map(|facts| Subject::Read {
        text: text.as_bytes(),
        is_utf8: true,
        analysis: &analysis,
        facts,
    });
    rules.judge(context, subjects, parameters)
}

fn passes(otherwise: Otherwise, rules: Vec<Rule>, text: &str) -> bool {
    let rules = Rules::new(otherwise, rules).unwrap();
    judge(&rules, text, ParameterState::None).decision == Decision::Allow
}

#[test]
fn refusals_are_for_anything_that_a_statement_does() {
    let cases: &[(Statement, &str, bool)] = &[
        (effects(&["write"]), "SELECT 1", true),
        (effects(&["write"]), "DELETE FROM t", false),
        (effects(&["write"]), "SELECT 1; DELETE FROM t", false),
        (
            effects(&["write"]),
            "WITH d AS (DELETE FROM t RETURNING 1) SELECT 1",
            false,
        ),
        (effects(&["write"]), "EXPLAIN DELETE FROM t", true),
        (effects(&["write"]), "EXPLAIN ANALYZE DELETE FROM t", false),
        (
            effects(&["write"]),
            "COPY (DELETE FROM t RETURNING 1) TO STDOUT",
            false,
        ),
        (effects(&["write"]), "/* /* */ */ dElEtE/**/FROM t", false),
        (effects(&["ddl"]), "DROP TABLE t", false),
        (effects(&["privilege"]), "GRANT a TO b", false),
        (effects(&["calls"]), "SELECT f()", false),
        (effects(&["calls"]), "SELECT lower('A')", true),
        (
            relations(&["secrets"], &[]),
            "SELECT * FROM a, Secrets",
            false,
        ),
        (
            relations(&["secrets"], &[]),
            "SELECT * FROM \"Secrets\"",
            true,
        ),
        (
            relations(&["secrets"], &[]),
            "SELECT * FROM U&\"s\\0065crets\"",
            false,
        ),
        (
            relations(&["secrets"], &[Access::Write]),
            "SELECT * FROM secrets",
            true,
        ),
        (
            relations(&["secrets"], &[Access::Write]),
            "UPDATE secrets SET a = 1",
            false,
        ),
        (relations(&["s.t"], &[]), "SELECT * FROM t", false),
        (relations(&["s.t"], &[]), "SELECT * FROM other.t", true),
        (relations(&["s.*"], &[]), "SELECT * FROM s.u", false),
        (
            functions(&["pg_sleep"]),
            "SELECT pg_catalog.pg_sleep(1)",
            false,
        ),
        (functions(&["pg_sleep"]), "SELECT now()", true),
        (
            Statement {
                missing_where: Some(true),
                ..Statement::default()
            },
            "DELETE FROM t",
            false,
        ),
        (
            Statement {
                missing_where: Some(true),
                ..Statement::default()
            },
            "DELETE FROM t WHERE a = 1",
            true,
        ),
        (
            Statement {
                longer_than: Some(10),
                ..Statement::default()
            },
            "SELECT 1234",
            false,
        ),
        // Whatever it may do.
        (effects(&["write"]), "DO $$ $$", false),
        (relations(&["secrets"], &[]), "SELECT '", false),
    ];
    for (statement, text, wanted) in cases {
        let rules = vec![rule(Action::Deny, statement.clone())];
        assert_eq!(passes(Otherwise::Allow, rules, text), *wanted, "{text}");
    }
}

#[test]
fn permissions_are_for_everything_that_a_statement_does() {
    let read = effects(&["read"]);
    let reads_a = Statement {
        effects: read.effects,
        ..relations(&["public.a"], &[Access::Read])
    };
    let cases: &[(Statement, &str, bool)] = &[
        (read.clone(), "SELECT * FROM a", true),
        (read.clone(), "", true),
        (read.clone(), "SELECT * FROM a; DELETE FROM a", false),
        (read.clone(), "SELECT f()", false),
        (read.clone(), "DO $$ $$", false),
        (read, "SELECT '", false),
        (reads_a.clone(), "SELECT * FROM a", true),
        (
            reads_a.clone(),
            "SELECT * FROM public.a JOIN a b ON true",
            true,
        ),
        (reads_a.clone(), "SELECT * FROM a, b", false),
        (reads_a.clone(), "SELECT * FROM a FOR UPDATE", false),
        (reads_a.clone(), "SELECT f() FROM a", false),
        (reads_a, "SELECT 1", false),
        (functions(&["f"]), "SELECT f()", true),
        (functions(&["f"]), "SELECT f(), g()", false),
        (effects(&["unknown"]), "DO $$ $$", true),
        (effects(&["unknown"]), "SELECT '", true),
        (effects(&["unknown"]), "SELECT 1", false),
        (Statement::default(), "DO $$ $$", true),
        (Statement::default(), "DROP TABLE a", true),
    ];
    for (statement, text, wanted) in cases {
        let rules = vec![rule(Action::Allow, statement.clone())];
        assert_eq!(passes(Otherwise::Deny, rules, text), *wanted, "{text}");
    }
}

#[test]
fn a_shape_is_allowed_alone() {
    let mut analysis = Analysis::new();
    let mut asked = Asked::facts(Lexing::default());
    asked.shape = Some(&[]);
    analysis.read(b"SELECT a, f() FROM t WHERE b = 1", &asked);
    let shape = analysis.statements()[0].shape.unwrap();
    for (text, wanted) in [
        ("select a, f() from t where b = 2", true),
        ("SELECT a, f() FROM t WHERE b = 1 OR true", false),
        ("SELECT a, f() FROM t WHERE c = 1", false),
    ] {
        let statement = Statement {
            shapes: vec![shape],
            ..Statement::default()
        };
        let rules = vec![rule(Action::Allow, statement)];
        assert_eq!(passes(Otherwise::Deny, rules, text), wanted, "{text}");
    }
}

#[test]
fn parameters_are_judged_when_they_are_there() {
    for (action, otherwise, value, wanted) in [
        (Action::Deny, Otherwise::Allow, Value::Text(b"7"), false),
        (Action::Deny, Otherwise::Allow, Value::Text(b"8"), true),
        (
            Action::Deny,
            Otherwise::Allow,
            Value::Binary(&[0, 0, 0, 7]),
            false,
        ),
        (Action::Deny, Otherwise::Allow, Value::None, true),
        (Action::Allow, Otherwise::Deny, Value::Text(b"7"), true),
        (Action::Allow, Otherwise::Deny, Value::Text(b"8"), false),
        // What type it is nobody says.
        (
            Action::Allow,
            Otherwise::Deny,
            Value::Binary(&[0, 0, 0, 7]),
            false,
        ),
    ] {
        let statement = Statement {
            parameter: Some(Parameter {
                position: 1,
                values: vec![b"7".to_vec()],
            }),
            ..Statement::default()
        };
        let rules = Rules::new(otherwise, vec![rule(action, statement)]).unwrap();
        let text = "SELECT * FROM t WHERE a = $1";
        let later = judge(&rules, text, ParameterState::Later);
        assert_eq!(later.decision, Decision::Later);
        let bound = rules.bound(|position| match position {
            1 => value,
            _ => Value::None,
        });
        let bound = judge(&rules, text, bound).decision;
        assert_eq!(bound == Decision::Allow, wanted, "{action:?} {value:?}");
        // What has no parameters has none of this value.
        let simple = judge(&rules, text, ParameterState::None).decision;
        assert_eq!(simple == Decision::Allow, otherwise == Otherwise::Allow);
    }
}

#[test]
fn conditions_on_clients_and_times() {
    let context = Context {
        user: "ann".into(),
        role: "app".into(),
        database: "shop".into(),
        application: "psql".into(),
        address: Some("10.1.2.3".parse().unwrap()),
        tls: policy::Tls::V1_2,
        client_certificate: false,
        views: policy::views::Sight::Names,
    };
    let night = Hours {
        from: 1320,
        until: 360,
    };
    let day = |day: usize| {
        let mut days = [false; 7];
        days[day] = true;
        days
    };
    let network = |bits| policy::Network {
        address: "10.1.0.0".parse().unwrap(),
        bits,
    };
    let who = Who::default;
    let cases: Vec<(Who, u16, u8, bool)> = vec![
        (who(), 0, 0, true),
        (
            Who {
                users: vec!["bob".into(), "ann".into()],
                ..who()
            },
            0,
            0,
            true,
        ),
        (
            Who {
                users: vec!["bob".into()],
                ..who()
            },
            0,
            0,
            false,
        ),
        (
            Who {
                roles: vec!["app".into()],
                ..who()
            },
            0,
            0,
            true,
        ),
        (
            Who {
                databases: vec!["other".into()],
                ..who()
            },
            0,
            0,
            false,
        ),
        (
            Who {
                applications: vec!["psql".into()],
                ..who()
            },
            0,
            0,
            true,
        ),
        (
            Who {
                addresses: vec![network(16)],
                ..who()
            },
            0,
            0,
            true,
        ),
        (
            Who {
                addresses: vec![network(24)],
                ..who()
            },
            0,
            0,
            false,
        ),
        (
            Who {
                tls_below: Some(policy::Tls::V1_3),
                ..who()
            },
            0,
            0,
            true,
        ),
        (
            Who {
                tls_below: Some(policy::Tls::V1_2),
                ..who()
            },
            0,
            0,
            false,
        ),
        (
            Who {
                client_certificate: Some(true),
                ..who()
            },
            0,
            0,
            false,
        ),
        (
            Who {
                client_certificate: Some(false),
                ..who()
            },
            0,
            0,
            true,
        ),
        (
            Who {
                hours: Some(night),
                ..who()
            },
            1320,
            0,
            true,
        ),
        (
            Who {
                hours: Some(night),
                ..who()
            },
            359,
            0,
            true,
        ),
        (
            Who {
                hours: Some(night),
                ..who()
            },
            360,
            0,
            false,
        ),
        (
            Who {
                days: day(2),
                ..who()
            },
            0,
            2,
            true,
        ),
        (
            Who {
                days: day(2),
                ..who()
            },
            0,
            3,
            false,
        ),
    ];
    for (who, minute, day, wanted) in cases {
        let mut deny = rule(Action::Deny, Statement::default());
        deny.who = who.clone();
        let rules = Rules::new(Otherwise::Allow, vec![deny]).unwrap();
        let unread = Subject::Unread {
            unsure: sql::Unsure::Size,
            bytes: 1,
        };
        let verdict = rules.judge(
            (&context, Moment { minute, day }),
            [unread],
            ParameterState::None,
        );
        let matched = verdict.decision == Decision::Deny(Why::Rule(0));
        assert_eq!(matched, wanted, "{who:?}");
    }
}

/// Rules that lead have no part in verdicts; those in force lead until one that decides.
#[test]
fn rules_lead_in_their_order_and_to_the_primary_in_doubt() {
    let named = |action: Action, relation: &str| rule(action, relations(&[relation], &[]));
    let (primary, standby) = (Action::Route(Lead::Primary), Action::Route(Lead::Standby));
    let observed = Rule {
        mode: Mode::Observe,
        ..named(primary, "seen")
    };
    let rules = vec![
        observed,
        named(standby, "a"),
        named(primary, "b"),
        named(Action::Deny, "c"),
        named(standby, "c"),
        rule(standby, functions(&["f"])),
    ];
    let rules = Rules::new(Otherwise::Allow, rules).unwrap();
    let lead = |text: &str| {
        let mut analysis = Analysis::new();
        analysis.read(text.as_bytes(), &Asked::facts(Lexing::default()));
        let subjects = analysis.statements().iter().map(|facts| Subject::Read {
            text: text.as_bytes(),
            is_utf8: true,
            analysis: &analysis,
            facts,
        });
        rules.lead((&Context::default(), Moment::default()), subjects)
    };
    let cases = [
        ("SELECT 1", None),
        ("SELECT * FROM seen", None),
        ("SELECT * FROM seen, a", Some((1, Lead::Standby))),
        ("SELECT * FROM b, a", Some((1, Lead::Standby))),
        ("SELECT * FROM b", Some((2, Lead::Primary))),
        ("SELECT * FROM a; SELECT * FROM b", Some((2, Lead::Primary))),
        ("SELECT * FROM c", None),
        ("SELECT f()", Some((5, Lead::Standby))),
    ];
    for (text, wanted) in cases {
        assert_eq!(lead(text), wanted, "{text}");
    }
    assert_eq!(
        (0..6).map(|it| rules.hits(it)).collect::<Vec<_>>(),
        [2, 3, 2, 0, 0, 1]
    );
    let verdict = judge(&rules, "SELECT f() FROM a", ParameterState::None);
    assert_eq!(verdict.decision, Decision::Allow);
    assert!(verdict.held.is_empty() && verdict.matched.is_empty());
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let statement = prop_oneof![
        Just(Statement::default()),
        Just(effects(&["read"])),
        Just(effects(&["write", "ddl"])),
        Just(effects(&["unknown"])),
        Just(relations(&["t"], &[])),
        Just(relations(&["s.u"], &[Access::Read])),
        Just(functions(&["f"])),
    ];
    let mode = prop_oneof![Just(Mode::Observe), Just(Mode::Warn), Just(Mode::Enforce)];
    let action = prop_oneof![Just(Action::Allow), Just(Action::Deny)];
    (statement, mode, action).prop_map(|(statement, mode, action)| Rule {
        mode,
        ..rule(action, statement)
    })
}

const TEXTS: [&str; 8] = [
    "SELECT 1",
    "SELECT * FROM t",
    "SELECT f() FROM s.u",
    "DELETE FROM t",
    "DROP TABLE u; SELECT 1",
    "DO $$ $$",
    "SELECT '",
    "BEGIN",
];

proptest! {
    /// The first enforcing rule that matches decides; the others change nothing.
    #[test]
    fn only_enforcing_rules_decide_and_the_first_one_does(
        rules in proptest::collection::vec(any_rule(), 0..6),
        text in proptest::sample::select(&TEXTS[..]),
        denies in any::<bool>(),
    ) {
        let otherwise = if denies { Otherwise::Deny } else { Otherwise::Allow };
        let all = Rules::new(otherwise, rules.clone()).unwrap();
        let decision = judge(&all, text, ParameterState::None).decision;
        let enforcing: Vec<Rule> = rules.iter().filter(|it| it.mode == Mode::Enforce).cloned().collect();
        let alone = Rules::new(otherwise, enforcing).unwrap();
        let again = judge(&alone, text, ParameterState::None).decision;
        prop_assert_eq!(decision == Decision::Allow, again == Decision::Allow);
        if let Decision::Deny(Why::Rule(index)) = decision {
            prop_assert_eq!(rules[index].mode, Mode::Enforce);
            prop_assert_eq!(rules[index].action, Action::Deny);
        }
    }

    /// Without a rule that enforces, nothing passes that isn't read to its end.
    #[test]
    fn what_is_not_read_never_passes_by_itself(
        bytes in ".{0,40}",
        rules in proptest::collection::vec(any_rule(), 0..4),
    ) {
        let rules = rules.into_iter().filter(|it| it.mode != Mode::Enforce).collect();
        let rules = Rules::new(Otherwise::Allow, rules).unwrap();
        let mut analysis = Analysis::new();
        analysis.read(bytes.as_bytes(), &Asked::facts(Lexing::default()));
        let passes = judge(&rules, &bytes, ParameterState::None).decision == Decision::Allow;
        prop_assert_eq!(passes, analysis.unsure().is_none());
    }
}

#[test]
fn the_greatest_wish_of_matching_rules_counts() {
    let with = |log| Rule {
        mode: Mode::Observe,
        log,
        ..rule(Action::Allow, Statement::default())
    };
    let all = [Log::Default, Log::Full, Log::Always].map(with);
    let rules = Rules::new(Otherwise::Allow, all.into()).unwrap();
    for (matched, wanted) in [
        (&[][..], Log::Default),
        (&[0], Log::Default),
        (&[0, 2], Log::Always),
        (&[2, 1, 0], Log::Full),
    ] {
        assert_eq!(rules.log_of(matched), wanted);
    }
}

/// A verdict may be kept only where nothing but the statement can change it.
#[test]
fn plain_rules() {
    let is_plain = |rule: Rule| Rules::new(Otherwise::Allow, vec![rule]).unwrap().is_plain();
    let deny = || rule(Action::Deny, relations(&["t"], &[]));
    assert!(is_plain(deny()));
    let hours = Hours { from: 0, until: 1 };
    let who = Who {
        hours: Some(hours),
        ..Who::default()
    };
    assert!(!is_plain(Rule { who, ..deny() }));
    let parameter = Parameter {
        position: 1,
        values: vec![b"7".to_vec()],
    };
    let mut on_value = deny();
    on_value.statement.parameter = Some(parameter);
    assert!(!is_plain(on_value));
    let mut learns = Rules::new(Otherwise::Deny, Vec::new()).unwrap();
    learns.learn(std::sync::Arc::new(policy::Learned::new(1)));
    assert!(!learns.is_plain());
}
