//! Owns the way of orders to whoever runs the proxy: the shell knows no configuration file and no
//! process.

use admin::{Outcome, Refusal, Shutdown};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Orders that may wait at once.
const WAITING_MAX: usize = 16;

/// What the runner of a proxy is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Read the configuration anew.
    Reload,
    /// End the process.
    Shutdown(Shutdown),
    /// Change one setting until the configuration is read anew.
    Set {
        /// Its name.
        key: String,
        /// Its value.
        value: String,
    },
}

/// An order, to be answered.
#[derive(Debug)]
pub struct Order {
    /// What is wanted.
    pub wish: Wish,
    answer: oneshot::Sender<Outcome>,
}

impl Order {
    /// Says how it ended; who asked may be gone.
    pub fn done(self) {
        let _ = self.answer.send(Outcome::Done);
    }

    /// Says why a setting stays as it was.
    pub fn not_set(self, hint: String) {
        let _ = self.answer.send(Outcome::Refused(Refusal::NotSet { hint }));
    }

    /// Says that the configuration stays as it was.
    pub fn not_reloaded(self) {
        let _ = self.answer.send(Outcome::Refused(Refusal::NotReloaded));
    }
}

/// Where the runner takes orders.
#[derive(Debug)]
pub struct Orders(mpsc::Receiver<Order>);

impl Orders {
    /// The next order; `None` once the proxy is gone.
    pub async fn next(&mut self) -> Option<Order> {
        self.0.recv().await
    }
}

/// Where orders are given.
#[derive(Default)]
pub(crate) struct Desk(Mutex<Option<mpsc::Sender<Order>>>);

impl Desk {
    /// From now on this is where orders are taken.
    pub(crate) fn open(&self) -> Orders {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        Orders(receiver)
    }

    /// Gives an order and waits for its end.
    pub(crate) async fn give(&self, wish: Wish) -> Outcome {
        let nobody = || {
            let text = "nobody takes this order: the proxy was started by another program";
            Outcome::Refused(Refusal::NotSupported(text.to_owned()))
        };
        let sender = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(sender) = sender else {
            return nobody();
        };
        let (answer, answered) = oneshot::channel();
        match sender.send(Order { wish, answer }).await {
            Ok(()) => answered.await.unwrap_or_else(|_| nobody()),
            Err(_) => nobody(),
        }
    }
}
