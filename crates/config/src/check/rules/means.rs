//! Owns the judgement of what rules need that delay, limit or throttle.

use super::super::Judge;
use crate::checked::RuleMeans;
use crate::conflict::Conflict;
use crate::read::Given;
use crate::sections::Rule;
use crate::words::{RuleAction, RuleExcess};
use std::time::Duration;

impl Judge<'_, '_> {
    /// Whether a rule says what its action needs, and nothing of other actions.
    pub(super) fn means(&self, rule: &Rule) {
        let action = rule.action.value;
        let needed = match action {
            RuleAction::Delay if rule.delay.value.is_none() => Some("delay, a duration"),
            RuleAction::Limit if rule.rows_max.value.or(rule.bytes_max.value).is_none() => {
                Some("rows_max or bytes_max")
            }
            RuleAction::Throttle if !has_rates(rule) => {
                Some("a rate, for example statements_per_s, or at_once")
            }
            RuleAction::Route if rule.target.value.is_none() => {
                Some("target, \"primary\" or \"standby\"")
            }
            _ => None,
        };
        if let Some(needed) = needed {
            let action = action.word();
            self.conflict(&rule.action, Conflict::RuleWithout { action, needed });
        }
        self.of_another(&rule.delay, (action, RuleAction::Delay), "delay");
        self.of_another(&rule.target, (action, RuleAction::Route), "target");
        if action == RuleAction::Route && rule.parameter.value.is_some() {
            self.conflict(&rule.parameter, Conflict::RouteByParameter);
        }
        for (given, setting) in [(&rule.rows_max, "rows_max"), (&rule.bytes_max, "bytes_max")] {
            self.of_another(given, (action, RuleAction::Limit), setting);
        }
        let throttles = (action, RuleAction::Throttle);
        for (given, setting) in rates(rule) {
            self.of_another(given, throttles, setting);
        }
        self.of_another(&rule.at_once, throttles, "at_once");
        self.of_another(&rule.per, throttles, "per");
        self.of_another(&rule.burst, throttles, "burst");
        self.of_another(&rule.excess, throttles, "excess");
        self.of_another(&rule.keys_max, throttles, "keys_max");
        self.of_another(&rule.wait_max, throttles, "wait_max");
        self.of_another(&rule.waiting_max, throttles, "waiting_max");
        if rule.connections_per_s.value.is_some() {
            self.on_connections(rule);
        }
    }

    fn of_another<T>(
        &self,
        given: &Given<Option<T>>,
        (action, wanted): (RuleAction, RuleAction),
        setting: &'static str,
    ) {
        if given.value.is_some() && action != wanted {
            let (action, instead) = (action.word(), wanted.word());
            let conflict = Conflict::RuleUnused {
                setting,
                action,
                instead,
            };
            self.conflict(given, conflict);
        }
    }

    fn on_connections(&self, rule: &Rule) {
        let others = rates(rule);
        let mut others: Vec<&'static str> = others
            .iter()
            .filter(|(given, setting)| given.value.is_some() && *setting != "connections_per_s")
            .map(|(_, setting)| *setting)
            .collect();
        for (is_given, setting) in [
            (rule.at_once.value.is_some(), "at_once"),
            (rule.effect.value.is_some(), "effect"),
            (rule.relation.value.is_some(), "relation"),
            (rule.access.value.is_some(), "access"),
            (rule.function.value.is_some(), "function"),
            (rule.shape.value.is_some(), "shape"),
            (rule.parameter.value.is_some(), "parameter"),
            (rule.missing_where.value.is_some(), "missing_where"),
            (rule.longer_than.value.is_some(), "longer_than"),
        ] {
            if is_given {
                others.push(setting);
            }
        }
        for setting in others {
            self.conflict(
                &rule.connections_per_s,
                Conflict::RuleOnConnections { setting },
            );
        }
    }
}

fn rates(rule: &Rule) -> [(&Given<Option<u64>>, &'static str); 5] {
    [
        (&rule.statements_per_s, "statements_per_s"),
        (&rule.rows_per_s, "rows_per_s"),
        (&rule.bytes_in_per_s, "bytes_in_per_s"),
        (&rule.bytes_out_per_s, "bytes_out_per_s"),
        (&rule.connections_per_s, "connections_per_s"),
    ]
}

fn has_rates(rule: &Rule) -> bool {
    let per_s = rates(rule);
    rule.at_once.value.is_some() || per_s.iter().any(|(given, _)| given.value.is_some())
}

/// What the rule says, with what holds where it says nothing.
pub(super) fn of(rule: &Rule) -> RuleMeans {
    RuleMeans {
        target: rule.target.value,
        delay: rule.delay.value.unwrap_or_default(),
        rows_max: rule.rows_max.value,
        bytes_max: rule.bytes_max.value,
        per: rule.per.value.clone().map(|it| it.0).unwrap_or_default(),
        statements_per_s: rule.statements_per_s.value,
        rows_per_s: rule.rows_per_s.value,
        bytes_in_per_s: rule.bytes_in_per_s.value,
        bytes_out_per_s: rule.bytes_out_per_s.value,
        connections_per_s: rule.connections_per_s.value,
        at_once: rule.at_once.value,
        burst: rule.burst.value.unwrap_or(Duration::from_secs(1)),
        excess: rule.excess.value.unwrap_or(RuleExcess::Wait),
        wait_max: rule.wait_max.value.unwrap_or(Duration::from_secs(10)),
        waiting_max: rule.waiting_max.value.unwrap_or(100) as usize,
        keys_max: rule.keys_max.value.unwrap_or(10_000) as usize,
    }
}
