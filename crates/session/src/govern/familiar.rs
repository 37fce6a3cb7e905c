//! Owns the verdicts on statements that a client executes again and again, so that rules are asked once about each.
//!
//! A verdict is kept if it hangs on nothing but the statement, the rules and what is known of views. A statement that was
//! prepared is recognised by where it was read to, and is not kept alive by being recognised. Another one is recognised by
//! its template, of which nothing but the values is missing; what is kept of it was read from the template.

use super::Known;
use policy::Log;
use sql::{Lexing, Plain};
use std::sync::{Arc, Weak};

/// Statements of one client that are recognised.
const PLACES: usize = 32;
/// Templates of one client that are.
const TEMPLATES: usize = 16;

/// Statements that pass.
#[derive(Debug, Default)]
pub(super) struct Familiar {
    /// Generations of the rules and views by which all were judged.
    by: (u64, u64),
    places: Vec<Option<Passes>>,
    templates: Vec<Option<Template>>,
    /// The place of the template that the last text had.
    last: usize,
}

#[derive(Debug)]
struct Template {
    known: Arc<Known>,
    /// The place of the one that was behind it the last time.
    next: usize,
}

/// One that passes, without a notice, a delay or a throttle.
#[derive(Debug)]
struct Passes {
    known: Weak<Known>,
    matched: Box<[usize]>,
    log: Log,
}

impl Familiar {
    /// The rules that matched a statement that passes by these generations, and what they want of the query log.
    #[inline]
    pub(super) fn find(&self, by: (u64, u64), known: &Arc<Known>) -> Option<(&[usize], Log)> {
        let passes = self.places.get(place(known))?.as_ref()?;
        let is_it = self.by == by && passes.known.as_ptr() == Arc::as_ptr(known);
        is_it.then_some((&*passes.matched, passes.log))
    }

    /// What was read from a template whose texts pass, or passed once.
    #[inline]
    pub(super) fn like(&mut self, template: &[u8]) -> Option<Arc<Known>> {
        let place = place_of(template);
        let known = &self.templates.get(place)?.as_ref()?.known;
        let known = (known.text.expose() == template).then(|| Arc::clone(known))?;
        self.came(place);
        Some(known)
    }

    /// The same for a text that may have a template, and what it does, if the template is the one that came behind the
    /// last one when that came before: who sends such texts mostly sends the same ones over and over.
    #[inline]
    pub(super) fn expected(&mut self, text: &[u8], lexing: Lexing) -> Option<(Arc<Known>, Plain)> {
        let place = self.templates.get(self.last)?.as_ref()?.next;
        let known = &self.templates.get(place)?.as_ref()?.known;
        let plain = known.fits(text, lexing)?;
        let known = Arc::clone(known);
        self.last = place;
        Some((known, plain))
    }

    /// A text had the template that has this place.
    fn came(&mut self, place: usize) {
        if let Some(Some(before)) = self.templates.get_mut(self.last) {
            before.next = place;
        }
        self.last = place;
    }

    /// Keeps what was read from a template; another one may lose its place.
    pub(super) fn keep_like(&mut self, known: &Arc<Known>) {
        self.templates.resize_with(TEMPLATES, || None);
        let place = place_of(known.text.expose());
        if let Some(slot) = self.templates.get_mut(place) {
            *slot = Some(Template {
                known: Arc::clone(known),
                next: place,
            });
        }
        self.came(place);
    }

    /// Keeps one; another one may lose its place.
    pub(super) fn keep(
        &mut self,
        by: (u64, u64),
        known: &Arc<Known>,
        (matched, log): (&[usize], Log),
    ) {
        if self.by != by {
            self.by = by;
            self.places.clear();
        }
        self.places.resize_with(PLACES, || None);
        if let Some(slot) = self.places.get_mut(place(known)) {
            *slot = Some(Passes {
                known: Arc::downgrade(known),
                matched: matched.into(),
                log,
            });
        }
    }
}

/// Readings are some hundred bytes apart.
#[inline]
fn place(known: &Arc<Known>) -> usize {
    let at = Arc::as_ptr(known).addr();
    (at >> 4 ^ at >> 9) % PLACES
}

