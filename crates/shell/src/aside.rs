//! Owns a thread beside the workers, with a runtime of its own: for tasks that must slow no session.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread on which tasks run. It ends when this is dropped, and its tasks with it.
pub(crate) struct Aside {
    handle: Handle,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Aside {
    /// Starts one under this name.
    pub(crate) fn begin(name: &str) -> io::Result<Aside> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let body = move || {
            // It ends with its sender, too.
            let _ = runtime.block_on(stopped);
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)?;
        Ok(Aside {
            handle,
            stop,
            thread,
        })
    }

    /// Has a task run there.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }

    /// Ends it. Blocks for a moment.
    pub(crate) fn end(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}
