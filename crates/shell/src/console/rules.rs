//! Owns what there is to tell of rules about statements: `SHOW RULES`, `SHOW THROTTLES`, and their counts for
//! `/metrics`.

use crate::context::Context;
use admin::{Rule, Throttle};
use observe::{Family, Kind, Sample};
use policy::Mode;
use policy::throttle::{Excess, Measure, Per, Rates};

/// The rules in force.
pub(super) fn rules(context: &Context) -> Vec<Rule> {
    let Some(rules) = context.rules.rules().0 else {
        return Vec::new();
    };
    let row = |(index, rule): (usize, &policy::Rule)| Rule {
        position: u32::try_from(index + 1).unwrap_or(u32::MAX),
        name: rule.name.clone(),
        mode: mode(rule),
        action: rule.action.word(),
        hits: rules.hits(index),
        exceeded: rules.exceeded(index),
        message: rule.message.clone(),
    };
    rules.rules().iter().enumerate().map(row).collect()
}

fn mode(rule: &policy::Rule) -> &'static str {
    match rule.mode {
        Mode::Observe => "observe",
        Mode::Warn => "warn",
        Mode::Enforce => "enforce",
    }
}

/// Those that throttle.
pub(super) fn throttles(context: &Context) -> Vec<Throttle> {
    let Some(rules) = context.rules.rules().0 else {
        return Vec::new();
    };
    let row = |(index, rule): (usize, &policy::Rule)| {
        let lanes = rules.lanes(index)?;
        let throttle = lanes.throttle();
        Some(Throttle {
            name: rule.name.clone(),
            mode: mode(rule),
            per: per(throttle.per),
            rates: rates(&throttle.rates),
            excess: match throttle.excess {
                Excess::Refuse => "refuse",
                Excess::Wait { .. } => "wait",
            },
            keys: lanes.keys() as u64,
            waiting: lanes.waiting(),
            waits: lanes.waits(),
            refusals: lanes.refusals(),
            excesses: lanes.excesses(),
        })
    };
    let all = rules.rules().iter().enumerate();
    all.filter_map(row).collect()
}

fn per(per: Per) -> String {
    let words = [
        (per.user, "user"),
        (per.role, "role"),
        (per.database, "database"),
        (per.application, "application"),
        (per.address, "address"),
        (per.shape, "shape"),
    ];
    let words: Vec<&str> = words.iter().filter(|it| it.0).map(|it| it.1).collect();
    words.join(",")
}

fn rates(rates: &Rates) -> String {
    let per_s = Measure::ALL.iter().filter_map(|measure| {
        let rate = rates.of(*measure)?;
        Some(format!("{}={}", measure.setting(), rate.per_s()))
    });
    let at_once = rates.at_once.map(|it| format!("at_once={it}"));
    let all: Vec<String> = per_s.chain(at_once).collect();
    all.join(" ")
}

/// How often each has matched, and what throttles did; none without rules.
pub(crate) fn families(context: &Context) -> Vec<Family> {
    let rules = rules(context);
    let throttles = throttles(context);
    let mut families = Vec::new();
    let mut put = |name: &'static str, help, kind, samples: Vec<(String, u64)>| {
        if samples.is_empty() {
            return;
        }
        let sample = |(rule, value): (String, u64)| Sample {
            labels: vec![("rule", rule)],
            value: (value as f64).into(),
        };
        families.push(Family {
            name: name.into(),
            help,
            kind,
            samples: samples.into_iter().map(sample).collect(),
        });
    };
    let of_rules = |value: fn(&Rule) -> u64| {
        rules
            .iter()
            .map(|it| (it.name.clone(), value(it)))
            .collect()
    };
    let of_throttles = |value: fn(&Throttle) -> u64| {
        throttles
            .iter()
            .map(|it| (it.name.clone(), value(it)))
            .collect()
    };
    put(
        "rule_hits",
        "Statements that a rule matched.",
        Kind::Counter,
        of_rules(|it| it.hits),
    );
    put(
        "rule_results_exceeded",
        "Results that were larger than a rule allows.",
        Kind::Counter,
        of_rules(|it| it.exceeded),
    );
    put(
        "throttle_waits",
        "Statements and clients that a throttle made wait.",
        Kind::Counter,
        of_throttles(|it| it.waits),
    );
    put(
        "throttle_refusals",
        "Statements and clients that a throttle refused.",
        Kind::Counter,
        of_throttles(|it| it.refusals),
    );
    put(
        "throttle_excesses",
        "Statements and clients that a throttle would have held up if it were enforced.",
        Kind::Counter,
        of_throttles(|it| it.excesses),
    );
    put(
        "throttle_waiting",
        "Statements and clients that wait for a throttle now.",
        Kind::Gauge,
        of_throttles(|it| it.waiting),
    );
    put(
        "throttle_keys",
        "What a throttle tells apart now.",
        Kind::Gauge,
        of_throttles(|it| it.keys),
    );
    families
}
