//! Free TCP ports, reserved across processes for as long as the reservation lives.
//!
//! Binding port 0 and closing again leaves a gap in which another test, or any
//! outgoing connection, takes the port. So ports are taken from below the kernel's
//! ephemeral range, and each is held by a Unix socket in the abstract namespace,
//! which vanishes with its process.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process;

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port of 127.0.0.1 that no other test has while this value lives.
#[derive(Debug)]
pub struct Reserved {
    /// The port.
    pub number: u16,
    _hold: UnixListener,
}

impl Reserved {
    /// `127.0.0.1:<port>`, as configurations want it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}

/// Reserves a port on which nobody listens.
#[track_caller]
pub fn reserve() -> Reserved {
    // Tests of different processes begin at different places, to collide rarely.
    let start = (process::id() % u32::from(COUNT)) as u16;
    (0..COUNT)
        .map(|step| FIRST + (start.wrapping_mul(37) % COUNT + step) % COUNT)
        .find_map(hold)
        .expect("a free port between 20000 and 31999")
}

fn hold(number: u16) -> Option<Reserved> {
    let name = format!("portcullis-test-port-{number}");
    let address = SocketAddr::from_abstract_name(name).ok()?;
    let hold = UnixListener::bind_addr(&address).ok()?;
    TcpListener::bind(("127.0.0.1", number)).ok()?;
    Some(Reserved {
        number,
        _hold: hold,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_given_to_nobody_else() {
        let first = reserve();
        assert!(hold(first.number).is_none());
        let number = first.number;
        drop(first);
        assert_eq!(hold(number).map(|port| port.number), Some(number));
    }
}
