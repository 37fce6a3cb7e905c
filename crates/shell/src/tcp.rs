//! Owns TCP's options and connecting: name look-up off the worker's thread, one address after the
//! other, keepalive and TCP_USER_TIMEOUT on both legs.

use crate::setup::TcpOptions;
use session::fault::{Fault, FaultKind, Side};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use tokio::net::TcpStream;

/// Connects to the first address of `host` that answers.
pub async fn connect(host: &str, port: u16, options: &TcpOptions) -> Result<TcpStream, Fault> {
    let failed = |error: io::Error| {
        let cause = error.to_string();
        let phase = "connecting";
        Fault::new(Side::Server, FaultKind::Io { phase, cause })
    };
    let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
    configure(&stream, options).map_err(failed)?;
    Ok(stream)
}

/// Sets what every connection gets: no delay, since each write is one batch already.
pub fn configure(stream: &TcpStream, options: &TcpOptions) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    if options.keepalive {
        let mut keepalive = TcpKeepalive::new();
        if let Some(idle) = options.keepalive_idle {
            keepalive = keepalive.with_time(idle);
        }
        if let Some(interval) = options.keepalive_interval {
            keepalive = keepalive.with_interval(interval);
        }
        if let Some(count) = options.keepalive_count {
            keepalive = keepalive.with_retries(count);
        }
        socket.set_tcp_keepalive(&keepalive)?;
    }
    if options.user_timeout.is_some() {
        socket.set_tcp_user_timeout(options.user_timeout)?;
    }
    Ok(())
}
