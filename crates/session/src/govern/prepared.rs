//! Owns what SQL's PREPARE may have left on a server connection: for each name every statement that was ever sent
//! for it. A PREPARE may fail and a DEALLOCATE may not be reached, so nothing is ever forgotten.

use super::Known;
use sql::{Facts, NAME_MAX, Verb};
use std::collections::HashMap;
use std::sync::Arc;

/// Names; beyond, none is known, and so is none of what they hold.
const NAMES_MAX: usize = 256;
/// Statements of one name; beyond, the name is unknown for good.
const SAME_NAME_MAX: usize = 16;
/// Bytes of all texts.
const BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Prepared {
    names: HashMap<Vec<u8>, Vec<(Arc<Known>, usize)>>,
    bytes: usize,
    /// Something was left out: no name is known any more.
    is_full: bool,
}

impl Prepared {
    /// A text goes to the server.
    #[inline]
    pub fn note(&mut self, known: &Arc<Known>) {
        if known.prepares() {
            self.keep(known);
        }
    }

    fn keep(&mut self, known: &Arc<Known>) {
        let mut counted = false;
        for (index, facts) in known.analysis.statements().iter().enumerate() {
            if facts.statement.verb != Verb::Prepare {
                continue;
            }
            let mut room = [0; NAME_MAX];
            let Some(name) = name(known, facts, &mut room) else {
                self.is_full = true;
                return;
            };
            let same = self.names.get(name);
            let is_here = same.is_some_and(|all| {
                all.iter()
                    .any(|(text, at)| *at == index && text.text.expose() == known.text.expose())
            });
            if is_here {
                continue;
            }
            if !counted {
                self.bytes += known.text.len() + known.analysis.bytes();
                counted = true;
            }
            if self.bytes > BYTES_MAX
                || same.is_some_and(|all| all.len() >= SAME_NAME_MAX)
                || self.names.len() >= NAMES_MAX
            {
                self.is_full = true;
                return;
            }
            let all = self.names.entry(name.to_vec()).or_default();
            all.push((Arc::clone(known), index));
        }
    }

    /// All that may lie under the name of an EXECUTE; `None`: nobody knows.
    pub fn of(&self, known: &Known, facts: &Facts) -> Option<&[(Arc<Known>, usize)]> {
        let mut room = [0; NAME_MAX];
        let name = name(known, facts, &mut room)?;
        self.names
            .get(name)
            .filter(|_| !self.is_full)
            .map(Vec::as_slice)
    }

    /// The one text that can lie under a name, if it holds nothing else.
    pub fn only(&self, name: &[u8]) -> Option<Arc<Known>> {
        match self.names.get(name).filter(|_| !self.is_full)?.as_slice() {
            [(known, 0)] if known.analysis.statements().len() == 1 => Some(Arc::clone(known)),
            _ => None,
        }
    }
}

fn name<'b>(known: &Known, facts: &Facts, room: &'b mut [u8; NAME_MAX]) -> Option<&'b [u8]> {
    let written = facts.statement.name?;
    sql::name(known.text.expose(), written, known.is_utf8, room).ok()
}
