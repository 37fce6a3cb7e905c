//! Owns what is known of a database whose servers could not be reached: for a while nobody tries anew, and
//! everybody is told why.
//!
//! Takes faults and the time, gives whether to try. The while doubles from a tenth of a second up to
//! `server_login_retry`; one success ends it.

use session::fault::{Fault, FaultKind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The first while.
const FIRST: Duration = Duration::from_millis(100);

/// The trouble of one database, if it has any.
#[derive(Debug, Default)]
pub struct Trouble(Mutex<Option<Recent>>);

#[derive(Debug)]
struct Recent {
    fault: Fault,
    pause: Duration,
    until: Instant,
}

impl Trouble {
    /// The fault of the last attempt, if it is too early for another one.
    pub fn known(&self, now: Instant) -> Option<Fault> {
        let recent = self.lock();
        let recent = recent.as_ref().filter(|it| now < it.until)?;
        Some(recent.fault.clone())
    }

    /// Notes how an attempt ended. What is one client's own affair is none of the others'.
    pub fn note(&self, outcome: Result<(), &Fault>, most: Duration, now: Instant) {
        let mut recent = self.lock();
        match outcome {
            Ok(()) => *recent = None,
            Err(fault) if is_everybodys(fault) => {
                let pause = recent.as_ref().map_or(FIRST, |it| it.pause * 2).min(most);
                *recent = Some(Recent {
                    fault: fault.clone(),
                    pause,
                    until: now + pause,
                });
            }
            Err(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Recent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if the next client would meet the same: the server can't be reached, or takes nobody now.
fn is_everybodys(fault: &Fault) -> bool {
    match &fault.kind {
        FaultKind::Io { .. } | FaultKind::Timeout { .. } | FaultKind::ServerRefusesTls => true,
        FaultKind::Tls { .. } | FaultKind::PlaintextBehindTlsAnswer => true,
        FaultKind::ServerRefused { sqlstate, .. } => sqlstate.starts_with("57P"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session::fault::{ServerWords, Side};

    fn refused(sqlstate: &str) -> Fault {
        let kind = FaultKind::ServerRefused {
            sqlstate: sqlstate.to_owned(),
            response: ServerWords(Vec::new()),
        };
        Fault::new(Side::Server, kind)
    }

    #[test]
    fn pauses_double_up_to_the_setting_and_end_with_a_success() {
        let trouble = Trouble::default();
        let most = Duration::from_millis(350);
        let fault = refused("57P03");
        let mut now = Instant::now();
        assert_eq!(trouble.known(now), None);
        for pause in [100, 200, 350, 350] {
            trouble.note(Err(&fault), most, now);
            let end = now + Duration::from_millis(pause);
            assert_eq!(
                trouble.known(end - Duration::from_millis(1)),
                Some(fault.clone())
            );
            assert_eq!(trouble.known(end), None);
            now = end;
        }
        trouble.note(Ok(()), most, now);
        assert_eq!(trouble.known(now), None);
        trouble.note(Err(&fault), most, now);
        assert_eq!(trouble.known(now + FIRST), None);
    }

    #[test]
    fn a_wrong_password_is_one_clients_own_affair() {
        let trouble = Trouble::default();
        let now = Instant::now();
        trouble.note(Err(&refused("28P01")), FIRST, now);
        assert_eq!(trouble.known(now), None);
    }
}
