//! Owns what one client wants its session's parameters to be, so that each of its transactions finds
//! them on whatever server connection it gets.
//!
//! A client's [`Wishes`] begin with its startup packet ([`startup::split`]), which stay its base: RESET
//! leads back to them. What its statements may have set is [`Touched`]; what became of it, after all
//! rollbacks, is asked of the server with a [`Question`]. A server connection that stands with other
//! wishes, or with what another client left, is brought there by [`prefix::bring`].
//!
//! Names and values are bytes from clients. Values are those of the database's own encoding, never
//! converted by the client's: they are sent and asked for in hexadecimal where they aren't ASCII. All
//! texts made here are ASCII, qualified with `pg_catalog`, and mean the same under any `search_path`,
//! `client_encoding` and `standard_conforming_strings`.
//!
//! Takes and gives bytes; never prints a value, never does I/O.

mod cleanup;
mod known;
mod lexing;
mod name;
pub mod prefix;
mod question;
pub mod startup;
mod text;
mod touched;

pub use cleanup::Cleanup;
pub use lexing::lexing_of;
pub use question::{Answer, Question, Unanswered};
pub use touched::Touched;

use buf::Secret;
use std::fmt;
use std::sync::{Arc, LazyLock};

/// Parameters that one client may wish for.
pub const NAMES_MAX: usize = 64;

/// Bytes of one value.
pub const VALUE_BYTES_MAX: usize = 4096;

/// Bytes of all names and values of one client together.
pub const TOTAL_BYTES_MAX: usize = 8192;

/// What one client wants set beyond the server's defaults. Shared and never changed; sorted by name.
#[derive(Default)]
pub struct Wishes {
    list: Box<[Wish]>,
}

/// One parameter, in lower case, and its value.
#[derive(Clone)]
struct Wish {
    name: Box<str>,
    value: Secret,
}

/// A value is longer than [`VALUE_BYTES_MAX`], or a client wishes for more than [`NAMES_MAX`] parameters or
/// [`TOTAL_BYTES_MAX`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session sets more parameters than can be carried from one server connection to another")]
pub struct TooMany;

impl Wishes {
    /// No wish: the server's own defaults. Most sessions have none, and all of them the same one.
    pub fn none() -> Arc<Self> {
        static NONE: LazyLock<Arc<Wishes>> = LazyLock::new(Arc::default);
        Arc::clone(&NONE)
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True if the server's defaults are all that is wanted.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The wished value of a parameter, whose name is in lower case.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let at = self.list.binary_search_by(|wish| (*wish.name).cmp(name));
        at.ok().map(|at| self.list[at].value.expose())
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.list
            .iter()
            .map(|wish| (&*wish.name, wish.value.expose()))
    }

    /// Whether two clients want the same. The same object is seen without a look at its content.
    pub fn same(one: &Arc<Self>, other: &Arc<Self>) -> bool {
        Arc::ptr_eq(one, other) || one.iter().eq(other.iter())
    }

    /// These wishes as a draft to be changed.
    fn draft(&self) -> Draft {
        Draft {
            list: self.list.to_vec(),
        }
    }
}

/// Names only: a value may be anything, even a token.
impl fmt::Debug for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.list.iter().map(|wish| &wish.name);
        f.debug_set().entries(names).finish()
    }
}

/// Wishes in the making.
#[derive(Default)]
struct Draft {
    list: Vec<Wish>,
}

impl Draft {
    fn set(&mut self, name: &str, value: Secret) {
        let found = self.list.binary_search_by(|wish| (*wish.name).cmp(name));
        match found {
            Ok(at) => self.list[at].value = value,
            Err(at) => {
                let name = name.into();
                self.list.insert(at, Wish { name, value });
            }
        }
    }

    fn remove(&mut self, name: &str) {
        self.list.retain(|wish| *wish.name != *name);
    }

    fn value(&self, name: &str) -> Option<&Secret> {
        let at = self.list.binary_search_by(|wish| (*wish.name).cmp(name));
        at.ok().map(|at| &self.list[at].value)
    }

    fn fits(&self) -> bool {
        let bytes = |wish: &Wish| wish.name.len() + wish.value.len();
        self.list.len() <= NAMES_MAX
            && self.list.iter().all(|w| w.value.len() <= VALUE_BYTES_MAX)
            && self.list.iter().map(bytes).sum::<usize>() <= TOTAL_BYTES_MAX
    }

    fn finish(self) -> Result<Arc<Wishes>, TooMany> {
        match self.fits() {
            true if self.list.is_empty() => Ok(Wishes::none()),
            true => Ok(Arc::new(Wishes {
                list: self.list.into(),
            })),
            false => Err(TooMany),
        }
    }

    /// The finished draft; `other` itself where it says the same.
    fn finish_like(self, other: &Arc<Wishes>) -> Result<Arc<Wishes>, TooMany> {
        let finished = self.finish()?;
        Ok(match Wishes::same(&finished, other) {
            true => Arc::clone(other),
            false => finished,
        })
    }
}

#[cfg(test)]
pub(crate) fn wishes(pairs: &[(&str, &str)]) -> Arc<Wishes> {
    let mut draft = Draft::default();
    for (name, value) in pairs {
        draft.set(name, Secret::new(value.as_bytes()));
    }
    draft.finish().expect("few and short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_sorted_compared_by_content_and_shown_without_values() {
        let one = wishes(&[
            ("work_mem", "hunter2"),
            ("app.user", "x"),
            ("app.user", "y"),
        ]);
        let other = wishes(&[("app.user", "y"), ("work_mem", "hunter2")]);
        assert!(Wishes::same(&one, &other));
        assert!(!Wishes::same(&one, &Wishes::none()));
        assert!(!Wishes::same(
            &one,
            &wishes(&[("app.user", "y"), ("work_mem", "hunter3")])
        ));
        assert_eq!(one.value("app.user"), Some(&b"y"[..]));
        assert_eq!(one.value("app"), None);
        assert_eq!(format!("{one:?}"), r#"{"app.user", "work_mem"}"#);
        assert_eq!((one.len(), one.is_empty()), (2, false));
    }

    #[test]
    fn wishes_are_bounded() {
        let draft = |count: usize, len: usize| {
            let mut draft = Draft::default();
            for at in 0..count {
                draft.set(&format!("a.{at:03}"), Secret::new(&vec![b'x'; len]));
            }
            draft.finish().is_ok()
        };
        assert!(draft(NAMES_MAX, 1) && !draft(NAMES_MAX + 1, 1));
        assert!(draft(1, VALUE_BYTES_MAX) && !draft(1, VALUE_BYTES_MAX + 1));
        assert!(draft(2, TOTAL_BYTES_MAX / 2 - 5) && !draft(2, TOTAL_BYTES_MAX / 2 - 4));
    }
}
