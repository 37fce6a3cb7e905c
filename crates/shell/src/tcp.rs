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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What the kernel says of a connection that was configured so.
    fn configured(options: &TcpOptions) -> socket2::Socket {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let stream = connect("127.0.0.1", address.port(), options).await.unwrap();
            socket2::Socket::from(stream.into_std().unwrap())
        })
    }

    #[test]
    fn the_kernel_is_told_what_the_operator_wants() {
        let socket = configured(&TcpOptions {
            keepalive: true,
            keepalive_idle: Some(Duration::from_secs(77)),
            keepalive_interval: Some(Duration::from_secs(7)),
            keepalive_count: Some(3),
            user_timeout: Some(Duration::from_millis(12_345)),
            ..TcpOptions::default()
        });
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            Duration::from_secs(77)
        );
        let interval = socket.tcp_keepalive_interval().unwrap();
        assert_eq!(interval, Duration::from_secs(7));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        let timeout = socket.tcp_user_timeout().unwrap();
        assert_eq!(timeout, Some(Duration::from_millis(12_345)));
    }

    #[test]
    fn keepalive_may_be_off_and_the_timeout_is_off_by_default() {
        let socket = configured(&TcpOptions {
            keepalive: false,
            ..TcpOptions::default()
        });
        assert!(!socket.keepalive().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), None);
    }
}
