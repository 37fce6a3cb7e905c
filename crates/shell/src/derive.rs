//! Owns PBKDF2 off the workers' threads: it costs milliseconds, during which no session of the
//! worker would move. Bounded in number; who comes later waits. What let somebody in is kept, so
//! that it is derived once.
//!
//! A client can't tell a kept answer from a derived one: both come as late as derivations have
//! lately taken. Otherwise users who log in often would be known by their speed.

use auth::scram::Kept;
use auth::{CryptoFault, Derivation, ScramKeys};
use buf::Secret;
use observe::{Counters, Handshakes};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Answers kept.
const KEPT_MAX: usize = 4096;

/// The longest that anybody is held up for the sake of looking alike.
const PACE_MAX: Duration = Duration::from_millis(50);

/// The bound, and what is kept.
pub struct Deriver {
    permits: Semaphore,
    kept: Mutex<Kept>,
    /// What a derivation takes: the longest lately, in microseconds.
    pace_us: AtomicU64,
    counters: Arc<Counters>,
}

impl Deriver {
    /// Where the handshakes of those are counted whose keys are derived.
    pub(crate) fn handshakes(&self) -> &Handshakes {
        &self.counters.handshakes
    }

    /// At most `max` derivations at once; `secret` is random.
    pub fn new(max: usize, secret: Secret, counters: Arc<Counters>) -> Deriver {
        Deriver {
            permits: Semaphore::new(max.max(1)),
            kept: Mutex::new(Kept::new(secret, KEPT_MAX)),
            pace_us: AtomicU64::new(0),
            counters,
        }
    }

    /// The keys for a login towards a server, who learns nothing from how fast we are.
    pub async fn keys(&self, question: &Derivation) -> Result<ScramKeys, CryptoFault> {
        if let Some(keys) = self.kept().find(question)? {
            self.counters.admission.derivations_saved.add(1);
            return Ok(keys);
        }
        self.counters.admission.derivations.add(1);
        let permit = self.permits.acquire().await;
        let question = question.clone();
        let derive = move || {
            let keys = auth::scram::derive(&question);
            guard::clear_registers();
            keys
        };
        let keys = tokio::task::spawn_blocking(derive).await;
        drop(permit);
        keys.unwrap_or(Err(CryptoFault::ScramUnavailable))
    }

    /// The keys for the login of a client, no sooner for a known question than for a new one.
    pub async fn keys_at_pace(&self, question: &Derivation) -> Result<ScramKeys, CryptoFault> {
        let start = Instant::now();
        let is_kept = self.kept().find(question)?.is_some();
        let keys = self.keys(question).await;
        let took = start.elapsed();
        if !is_kept {
            self.measured(took);
        }
        let pace = Duration::from_micros(self.pace_us.load(Ordering::Relaxed));
        tokio::time::sleep(pace.saturating_sub(took)).await;
        keys
    }

    /// Keeps keys that have let somebody in.
    pub fn keep(&self, question: &Derivation, keys: &ScramKeys) {
        // What OpenSSL doesn't hash is derived again.
        let _ = self.kept().keep(question, keys);
    }

    /// The pace falls slowly to what derivations take, and rises at once.
    fn measured(&self, took: Duration) {
        let took = took.min(PACE_MAX).as_micros() as u64;
        let pace = self.pace_us.load(Ordering::Relaxed);
        let pace = took.max(pace - pace / 16);
        self.pace_us.store(pace, Ordering::Relaxed);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_let_somebody_in_is_derived_once() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let counters = Arc::<Counters>::default();
        let deriver = Deriver::new(1, Secret::new(&[1; 32]), Arc::clone(&counters));
        let question = |password: &[u8]| Derivation {
            password: Secret::new(password),
            salt: b"salt".to_vec(),
            iterations: 4096,
        };
        let [right, wrong] = [question(b"right"), question(b"wrong")];
        runtime.block_on(async {
            let keys = deriver.keys_at_pace(&right).await.unwrap();
            deriver.keep(&right, &keys);
            for _ in 0..2 {
                deriver.keys_at_pace(&wrong).await.unwrap();
            }
            let again = Instant::now();
            let same = deriver.keys_at_pace(&right).await.unwrap();
            let pace = Duration::from_micros(deriver.pace_us.load(Ordering::Relaxed));
            assert!(again.elapsed() >= pace && pace > Duration::ZERO);
            assert!(same.client_key.same_as(keys.client_key.expose()));
        });
        assert_eq!(counters.admission.derivations.total(), 3);
        assert_eq!(counters.admission.derivations_saved.total(), 1);
    }
}
