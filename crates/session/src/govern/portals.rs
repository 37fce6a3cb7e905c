//! Owns portals: what each was bound to, by which rules that was judged, and whether its execution is judged again.

use super::{Governor, Known, Like, RuleList};
use crate::statements::Refusal;
use policy::{Held, Log, ParameterState, Value};
use sql::Unsure;
use std::sync::Arc;
use wire::from_client::Bind;

/// What a portal runs.
#[derive(Debug, Clone)]
pub(super) struct Portal {
    /// `None`: nobody knows.
    known: Option<Arc<Known>>,
    parameters: ParameterState,
    /// The rules that it was judged by.
    generation: u64,
    /// And what was known of views.
    views: u64,
    /// What they wanted of the query log.
    log: Log,
    /// What delays, limits and throttles its execution.
    held: Vec<Held>,
    /// Bytes of its Bind.
    bytes: usize,
    /// Rows and bytes that it has given.
    used: (u64, u64),
}

/// Named portals that are followed; what goes beyond is refused.
const PORTALS_MAX: usize = 256;
/// Bytes of a name that is followed.
pub(super) const NAME_MAX: usize = 256;

impl Governor {
    /// No portal is left.
    pub(crate) fn end_portals(&mut self) {
        self.unnamed = None;
        if !self.portals.is_empty() {
            self.portals.clear();
        }
    }

    /// While [calm](Self::is_calm): true if a portal need not be known to judge its only execution, as that adds nothing
    /// to what its Bind is judged by.
    #[inline]
    pub(crate) fn judges_once(&self) -> bool {
        let holds = |it: &Arc<RuleList>| it.holds();
        !self.rules.as_ref().is_some_and(holds) && !self.may_be_in_doubt()
    }

    /// Judges a statement whose portal is executed once and gone then; to be asked where it is [judged once](Self::judges_once).
    /// If it passes, it goes to the server.
    pub(crate) fn once(&mut self, known: &Arc<Known>) -> Option<Refusal> {
        let parameters = ParameterState::Bound { may: 0, surely: 0 };
        let refusal = self.judge_known(known, parameters);
        if refusal.is_none() {
            self.prepared.note(known);
            self.goes();
        }
        refusal
    }

    /// Judges a Bind of a statement that is known, or of none.
    pub(crate) fn bind(
        &mut self,
        portal: &[u8],
        known: Option<Arc<Known>>,
        (bind, bytes): (Option<&Bind<'_>>, usize),
    ) -> Option<Refusal> {
        self.refresh();
        let parameters = match (&self.rules, bind) {
            (Some(rules), Some(bind)) => rules.bound(|position| value(bind, position)),
            _ => ParameterState::Bound { may: 0, surely: 0 },
        };
        if let Some(known) = &known {
            self.learn(known, 1);
        }
        let refusal = match &known {
            Some(known) => self.judge_known(known, parameters),
            None => self.judge(None, parameters, Like::Nothing),
        };
        if refusal.is_none() {
            if let Some(known) = &known {
                self.prepared.note(known);
            }
            let made = Portal {
                known,
                parameters,
                generation: self.generation,
                views: self.views_generation(),
                log: self.logged.wish,
                held: std::mem::take(&mut self.held),
                bytes,
                used: (0, 0),
            };
            self.keep(portal, made);
        }
        refusal
    }

    /// While [calm](Self::is_calm), behind a Bind of the unnamed portal that passed: true if its Execute passes as well, as
    /// what was judged with the Bind is all there is to judge.
    #[inline]
    pub(crate) fn asks_nothing_more(&self) -> bool {
        let bound = self.unnamed.as_ref();
        self.rules.is_none() || bound.is_some_and(|it| it.known.is_some() && it.held.is_empty())
    }

    /// Judges an Execute.
    pub(crate) fn execute(&mut self, portal: &[u8]) -> Option<Refusal> {
        self.refresh();
        self.rules.as_ref()?;
        let found = match portal.is_empty() {
            true => self.unnamed.clone(),
            false => self.portals.get(portal).cloned(),
        };
        let Some(Portal {
            known,
            parameters,
            generation,
            views,
            log,
            held,
            ..
        }) = found
        else {
            return self.unread(Unsure::Prepared, 0);
        };
        self.logged.wish = log;
        // What matched was counted at its Bind.
        self.judges_again = false;
        match &known {
            Some(known) => self.look_at(known),
            None => self.overlook(),
        }
        let is_judged = (generation, views) == (self.generation, self.views_generation());
        let is_judged = is_judged && known.is_some();
        if is_judged && !self.wants_time() {
            self.held = held;
            return None;
        }
        // What the values were is not kept: only what the rules of then made of them.
        let parameters = match generation == self.generation {
            true => parameters,
            false => ParameterState::Later,
        };
        self.judge_again(known.as_deref(), parameters)
    }

    fn portal(&mut self, name: &[u8]) -> Option<&mut Portal> {
        match name.is_empty() {
            true => self.unnamed.as_mut(),
            false => self.portals.get_mut(name),
        }
    }

    /// Bytes of a portal's Bind.
    pub(crate) fn bytes_of(&mut self, name: &[u8]) -> usize {
        self.portal(name).map_or(0, |it| it.bytes)
    }

    /// What a portal has given so far.
    pub(super) fn used_of(&mut self, name: &[u8]) -> (u64, u64) {
        self.portal(name).map_or((0, 0), |it| it.used)
    }

    pub(super) fn note_used(&mut self, name: &[u8], used: (u64, u64)) {
        if let Some(portal) = self.portal(name) {
            portal.used = used;
        }
    }

    fn keep(&mut self, name: &[u8], portal: Portal) {
        if name.is_empty() {
            self.unnamed = Some(portal);
        } else if self.portals.contains_key(name)
            || (self.portals.len() < PORTALS_MAX && name.len() <= NAME_MAX)
        {
            self.portals.insert(name.into(), portal);
        }
    }
}

/// The value of a parameter as a Bind has it.
fn value<'a>(bind: &Bind<'a>, position: u16) -> Value<'a> {
    let Some(index) = usize::from(position).checked_sub(1) else {
        return Value::None;
    };
    let mut formats = bind.formats.iter();
    let format = match bind.formats.len() {
        0 => 0,
        1 => formats.next().unwrap_or(0),
        _ => formats.nth(index).unwrap_or(0),
    };
    match (bind.values.iter().nth(index).flatten(), format) {
        (None, _) => Value::None,
        (Some(bytes), 0) => Value::Text(bytes),
        (Some(bytes), _) => Value::Binary(bytes),
    }
}