/// Whoever makes templates that meet has them read each time.
#[inline]
fn place_of(template: &[u8]) -> usize {
    let mut hash = template.len() as u64;
    let mut mix = |part: u64| {
        hash = (hash.rotate_left(5) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    };
    let (parts, rest) = template.as_chunks::<8>();
    for part in parts {
        mix(u64::from_le_bytes(*part));
    }
    for byte in rest {
        mix(u64::from(*byte));
    }
    (hash >> 32) as usize % TEMPLATES
}

#[cfg(test)]
mod tests {
    use super::*;
    use sql::Lexing;

    fn known(text: &[u8]) -> Arc<Known> {
        Arc::new(Known::read(text, Lexing::default(), true))
    }

    #[test]
    fn a_statement_is_known_again_while_rules_and_views_stay() {
        let (mut familiar, one, other) =
            (Familiar::default(), known(b"SELECT 1"), known(b"SELECT 1"));
        assert_eq!(familiar.find((1, 1), &one), None);
        familiar.keep((1, 1), &one, (&[3], Log::Default));
        assert_eq!(familiar.find((1, 1), &one), Some((&[3][..], Log::Default)));
        assert_eq!(
            familiar.find((1, 1), &other),
            None,
            "the same text, read elsewhere"
        );
        assert_eq!(familiar.find((2, 1), &one), None, "by other rules");
        assert_eq!(familiar.find((1, 2), &one), None, "through other views");
        familiar.keep((2, 1), &other, (&[], Log::Default));
        assert_eq!(familiar.find((1, 1), &one), None);
        assert_eq!(familiar.find((2, 1), &one), None);
    }

    #[test]
    fn templates_are_told_apart_byte_by_byte() {
        let mut familiar = Familiar::default();
        let template = |number: usize| format!("SELECT a{number} FROM t WHERE b = 0");
        for number in 0..1000 {
            familiar.keep_like(&known(template(number).as_bytes()));
        }
        let mut found = |number: usize| familiar.like(template(number).as_bytes());
        let all: Vec<_> = (0..1000).filter_map(|it| Some((it, found(it)?))).collect();
        assert_eq!(all.len(), TEMPLATES);
        for (number, known) in all {
            assert_eq!(known.text.expose(), template(number).as_bytes());
        }
    }

    #[test]
    fn what_comes_over_and_over_is_expected() {
        let mut familiar = Familiar::default();
        let lexing = Lexing::default();
        let text =
            |number: usize, value: usize| format!("SELECT a{number} FROM t WHERE b = {value}");
        let template = |number: usize| text(number, 0);
        // Those that have places of their own.
        for number in 0..100 {
            let known = Known::read_template(template(number).as_bytes(), (lexing, true));
            familiar.keep_like(&Arc::new(known));
        }
        let mut rows = (0..100).filter(|it| familiar.like(template(*it).as_bytes()).is_some());
        let row: Vec<_> = rows.by_ref().take(3).collect();
        let mut expected = 0;
        for round in 0..10 {
            for number in row.iter().flat_map(|it| [*it, *it, *it]) {
                let said = text(number, round);
                match familiar.expected(said.as_bytes(), lexing) {
                    Some((known, plain)) => {
                        assert_eq!(known.text.expose(), template(number).as_bytes());
                        assert_eq!(plain, Plain::Reads);
                        expected += 1;
                    }
                    None => drop(familiar.like(template(number).as_bytes()).unwrap()),
                }
            }
        }
        // The same again is expected, or another one is.
        assert!(expected >= 10 * 3, "{expected}");
        assert!(familiar.expected(b"SELECT 1", lexing).is_none());
    }

    #[test]
    fn it_is_not_kept_alive() {
        let (mut familiar, one) = (Familiar::default(), known(b"SELECT 1"));
        familiar.keep((1, 1), &one, (&[], Log::Default));
        assert_eq!(Arc::strong_count(&one), 1);
        let at = Arc::as_ptr(&one);
        drop(one);
        // What comes next can't lie at its place, or it would be taken for it.
        let all: Vec<_> = (0..100).map(|_| known(b"SELECT 2")).collect();
        assert!(all.iter().all(|it| Arc::as_ptr(it) != at));
        assert!(all.iter().all(|it| familiar.find((1, 1), it).is_none()));
    }
}
