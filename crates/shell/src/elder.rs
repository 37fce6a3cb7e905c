//! Owns the way of cancel requests to the process that this one has taken over from: sessions that began
//! there end there, and so their keys are known there. Whoever keeps the connection to that process
//! takes the requests, carries them over, and says when they are done.

use crate::cancel::{Bounds, UnderWay};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use wire::startup::CancelRequest;

/// Requests that may wait to be taken.
const WAITING_MAX: usize = 64;

/// A cancel request for the process of before.
#[derive(Debug)]
pub struct PassedBack {
    /// The request, as the client made it.
    pub request: CancelRequest,
    done: oneshot::Sender<()>,
}

impl PassedBack {
    /// Its parts: the request, and what is dropped or told when it is done.
    pub fn into_parts(self) -> (CancelRequest, oneshot::Sender<()>) {
        (self.request, self.done)
    }
}

/// Where those requests are taken. While it is there, there is a process of before.
#[derive(Debug)]
pub struct PassedBackTo(mpsc::Receiver<PassedBack>);

impl PassedBackTo {
    /// The next request; `None` once the proxy is gone.
    pub async fn next(&mut self) -> Option<PassedBack> {
        self.0.recv().await
    }
}

/// The process of before, if there is one.
#[derive(Default)]
pub(crate) struct Elder {
    way: Mutex<Option<mpsc::Sender<PassedBack>>>,
    under_way: AtomicUsize,
    took_us: AtomicU64,
}

impl Elder {
    /// From now on there is one, until what is given goes.
    pub(crate) fn open(&self) -> PassedBackTo {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        *self.way.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        PassedBackTo(receiver)
    }

    /// True while there is one.
    pub(crate) fn is_there(&self) -> bool {
        self.sender().is_some()
    }

    /// How long the last request took there; nothing once that process is gone.
    pub(crate) fn took(&self) -> Duration {
        match self.is_there() {
            true => Duration::from_micros(self.took_us.load(Ordering::Relaxed)),
            false => Duration::ZERO,
        }
    }

    /// Has the request carried out there, if it can be, and waits for that.
    pub(crate) async fn ask(&self, request: &CancelRequest, bounds: Bounds) {
        let Some(sender) = self.sender() else {
            return;
        };
        let Some(_under_way) = UnderWay::begin(&self.under_way, bounds.at_once) else {
            return;
        };
        let start = Instant::now();
        let (done, told) = oneshot::channel();
        let request = request.clone();
        let asked = async {
            if sender.send(PassedBack { request, done }).await.is_ok() {
                // An error says that the process has ended, and its sessions with it.
                let _ = told.await;
            }
        };
        if tokio::time::timeout(bounds.deadline, asked).await.is_ok() {
            let took = start.elapsed().as_micros().min(1_000_000) as u64;
            self.took_us.store(took, Ordering::Relaxed);
        }
    }

    fn sender(&self) -> Option<mpsc::Sender<PassedBack>> {
        let mut way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        if way.as_ref().is_some_and(mpsc::Sender::is_closed) {
            *way = None;
        }
        way.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::CancelKey;

    fn request() -> CancelRequest {
        CancelRequest {
            pid: 7,
            key: CancelKey::new(b"aaaa").unwrap(),
        }
    }

    fn bounds(at_once: usize) -> Bounds {
        Bounds {
            at_once,
            per_second: 1,
            deadline: Duration::from_secs(60),
        }
    }

    #[tokio::test]
    async fn requests_are_passed_while_somebody_takes_them() {
        let elder = Elder::default();
        let asked = request();
        // Nobody: done at once.
        elder.ask(&request(), bounds(1)).await;
        let mut taken = elder.open();
        assert!(elder.is_there());
        let carrying = async {
            let (request, done) = taken.next().await.unwrap().into_parts();
            assert_eq!(request.pid, 7);
            done.send(()).unwrap();
        };
        let ((), ()) = tokio::join!(elder.ask(&asked, bounds(1)), carrying);
        // No place: not asked.
        elder.ask(&request(), bounds(0)).await;
        assert!(taken.0.try_recv().is_err());
        // The other process ends in the middle of it.
        let ending = async {
            drop(taken.next().await);
            drop(taken);
        };
        let ((), ()) = tokio::join!(elder.ask(&asked, bounds(1)), ending);
        assert!(!elder.is_there());
        assert_eq!(elder.took(), Duration::ZERO);
    }
}
