//! Owns what rules want of the query log: for the statement that was judged last, and for what it was refused.

use super::Known;
use buf::Secret;
use policy::{Decision, Log, Rules, Verdict, Why};

/// A statement that was refused, and whose refusal is to be logged.
#[derive(Debug)]
pub(crate) struct Denied {
    /// Its text, if that is known.
    pub(crate) text: Option<Secret>,
    /// The rule that refused it; none if no rule allowed it.
    pub(crate) rule: Option<String>,
    /// How it is to be logged.
    pub(crate) log: Log,
}

/// The log's part of a governor.
#[derive(Debug, Default)]
pub(super) struct Logged {
    pub(super) wish: Log,
    denied: Option<Denied>,
}

impl Logged {
    /// This was the verdict on a statement.
    pub(super) fn note(&mut self, rules: &Rules, known: Option<&Known>, verdict: &Verdict) {
        self.wish = rules.log_of(&verdict.matched);
        self.denied = None;
        if self.wish == Log::Default {
            return;
        }
        if let Decision::Deny(why) = verdict.decision {
            let rule = match why {
                Why::Rule(index) | Why::Unseen(index) => {
                    rules.rule(index).map(|it| it.name.clone())
                }
                Why::Default | Why::Unsure(_) => None,
            };
            self.denied = Some(Denied {
                text: known.map(|it| Secret::new(it.text.expose())),
                rule,
                log: self.wish,
            });
        }
    }

    /// A statement passed of which rules want this.
    #[inline]
    pub(super) fn pass(&mut self, wish: Log) {
        self.wish = wish;
        self.denied = None;
    }

    pub(super) fn take_denied(&mut self) -> Option<Denied> {
        self.denied.take()
    }
}
