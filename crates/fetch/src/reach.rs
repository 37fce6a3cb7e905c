//! Owns the way to a server: name look-up and TCP, address by address.

use crate::{Fault, Url};
use std::io;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long one of several addresses may take; the last one has all the time that is left.
const EACH: Duration = Duration::from_secs(3);

/// Connects to the first address that takes it.
pub(crate) async fn reach(url: &Url) -> Result<TcpStream, Fault> {
    let look_up = |cause| Fault::LookUp {
        host: url.host().to_owned(),
        cause,
    };
    let found = lookup_host((url.host(), url.port()))
        .await
        .map_err(look_up)?;
    let addresses: Vec<_> = found.collect();
    let mut last = None;
    for (number, address) in addresses.iter().enumerate() {
        let connecting = TcpStream::connect(address);
        let connected = match number + 1 == addresses.len() {
            true => connecting.await,
            false => match timeout(EACH, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            },
        };
        match connected {
            Ok(socket) => return Ok(socket),
            Err(cause) => last = Some(cause),
        }
    }
    Err(match last {
        Some(cause) => Fault::Connect {
            host: url.host().to_owned(),
            port: url.port(),
            cause,
        },
        None => look_up(io::ErrorKind::NotFound.into()),
    })
}
