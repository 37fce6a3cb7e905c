//! Owns the order of costly steps on one worker: a handshake takes a large part of a millisecond,
//! so one step is run at a time, and between two of them everything that has become ready in the
//! meantime gets its turn. A live session waits for at most one step, however many clients log in.
//!
//! State of a thread, like the buffers: a worker's sessions never leave it.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

thread_local! {
    static TURN: Arc<Semaphore> = Arc::new(Semaphore::new(1));
}

/// Waits for the turn of one step; hold what is returned while it runs, and across no await.
pub async fn turn() -> Option<OwnedSemaphorePermit> {
    let turn = TURN.with(Arc::clone);
    let permit = turn.acquire_owned().await.ok();
    // The runtime comes back to a task that yields only after it has looked at the sockets and run
    // whom they woke.
    tokio::task::yield_now().await;
    permit
}
