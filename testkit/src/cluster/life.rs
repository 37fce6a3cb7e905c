//! A cluster's life: ready, stopped, killed, hanging, back again.

use std::fs;

use nix::sys::signal::Signal;

use super::{Cluster, apart};
use crate::wait;

impl Cluster {
    /// Ends the server by this signal to its postmaster, and starts it again.
    #[track_caller]
    pub fn restart(&mut self, signal: Signal) {
        self.end(signal);
        self.start_again();
    }

    /// Stops the server in good order ("fast": sessions are ended, a checkpoint is written,
    /// standbys that stream have all of it).
    #[track_caller]
    pub fn stop(&self) {
        self.end(Signal::SIGINT);
    }

    /// SIGKILL to the postmaster and all of its children at once, as when a container is killed.
    /// Returns when none of them is left.
    #[track_caller]
    pub fn kill(&self) {
        self.server.kill();
        self.await_end();
    }

    /// SIGSTOP to the postmaster and all of its children: the kernel still takes connections
    /// for the server, and nobody answers. Returns when all of them stand still.
    #[track_caller]
    pub fn hang(&self) {
        self.server.hang();
    }

    /// Lets a server that hangs go on.
    pub fn wake(&self) {
        self.server.wake();
    }

    /// Unplugs the link of a server that has a network of its own: nothing passes, and nobody is told.
    #[track_caller]
    pub fn unplug(&self) {
        apart::plug(self.server.pid(), false);
    }

    /// Plugs it in again.
    #[track_caller]
    pub fn plug_in(&self) {
        apart::plug(self.server.pid(), true);
    }

    /// Starts a server that has ended, as it was, and waits until it takes sessions.
    #[track_caller]
    pub fn start_again(&self) {
        // Processes that a killed postmaster left may still hold its shared memory.
        let back = wait::within(wait::LONG, || {
            if self.server.ended().is_some() {
                let command = self.plan.postgres(self.server.directory());
                self.server.start_again(command, &self.log);
            }
            self.is_ready().then_some(())
        });
        assert!(
            back.is_some(),
            "PostgreSQL did not come back:\n{}",
            self.log()
        );
    }

    /// Whether the server runs (or hangs).
    pub fn is_running(&self) -> bool {
        self.server.ended().is_none()
    }

    #[track_caller]
    fn end(&self, signal: Signal) {
        self.server.signal(signal);
        self.await_end();
    }

    #[track_caller]
    fn await_end(&self) {
        wait::until("the server's end", wait::LONG, || !self.is_running());
    }

    #[track_caller]
    pub(super) fn await_ready(&self) {
        let ready = wait::within(wait::LONG, || {
            if let Some(ended) = self.server.ended() {
                panic!("PostgreSQL ended ({ended}) while starting:\n{}", self.log());
            }
            self.is_ready().then_some(())
        });
        assert!(ready.is_some(), "PostgreSQL did not start:\n{}", self.log());
    }

    /// Line 1 of its file is the postmaster's process id, line 8 its state (miscadmin.h,
    /// LOCK_FILE_LINE_PM_STATUS). A standby is ready when it takes read-only sessions.
    fn is_ready(&self) -> bool {
        let status = self.server.directory().join("data/postmaster.pid");
        let text = fs::read_to_string(status).unwrap_or_default();
        let line = |number| text.lines().nth(number).unwrap_or_default().trim();
        line(0) == self.server.pid().to_string() && line(7) == "ready"
    }
}
