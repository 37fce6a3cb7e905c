//! Owns PBKDF2 off the workers' threads: it costs milliseconds, during which no session of the
//! worker would move. Bounded in number; who comes later waits.

use auth::{Derivation, ScramKeys};
use tokio::sync::Semaphore;

/// The bound.
pub struct Deriver {
    permits: Semaphore,
}

impl Deriver {
    /// At most `max` derivations at once.
    pub fn new(max: usize) -> Deriver {
        Deriver {
            permits: Semaphore::new(max.max(1)),
        }
    }

    /// Derives the keys on a thread that may block.
    pub async fn keys(&self, question: Derivation) -> Result<ScramKeys, auth::CryptoFault> {
        let permit = self.permits.acquire().await;
        let keys = tokio::task::spawn_blocking(move || auth::scram::derive(&question)).await;
        drop(permit);
        keys.unwrap_or(Err(auth::CryptoFault::ScramUnavailable))
    }
}
