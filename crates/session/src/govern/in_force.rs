//! Owns the rules that all sessions are judged by at a moment, and what a client reads of them.

use policy::{Action, Rule, Rules, Why};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use wire::{Report, Severity, Sqlstate};

/// The rules in force: replaced by a reload, and asked for by every session before it judges.
#[derive(Debug, Default)]
pub struct RulesInForce {
    rules: Mutex<Option<Arc<Rules>>>,
    generation: AtomicU64,
}

impl RulesInForce {
    /// These from now on; `None`: everything passes. Matches that were counted go on for rules of the same name.
    pub fn replace(&self, rules: Option<Arc<Rules>>) {
        let mut held = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(rules), Some(before)) = (&rules, held.as_ref()) {
            rules.go_on_from(before);
        }
        *held = rules;
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Changes with each replacement.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The rules, and their generation.
    pub fn rules(&self) -> (Option<Arc<Rules>>, u64) {
        let held = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        (held.clone(), self.generation())
    }
}

const UNSEEN: &str =
    "permission denied: it isn't known at present what this statement's relations lead to";

/// What a client reads of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    sqlstate: &'static str,
    message: String,
    hint: String,
}

impl Denial {
    /// By rules.
    pub fn of(rules: &Rules, why: Why) -> Denial {
        let (message, hint) = match why {
            Why::Rule(index) => match rules.rule(index) {
                Some(rule) => (sentence(rule), format!("rule: {}", rule.name)),
                None => (String::new(), String::new()),
            },
            Why::Unseen(index) => (
                UNSEEN.to_owned(),
                (rules.rule(index)).map_or(String::new(), |it| format!("rule: {}", it.name)),
            ),
            Why::Default => (
                "permission denied: no rule allows this statement".to_owned(),
                "policy.default = \"deny\"".to_owned(),
            ),
            Why::Unsure(unsure) => (
                format!("permission denied: this statement can't be judged ({unsure})"),
                "A rule with effect = [\"unknown\"] can allow it.".to_owned(),
            ),
        };
        Denial {
            sqlstate: "42501",
            message,
            hint,
        }
    }

    /// Of a statement that the client doesn't have, in PostgreSQL's words.
    pub(super) fn no_such_statement(name: &[u8]) -> Denial {
        let name = String::from_utf8_lossy(name);
        Denial {
            sqlstate: "26000",
            message: format!("prepared statement \"{name}\" does not exist"),
            hint: String::new(),
        }
    }

    /// Of a statement for which a throttle has no place, or that waited too long for one.
    pub(super) fn throttled(rule: &Rule) -> Denial {
        let name = &rule.name;
        Denial {
            sqlstate: "53400",
            message: match rule.message.is_empty() {
                true => format!("too much at once: refused by throttle \"{name}\""),
                false => rule.message.clone(),
            },
            hint: format!("rule: {name}"),
        }
    }

    /// Of a statement whose result is larger than it may be.
    pub(super) fn limited(rules: &Rules, index: usize) -> Denial {
        let rule = rules.rule(index);
        let name = rule.map_or("", |it| &it.name);
        Denial {
            sqlstate: "53400",
            message: match rule {
                Some(rule) if rule.message.is_empty() => {
                    format!("{}: ended by rule \"{name}\"", too_large(rule))
                }
                Some(rule) => rule.message.clone(),
                None => String::new(),
            },
            hint: format!("rule: {name}"),
        }
    }

    /// Of a statement that waited too long for a look at what its relations lead to.
    pub(super) fn unseen() -> Denial {
        Denial {
            sqlstate: "42501",
            message: UNSEEN.to_owned(),
            hint: "policy.views = \"required\"".to_owned(),
        }
    }

    /// Of a statement that its client cancelled while it waited, in PostgreSQL's words.
    pub(super) fn cancelled() -> Denial {
        Denial {
            sqlstate: "57014",
            message: "canceling statement due to user request".to_owned(),
            hint: String::new(),
        }
    }

    pub(super) fn too_long(max: usize) -> Denial {
        Denial {
            sqlstate: "54000",
            message: format!("a message to be judged may have {max} bytes"),
            hint: "policy.message_bytes_max".to_owned(),
        }
    }

    /// As a message.
    pub fn report(&self) -> Report<'_> {
        let report = Report::new(Severity::Error, Sqlstate::new(self.sqlstate), &self.message);
        match self.hint.is_empty() {
            true => report,
            false => report.hint(&self.hint),
        }
    }

    /// SQLSTATE and message.
    pub fn words(&self) -> (Sqlstate, String) {
        (Sqlstate::new(self.sqlstate), self.message.clone())
    }
}

fn sentence(rule: &Rule) -> String {
    match rule.message.is_empty() {
        true => "permission denied by a rule".to_owned(),
        false => rule.message.clone(),
    }
}

/// The text of a notice.
pub(super) fn warning(rule: &Rule) -> String {
    format!("{} (rule: {})", sentence(rule), rule.name)
}

/// The text of a notice about a statement that would wait, or be refused, if its rule were enforced.
pub(super) fn would_wait(rule: &Rule) -> String {
    match (rule.message.is_empty(), rule.action) {
        (false, _) => warning(rule),
        (true, Action::Delay { ms }) => {
            format!(
                "this statement is to wait for {ms} ms (rule: {})",
                rule.name
            )
        }
        (true, _) => format!("too much at once (rule: {})", rule.name),
    }
}

/// The text of a notice about a result that would be ended if its rule were enforced.
pub(super) fn would_end(rule: &Rule) -> String {
    match rule.message.is_empty() {
        false => warning(rule),
        true => format!("{} (rule: {})", too_large(rule), rule.name),
    }
}

fn too_large(rule: &Rule) -> String {
    let Action::Limit(limit) = rule.action else {
        return String::new();
    };
    match (limit.rows, limit.bytes) {
        (Some(rows), Some(bytes)) => {
            format!("the result has more than {rows} rows or {bytes} bytes")
        }
        (Some(rows), None) => format!("the result has more than {rows} rows"),
        (None, Some(bytes)) => format!("the result has more than {bytes} bytes"),
        (None, None) => "the result is too large".to_owned(),
    }
}
