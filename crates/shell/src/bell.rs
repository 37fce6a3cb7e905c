//! Owns the bells of a session's two sockets: each tells which one has rung, so that the pump asks
//! only those that may have something to read. A question to a silent socket costs a lock and a
//! look at the task's budget, and two of three would be such.
//!
//! Takes the waker of the session's task; gives each socket a waker of its own that passes the
//! ring on. Knows no socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

/// The bells of both sides.
pub struct Bells {
    /// The client's.
    pub client: Bell,
    /// The server's.
    pub server: Bell,
}

impl Bells {
    /// Bells that wake `task`.
    fn new(task: &Waker) -> Bells {
        Bells {
            client: Bell::new(task),
            server: Bell::new(task),
        }
    }

    /// Called at each wake-up, before any socket is asked: takes note of what rang. New ones are
    /// hung where `task` is another than before.
    #[inline]
    pub fn listen(&mut self, task: &Waker) {
        if !self.client.line.task.will_wake(task) {
            *self = Bells::new(task);
        }
        self.client.listen();
        self.server.listen();
    }
}

impl Default for Bells {
    /// Bells that wake nobody yet.
    fn default() -> Bells {
        Bells::new(Waker::noop())
    }
}

/// One socket's bell, and whether it is waited for.
pub struct Bell {
    line: Arc<Line>,
    waker: Waker,
    waiting: bool,
}

struct Line {
    rang: AtomicBool,
    task: Waker,
}

impl Wake for Line {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl Bell {
    fn new(task: &Waker) -> Bell {
        let line = Arc::new(Line {
            rang: AtomicBool::new(false),
            task: task.clone(),
        });
        Bell {
            waker: Waker::from(Arc::clone(&line)),
            line,
            waiting: false,
        }
    }

    /// What the socket is to be asked with.
    #[inline]
    pub fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    /// The socket, asked with [`context`](Self::context), had nothing: it will ring.
    #[inline]
    pub fn wait(&mut self) {
        self.waiting = true;
    }

    /// It is another socket's from now on, which is worth asking.
    #[inline]
    pub fn renew(&mut self) {
        self.waiting = false;
    }

    /// True if the socket has not rung since it had nothing.
    #[inline]
    pub fn is_silent(&self) -> bool {
        self.waiting
    }

    #[inline]
    fn listen(&mut self) {
        if self.line.rang.load(Ordering::Acquire) {
            self.line.rang.store(false, Ordering::Relaxed);
            self.waiting = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_socket_that_rang_is_asked_again() {
        let mut bells = Bells::default();
        assert!(!bells.client.is_silent() && !bells.server.is_silent());
        bells.client.wait();
        bells.server.wait();
        bells.client.context().waker().wake_by_ref();
        bells.client.listen();
        bells.server.listen();
        assert!(!bells.client.is_silent() && bells.server.is_silent());
    }

    /// A ring while the socket was being asked is a reason to ask once more.
    #[test]
    fn a_ring_before_the_answer_is_not_lost() {
        let mut bells = Bells::default();
        bells.client.context().waker().wake_by_ref();
        bells.client.wait();
        bells.client.listen();
        bells.server.listen();
        assert!(!bells.client.is_silent());
        bells.client.wait();
        bells.client.listen();
        bells.server.listen();
        assert!(bells.client.is_silent());
    }

    /// Another task's sockets are all asked once: their bells must come to know the new waker.
    #[test]
    fn a_new_task_is_woken_and_asks_both() {
        let task = Arc::new(Line {
            rang: AtomicBool::new(false),
            task: Waker::noop().clone(),
        });
        let mut bells = Bells::default();
        bells.client.wait();
        bells.server.wait();
        bells.listen(&Waker::from(Arc::clone(&task)));
        assert!(!bells.client.is_silent() && !bells.server.is_silent());
        bells.server.context().waker().wake_by_ref();
        assert!(task.rang.load(Ordering::Acquire));
    }
}
