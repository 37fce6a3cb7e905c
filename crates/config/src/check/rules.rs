//! Owns the judgement of `[policy]` and `[[rule]]`.

mod means;

use super::Judge;
use crate::checked::Learn;
use crate::checked::{Holds, Policy, Rule};
use crate::conflict::Conflict;
use crate::read::Given;
use crate::sections::{self, Sections};
use crate::warning::Weakness;
use crate::words::{PolicyViews, RouteReads, RuleAction, RuleMode};
use std::collections::HashMap;

/// Rules that may speak of parameters.
const PARAMETER_RULES_MAX: usize = 64;

impl Judge<'_, '_> {
    /// The rules, if there are any, or a default is written.
    pub(super) fn policy(&self, sections: &Sections) -> Option<Policy> {
        let policy = sections.policy.as_ref()?;
        let rules = &sections.rules;
        let Some(default) = policy.default.value else {
            if let Some(first) = rules.first() {
                self.conflict(&first.name, Conflict::NoPolicyDefault);
            }
            for given in [&policy.rules_file, &policy.learn] {
                if given.value.is_some() {
                    self.conflict(given, Conflict::NoPolicyDefault);
                }
            }
            return None;
        };
        let mut databases = sections.databases.iter();
        let leads = databases.any(|it| it.database.route_reads.value != RouteReads::Off);
        let mut names = HashMap::new();
        let mut decided_by: Option<&Given<String>> = None;
        for rule in rules {
            match names.get(rule.name.value.as_str()) {
                Some(&first) => self.duplicate(&rule.name, first),
                None => drop(names.insert(rule.name.value.as_str(), rule.name.span)),
            }
            if let Some(before) = decided_by {
                let name = before.value.clone();
                self.conflict(&rule.name, Conflict::NeverReached { name });
            }
            self.means(rule);
            if rule.action.value == RuleAction::Route && !leads {
                self.conflict(&rule.action, Conflict::NobodyIsLed);
            }
            let decides = matches!(rule.action.value, RuleAction::Allow | RuleAction::Deny);
            if decides && rule.mode.value == RuleMode::Enforce && is_about_all(rule) {
                decided_by.get_or_insert(&rule.name);
            }
            match (&rule.parameter.value, &rule.parameter_value.value) {
                (Some(_), None) => self.conflict(&rule.parameter, Conflict::ParameterInHalf),
                (None, Some(_)) => self.conflict(&rule.parameter_value, Conflict::ParameterInHalf),
                _ => {}
            }
        }
        let on_parameters = rules.iter().filter(|it| it.parameter.value.is_some());
        if let Some(one_more) = on_parameters.clone().nth(PARAMETER_RULES_MAX) {
            let most = PARAMETER_RULES_MAX;
            self.conflict(
                &one_more.parameter,
                Conflict::TooManyParameterRules { most },
            );
        }
        if let (Some(learn), Some(file)) = (&policy.learn.value, &policy.rules_file.value)
            && learn == file
        {
            self.conflict(&policy.learn, Conflict::LearnsItsOwn);
        }
        let learn = policy.learn.value.clone().map(|path| Learn {
            path: self.directory.join(path),
            statements_max: policy.learn_max.value as usize,
        });
        let catalog_password = self.password(
            &policy.catalog_password_file,
            &policy.catalog_password_env,
            &policy.catalog_user,
        );
        self.somebody_looks(sections, policy);
        Some(Policy {
            views: policy.views.value,
            catalog_user: (policy.catalog_user.value.clone()).map(|it| (it, catalog_password)),
            catalog_interval: policy.catalog_interval.value,
            default,
            rules_file: self.optional_file(&policy.rules_file, Holds::Statements),
            learn,
            message_bytes_max: policy.message_bytes_max.value as usize,
            rules: rules.iter().map(rule).collect(),
        })
    }
}

impl Judge<'_, '_> {
    /// Somebody may look at what views depend on, where that matters.
    fn somebody_looks(&self, sections: &Sections, policy: &sections::Policy) {
        let looks = policy.catalog_user.value.is_some()
            || (sections.auth.as_ref()).is_some_and(|it| it.auth_user.value.is_some());
        let mut databases = sections.databases.iter();
        if looks || databases.all(|it| it.database.user.value.is_some()) {
            return;
        }
        let names = |it: &&sections::Rule| {
            it.action.value != RuleAction::Allow && it.relation.value.is_some()
        };
        match (policy.views.value, sections.rules.iter().find(names)) {
            (PolicyViews::Required, _) => self.conflict(&policy.views, Conflict::NobodyLooks),
            (PolicyViews::Auto, Some(rule)) => {
                self.warn(&rule.relation, Weakness::ViewsUnseen);
            }
            (PolicyViews::Auto, None) | (PolicyViews::Off, _) => {}
        }
    }
}

/// True without any condition.
fn is_about_all(rule: &sections::Rule) -> bool {
    rule.user.value.is_none()
        && rule.role.value.is_none()
        && rule.database.value.is_none()
        && rule.application.value.is_none()
        && rule.address.value.is_none()
        && rule.tls_below.value.is_none()
        && rule.client_certificate.value.is_none()
        && rule.hours.value.is_none()
        && rule.days.value.is_none()
        && rule.effect.value.is_none()
        && rule.relation.value.is_none()
        && rule.access.value.is_none()
        && rule.function.value.is_none()
        && rule.shape.value.is_none()
        && rule.parameter.value.is_none()
        && rule.missing_where.value.is_none()
        && rule.longer_than.value.is_none()
}

fn rule(rule: &sections::Rule) -> Rule {
    let names = |given: &Given<Option<crate::rule_values::NameList>>| {
        given.value.clone().map(|it| it.0).unwrap_or_default()
    };
    let patterns = |given: &Given<Option<crate::rule_values::Patterns>>| {
        given.value.clone().map(|it| it.0).unwrap_or_default()
    };
    let values = rule.parameter_value.value.clone();
    Rule {
        name: rule.name.value.clone(),
        mode: rule.mode.value,
        action: rule.action.value,
        log: rule.log.value,
        means: means::of(rule),
        message: rule.message.value.clone().unwrap_or_default(),
        users: names(&rule.user),
        roles: names(&rule.role),
        databases: names(&rule.database),
        applications: names(&rule.application),
        addresses: rule
            .address
            .value
            .clone()
            .map(|it| it.0)
            .unwrap_or_default(),
        tls_below: rule.tls_below.value,
        client_certificate: rule.client_certificate.value,
        hours: rule.hours.value.as_ref().map(|it| it.0),
        days: rule.days.value.clone().map(|it| it.0).unwrap_or_default(),
        effects: rule.effect.value.clone().map(|it| it.0).unwrap_or_default(),
        relations: patterns(&rule.relation),
        access: rule.access.value.clone().map(|it| it.0).unwrap_or_default(),
        functions: patterns(&rule.function),
        shapes: rule.shape.value.clone().map(|it| it.0).unwrap_or_default(),
        parameter: (rule.parameter.value)
            .and_then(|position| Some((u16::try_from(position).ok()?, values?.0))),
        missing_where: rule.missing_where.value,
        longer_than: rule.longer_than.value.map(|it| it as usize),
    }
}
