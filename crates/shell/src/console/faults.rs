//! Owns how often sessions ended with which fault.

use session::fault::{Fault, Side};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Sessions that ended with a fault, by side and kind: both are words of ours, so there are few.
#[derive(Default)]
pub(crate) struct Faults(Mutex<BTreeMap<Words, u64>>);

/// Whose fault, and which.
pub(crate) type Words = (&'static str, &'static str);

impl Faults {
    /// A session ended with this fault, or was refused for it.
    pub(crate) fn note(&self, fault: &Fault) {
        let side = match fault.side {
            Side::Client => "client",
            Side::Server => "server",
            Side::Proxy => "portcullis",
        };
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *faults.entry((side, fault.kind.name())).or_default() += 1;
    }

    /// All that have happened.
    pub(crate) fn all(&self) -> BTreeMap<Words, u64> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session::fault::FaultKind;

    #[test]
    fn faults_are_told_apart_by_side_and_kind() {
        let faults = Faults::default();
        let lost = FaultKind::Lost { truncated: true };
        faults.note(&Fault::new(Side::Client, lost.clone()));
        faults.note(&Fault::new(Side::Client, lost.clone()));
        faults.note(&Fault::new(Side::Server, lost));
        faults.note(&Fault::new(Side::Proxy, FaultKind::Killed));
        let all: Vec<_> = faults.all().into_iter().collect();
        let wanted = [
            (("client", "lost"), 2),
            (("portcullis", "killed"), 1),
            (("server", "lost"), 1),
        ];
        assert_eq!(all, wanted);
    }
}
