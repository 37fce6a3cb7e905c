//! Owns how many clients each database and each user has, where the operator set a limit.

use session::fault::{Fault, FaultKind, Side};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whose clients are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Of a database, by the name that clients use.
    Database(String),
    /// Of a user, over all databases.
    User(String),
}

impl Whose {
    fn setting(&self) -> &'static str {
        match self {
            Whose::Database(_) => "max_db_client_connections",
            Whose::User(_) => "max_user_client_connections",
        }
    }
}

/// The counts.
#[derive(Debug, Default)]
pub struct Crowd(Mutex<HashMap<Whose, usize>>);

/// One client in a count, until this is dropped.
#[derive(Debug)]
pub struct Counted<'a> {
    crowd: &'a Crowd,
    whose: Whose,
}

impl Crowd {
    /// Counts one more, or says which limit is reached. Without a limit nothing is counted.
    pub fn enter(&self, whose: Whose, max: Option<usize>) -> Result<Option<Counted<'_>>, Fault> {
        let Some(max) = max else {
            return Ok(None);
        };
        let mut counts = self.lock();
        let count = counts.entry(whose.clone()).or_default();
        if *count >= max {
            let (setting, limit) = (whose.setting(), max as u64);
            return Err(Fault::new(Side::Proxy, FaultKind::Limit { setting, limit }));
        }
        *count += 1;
        drop(counts);
        Ok(Some(Counted { crowd: self, whose }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Whose, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut counts = self.crowd.lock();
        if let Some(count) = counts.get_mut(&self.whose) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_exact_and_a_place_comes_back() {
        let crowd = Crowd::default();
        let user = || Whose::User("a".to_owned());
        let first = crowd.enter(user(), Some(2)).unwrap();
        let second = crowd.enter(user(), Some(2)).unwrap();
        let fault = crowd.enter(user(), Some(2)).unwrap_err();
        assert!(
            fault.to_string().contains("max_user_client_connections"),
            "{fault}"
        );
        // A database of that name is somebody else.
        let other = crowd
            .enter(Whose::Database("a".to_owned()), Some(1))
            .unwrap();
        assert!(first.is_some() && second.is_some() && other.is_some());
        drop(first);
        drop(crowd.enter(user(), Some(2)).unwrap());
        assert!(crowd.enter(user(), None).unwrap().is_none());
        drop((second, other));
        assert!(crowd.lock().is_empty());
    }
}
