//! Owns the way of rules from the configuration to [`policy`].

use config::{
    LeastTls, PolicyDefault, RuleAccess, RuleAction, RuleEffect, RuleExcess, RuleLog, RuleMode,
    RulePer, RuleTarget, Weekday,
};
use policy::throttle::{Excess, Measure, Per, Rate, Rates, Throttle};
use policy::{
    Action, Default as Otherwise, EffectSet, Hours, Lead, Limit, Log, Mode, NamePattern, Network,
    Parameter, Rule, Rules, Statement, Tls, Who,
};
use sql::{Access, Impact, ShapeId};

/// The rules of a configuration, and of its file of rules behind them. `None`: the configuration's check let too many
/// through.
pub fn rules(policy: &config::Policy, more: &[config::Rule]) -> Option<Rules> {
    let otherwise = match policy.default {
        PolicyDefault::Allow => Otherwise::Allow,
        PolicyDefault::Deny => Otherwise::Deny,
    };
    Rules::new(
        otherwise,
        policy.rules.iter().chain(more).map(rule).collect(),
    )
}

fn rule(rule: &config::Rule) -> Rule {
    Rule {
        name: rule.name.clone(),
        mode: match rule.mode {
            RuleMode::Observe => Mode::Observe,
            RuleMode::Warn => Mode::Warn,
            RuleMode::Enforce => Mode::Enforce,
        },
        action: action(rule),
        log: match rule.log {
            RuleLog::Default => Log::Default,
            RuleLog::Always => Log::Always,
            RuleLog::Full => Log::Full,
        },
        message: rule.message.clone(),
        who: who(rule),
        statement: statement(rule),
    }
}

fn action(rule: &config::Rule) -> Action {
    let means = &rule.means;
    match rule.action {
        RuleAction::Allow => Action::Allow,
        RuleAction::Deny => Action::Deny,
        RuleAction::Delay => Action::Delay {
            ms: u64::try_from(means.delay.as_millis()).unwrap_or(u64::MAX),
        },
        RuleAction::Limit => Action::Limit(Limit {
            rows: means.rows_max,
            bytes: means.bytes_max,
        }),
        RuleAction::Throttle => Action::Throttle(throttle(means)),
        RuleAction::Route => Action::Route(match means.target {
            Some(RuleTarget::Standby) => Lead::Standby,
            // The configuration's check lets no rule through that says nothing.
            Some(RuleTarget::Primary) | None => Lead::Primary,
        }),
    }
}

fn throttle(means: &config::RuleMeans) -> Throttle {
    let burst_ms = u64::try_from(means.burst.as_millis()).unwrap_or(u64::MAX);
    let rate = |per_s: Option<u64>| per_s.map(|it| Rate::new(it, burst_ms));
    let counts = |per: RulePer| means.per.contains(&per);
    Throttle {
        rates: Rates {
            per_s: Measure::ALL.map(|it| {
                rate(match it {
                    Measure::Statements => means.statements_per_s,
                    Measure::Rows => means.rows_per_s,
                    Measure::BytesIn => means.bytes_in_per_s,
                    Measure::BytesOut => means.bytes_out_per_s,
                    Measure::Connections => means.connections_per_s,
                })
            }),
            at_once: means.at_once,
        },
        per: Per {
            user: counts(RulePer::User),
            role: counts(RulePer::Role),
            database: counts(RulePer::Database),
            application: counts(RulePer::Application),
            address: counts(RulePer::Address),
            shape: counts(RulePer::Shape),
        },
        excess: match means.excess {
            RuleExcess::Refuse => Excess::Refuse,
            RuleExcess::Wait => Excess::Wait {
                queue_max: means.waiting_max,
                wait_max_us: u64::try_from(means.wait_max.as_micros()).unwrap_or(u64::MAX),
            },
        },
        keys_max: means.keys_max,
    }
}

fn who(rule: &config::Rule) -> Who {
    let mut days = [false; 7];
    for day in &rule.days {
        days[match day {
            Weekday::Monday => 0,
            Weekday::Tuesday => 1,
            Weekday::Wednesday => 2,
            Weekday::Thursday => 3,
            Weekday::Friday => 4,
            Weekday::Saturday => 5,
            Weekday::Sunday => 6,
        }] = true;
    }
    Who {
        users: rule.users.clone(),
        roles: rule.roles.clone(),
        databases: rule.databases.clone(),
        applications: rule.applications.clone(),
        addresses: rule
            .addresses
            .iter()
            .map(|&(address, bits)| Network { address, bits })
            .collect(),
        tls_below: rule.tls_below.map(|it| match it {
            LeastTls::V1_2 => Tls::V1_2,
            LeastTls::V1_3 => Tls::V1_3,
        }),
        client_certificate: rule.client_certificate,
        hours: rule.hours.map(|(from, until)| Hours { from, until }),
        days,
    }
}

fn statement(rule: &config::Rule) -> Statement {
    let patterns = |list: &[String]| {
        let patterns = list.iter().filter_map(|it| NamePattern::read(it));
        patterns.collect()
    };
    Statement {
        effects: (!rule.effects.is_empty()).then(|| effects(&rule.effects)),
        relations: patterns(&rule.relations),
        access: rule
            .access
            .iter()
            .map(|it| match it {
                RuleAccess::Read => Access::Read,
                RuleAccess::Write => Access::Write,
                RuleAccess::Ddl => Access::Ddl,
            })
            .collect(),
        functions: patterns(&rule.functions),
        shapes: rule.shapes.iter().map(|it| ShapeId(*it)).collect(),
        parameter: rule.parameter.as_ref().map(|(position, values)| Parameter {
            position: *position,
            values: values.iter().map(|it| it.as_bytes().to_vec()).collect(),
        }),
        missing_where: rule.missing_where,
        longer_than: rule.longer_than,
    }
}

fn effects(words: &[RuleEffect]) -> EffectSet {
    let known = words.iter().fold(Impact::NONE, |set, word| {
        set | match word {
            RuleEffect::Unknown => Impact::NONE,
            word => Impact::named(word.word()).unwrap_or(Impact::NONE),
        }
    });
    EffectSet {
        known,
        unknown: words.contains(&RuleEffect::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_effect_of_the_configuration_is_one_of_the_scanner() {
        for word in RuleEffect::WORDS {
            let is_known = Impact::named(word.word).is_some();
            assert_eq!(is_known, word.word != "unknown", "{}", word.word);
        }
        for (_, word) in Impact::ALL {
            assert!(
                RuleEffect::WORDS.iter().any(|it| it.word == *word),
                "{word}"
            );
        }
    }
}
