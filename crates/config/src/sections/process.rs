//! Owns the settings of the process as a whole: bounds, sockets, log, kernel.

use super::{DAY, HOUR, SECOND};
use crate::setting::Fallback::Value;
use crate::setting::{Bounds, section};
use crate::values::Timeout;
use crate::words::{LogFormat, LogLevel, Reload, Sandbox};
use std::time::Duration;

section! {
    /// TCP keepalive, towards clients and servers.
    Tcp = "tcp", Once {
        /// Whether idle connections are probed, so that dead ones are noticed.
        tcp_keepalive: bool { fallback: Value("true") }
        /// Idle time before the first probe; 0 leaves the system's.
        tcp_keepidle: Timeout {
            fallback: Value("0"),
            bounds: Bounds::new(SECOND, 32767 * SECOND),
            sample: "60",
        }
        /// Time between probes; 0 leaves the system's.
        tcp_keepintvl: Timeout {
            fallback: Value("0"),
            bounds: Bounds::new(SECOND, 32767 * SECOND),
            sample: "10",
        }
        /// Unanswered probes before a connection is dead; 0 leaves the system's.
        tcp_keepcnt: u32 { fallback: Value("0"), bounds: Bounds::new(0, 127), sample: "6" }
    }
}

section! {
    /// Bounds on what a client may cause.
    Limits = "limits", Once {
        /// Requests that a session may have sent before the server has answered them; then its
        /// socket is not read until answers come.
        max_pipeline: u32 { fallback: Value("10000"), bounds: Bounds::new(4096, 1_000_000) }
        /// Logins under way at a time on each listener, from the first byte of TLS to the proof;
        /// more wait their turn until client_login_timeout. A client that keeps silent for a
        /// second goes on without a place and asks for one again.
        max_concurrent_logins: u32 { fallback: Value("64"), bounds: Bounds::new(1, 100_000) }
        /// The same from one address; an IPv6 address stands for its /64. Addresses that wait
        /// take turns.
        max_concurrent_logins_per_address: u32 {
            fallback: Value("48"),
            bounds: Bounds::new(1, 100_000),
        }
        /// Clients of one address that are connected and have not logged in yet; more are closed
        /// without a word. 0 is half of max_client_conn.
        max_pending_logins_per_address: u32 {
            fallback: Value("0"),
            bounds: Bounds::new(0, 1_000_000),
        }
        /// Clients a second from one address, after a burst of four seconds' worth; more are
        /// closed without a word. 0 is no bound.
        login_rate: u32 { fallback: Value("500"), bounds: Bounds::new(0, 1_000_000) }
        /// Failed logins a minute from one address, and for one user; after as many at once,
        /// logins are refused until time has passed. An address from which a user has got in is
        /// not held up by failures elsewhere. 0 is no bound.
        failed_login_rate: u32 { fallback: Value("120"), bounds: Bounds::new(0, 1_000_000) }
        /// Cancel requests a second from one address.
        cancel_rate: u32 { fallback: Value("20"), bounds: Bounds::new(1, 100_000) }
        /// Cancel connections to servers at a time.
        cancel_concurrency: u32 { fallback: Value("64"), bounds: Bounds::new(1, 10_000) }
        /// How long one cancel may take.
        cancel_wait_timeout: Duration {
            fallback: Value("10"),
            bounds: Bounds::new(SECOND, HOUR),
        }
        /// How long clients may take, on SUSPEND in the console, to take the rest of what is sent to them;
        /// then they are closed.
        suspend_timeout: Duration {
            fallback: Value("10"),
            bounds: Bounds::new(SECOND, HOUR),
        }
        /// How long a client may wait for a server connection: where a limit of connections is reached, while the
        /// database is paused, and while its cluster has no primary.
        query_wait_timeout: Duration {
            fallback: Value("120"),
            bounds: Bounds::new(SECOND, DAY),
        }
        /// How long a client waits before a notice tells it so; 0 sends none.
        query_wait_notify: Timeout { fallback: Value("5"), bounds: Bounds::new(SECOND, DAY) }
    }
}

section! {
    /// What is written about sessions. Never a literal, a secret or payload.
    Log = "log", Once {
        /// Who reads it.
        format: LogFormat { fallback: Value("\"human\"") }
        /// The least important event still written.
        level: LogLevel { fallback: Value("\"info\"") }
        /// A line when a session starts, with the TLS facts of both legs.
        log_connections: bool { fallback: Value("true") }
        /// A line when a session ends, with its reason, bytes and duration.
        log_disconnections: bool { fallback: Value("true") }
        /// A line every stats_period, with the clients and what was counted since the last one.
        log_stats: bool { fallback: Value("true") }
        /// How often that line is written; 0 never.
        stats_period: Timeout {
            fallback: Value("60"),
            bounds: Bounds::new(SECOND, DAY),
        }
    }
}

section! {
    /// How a changed configuration, and changed files that it names, come into force.
    Files = "files", Once {
        /// When they are read anew. SIGHUP always does it.
        reload: Reload { fallback: Value("\"watch\"") }
        /// How often `watch` and `poll` look whether a file has changed.
        reload_interval: Duration {
            fallback: Value("60"),
            bounds: Bounds::new(SECOND, DAY),
        }
        /// How long before the end of a certificate a daily warning begins.
        expiry_warning: Duration {
            fallback: Value("\"30d\""),
            bounds: Bounds::new(DAY, 3650 * DAY),
        }
    }
}

section! {
    /// What the process asks of the kernel.
    Process = "process", Once {
        /// Whether a crash may write memory, with secrets and rows, to disk. In the sandbox the kernel
        /// can write no core file; those that go through a pipe work.
        core_dumps: bool { fallback: Value("false") }
        /// Whether the running proxy gives up what it does not need: files outside of the
        /// directories that the configuration names (Landlock), and system calls such as execve and
        /// ptrace (seccomp). What the kernel does not have is told at the start.
        sandbox: Sandbox { fallback: Value("\"on\"") }
        /// Whether passwords, keys and buffers of rows are kept out of swap (mlock). Needs a limit of
        /// locked memory to match: LimitMEMLOCK= in a service unit, ulimit -l in a shell.
        lock_memory: bool { fallback: Value("false") }
    }
}
