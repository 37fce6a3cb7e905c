//! Owns the wish of the person at the terminal, or of the service manager, that a command end:
//! SIGINT, SIGTERM, SIGHUP, SIGQUIT. Commands that make things look at it wherever they wait, so
//! that they can clear up on their own way out.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Whether somebody wishes the end.
#[derive(Default)]
pub(crate) struct Interrupt {
    wished: Mutex<bool>,
    change: Condvar,
}

impl Interrupt {
    /// From here on the signals no longer end the process by themselves.
    pub(crate) fn watch() -> io::Result<Arc<Interrupt>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let signals = {
            let _inside = runtime.enter();
            let all = [
                SignalKind::interrupt(),
                SignalKind::terminate(),
                SignalKind::hangup(),
                SignalKind::quit(),
            ];
            all.into_iter()
                .map(signal)
                .collect::<io::Result<Vec<_>>>()?
        };
        let interrupt = Arc::new(Interrupt::default());
        let shared = Arc::clone(&interrupt);
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(shared.listen(signals)))?;
        Ok(interrupt)
    }

    /// True once the end is wished.
    pub(crate) fn is_wished(&self) -> bool {
        self.pause(Duration::ZERO)
    }

    /// Waits, but not longer than until the end is wished; true if it is.
    pub(crate) fn pause(&self, at_most: Duration) -> bool {
        let wished = self.wished.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .change
            .wait_timeout_while(wished, at_most, |wished| !*wished);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until the end is wished.
    pub(crate) fn wait(&self) {
        while !self.pause(Duration::from_secs(3600)) {}
    }

    async fn listen(&self, mut signals: Vec<Signal>) {
        std::future::poll_fn(|cx| {
            let came = signals.iter_mut().any(|it| it.poll_recv(cx).is_ready());
            match came {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
        *self.wished.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.change.notify_all();
    }
}
