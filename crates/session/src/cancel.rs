//! Owns which session a cancel key belongs to: a table as plain data, asked in constant time per
//! candidate. Clients hold the server's real process id with a secret of ours (manual,
//! "Canceling Requests in Progress").

use std::collections::HashMap;
use wire::CancelKey;
use wire::from_server::BackendKeyData;
use wire::startup::CancelRequest;

/// Cancel keys handed out, with what is needed to carry a cancel out.
#[derive(Debug)]
pub struct Keys<T> {
    /// By process id: servers on several hosts may share one.
    by_pid: HashMap<u32, Vec<(CancelKey, T)>>,
}

impl<T> Default for Keys<T> {
    fn default() -> Self {
        Keys {
            by_pid: HashMap::new(),
        }
    }
}

impl<T: Clone> Keys<T> {
    /// Notes a key that a client was given.
    pub fn insert(&mut self, issued: &BackendKeyData, target: T) {
        // Nearly every process id has one key: room for more would be most of what a client costs here.
        self.by_pid
            .entry(issued.pid)
            .or_insert_with(|| Vec::with_capacity(1))
            .push((issued.key.clone(), target));
    }

    /// Forgets the keys under a process id of such targets, when their session ends.
    pub fn remove(&mut self, pid: u32, is_of: impl Fn(&T) -> bool) {
        if let Some(held) = self.by_pid.get_mut(&pid) {
            held.retain(|(_, target)| !is_of(target));
            if held.is_empty() {
                self.by_pid.remove(&pid);
            }
        }
    }

    /// The target of a request, if its process id and its key both match. Every candidate is
    /// compared, each in a time that depends on the keys' lengths alone.
    pub fn find(&self, request: &CancelRequest) -> Option<T> {
        let mut found = None;
        for (key, target) in self.by_pid.get(&request.pid).into_iter().flatten() {
            if key.same_as(&request.key) {
                found = Some(target.clone());
            }
        }
        found
    }

    /// Keys held.
    pub fn len(&self) -> usize {
        self.by_pid.values().map(Vec::len).sum()
    }

    /// True without keys.
    pub fn is_empty(&self) -> bool {
        self.by_pid.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pid: u32, bytes: &[u8]) -> BackendKeyData {
        BackendKeyData {
            pid,
            key: CancelKey::new(bytes).unwrap(),
        }
    }
    fn request(pid: u32, bytes: &[u8]) -> CancelRequest {
        let BackendKeyData { pid, key } = key(pid, bytes);
        CancelRequest { pid, key }
    }

    #[test]
    fn pid_and_key_must_both_match() {
        let mut keys = Keys::default();
        keys.insert(&key(7, b"aaaa"), "first");
        keys.insert(&key(7, b"bbbb"), "second");
        keys.insert(&key(8, &[9; 32]), "third");
        assert_eq!(keys.find(&request(7, b"aaaa")), Some("first"));
        assert_eq!(keys.find(&request(7, b"bbbb")), Some("second"));
        assert_eq!(keys.find(&request(8, &[9; 32])), Some("third"));
        for (pid, bytes) in [
            (8, &b"aaaa"[..]),
            (7, b"aaab"),
            (7, b"aaaaa"),
            (8, &[9; 31]),
            (9, b"aaaa"),
        ] {
            assert_eq!(keys.find(&request(pid, bytes)), None, "{pid} {bytes:?}");
        }
        keys.remove(7, |target| *target == "first");
        keys.remove(9, |_| true);
        assert_eq!(keys.find(&request(7, b"aaaa")), None);
        assert_eq!(keys.len(), 2);
    }
}
