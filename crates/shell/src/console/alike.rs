//! Owns what thousands of sessions have in common for the console: who, where to, by which suite. Of all that are alike it
//! is kept once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Kinds kept before those are looked for that nobody is of any more.
const FEW: usize = 64;

/// All kinds that there are.
pub(crate) struct Alike<T>(Mutex<Kept<T>>);

struct Kept<T> {
    kinds: HashSet<Arc<T>>,
    /// How many were left when it was last looked.
    left: usize,
}

impl<T> Default for Alike<T> {
    fn default() -> Alike<T> {
        Alike(Mutex::new(Kept {
            kinds: HashSet::new(),
            left: 0,
        }))
    }
}

impl<T: Hash + Eq> Alike<T> {
    /// This kind, shared with all who are of it.
    pub(crate) fn of(&self, kind: T) -> Arc<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.kinds.get(&kind) {
            return Arc::clone(known);
        }
        // Once for as many new ones as there were: a look costs as much as what it looks at.
        if kept.kinds.len() >= 2 * kept.left + FEW {
            kept.kinds.retain(|kind| Arc::strong_count(kind) > 1);
            kept.kinds.shrink_to(FEW);
            kept.left = kept.kinds.len();
        }
        let kind = Arc::new(kind);
        kept.kinds.insert(Arc::clone(&kind));
        kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_kept_once_and_not_for_ever() {
        let alike = Alike::default();
        let first = alike.of("app".to_owned());
        assert!(Arc::ptr_eq(&first, &alike.of("app".to_owned())));
        for number in 0..10 * FEW {
            assert_eq!(*alike.of(number.to_string()), number.to_string());
            assert!(alike.0.lock().unwrap().kinds.len() <= 2 * FEW + 4);
        }
        assert!(Arc::ptr_eq(&first, &alike.of("app".to_owned())));
    }
}
