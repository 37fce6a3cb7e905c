//! Owns telling whoever learns what a client executes.

use super::{Governor, Known};
use patterns::Pattern;
use policy::Identity;
use sql::{Unsure, Verb};
use std::sync::Arc;

impl Governor {
    /// A text comes that is executed so many times; 0: it is prepared. By the rules of the last look.
    #[inline]
    pub(super) fn learn(&mut self, known: &Known, times: u64) {
        if let Some(learned) = self.rules.as_ref().and_then(|it| it.learned()) {
            let learned = Arc::clone(learned);
            self.tell(&learned, known, times);
        }
    }

    fn tell(&self, learned: &policy::Learned, known: &Known, times: u64) {
        let identity = Identity {
            user: self.context.user.clone(),
            role: self.context.role.clone(),
            database: self.context.database.clone(),
        };
        if known.is_unread().is_some() {
            learned.note_unsure(&identity);
        }
        for facts in known.analysis.statements() {
            // EXECUTE is judged by what it stands for.
            let executes = facts.statement.verb == Verb::Execute;
            let is_unsure = facts
                .unsure
                .is_some_and(|it| it != Unsure::Prepared || !executes);
            let (Some(shape), false) = (facts.shape, is_unsure) else {
                learned.note_unsure(&identity);
                continue;
            };
            learned.note(&identity, shape, (times, self.unix_s), || {
                let text = facts.statement.span.of(known.text.expose());
                Pattern::of(text, known.lexing).text.into()
            });
        }
    }
}
