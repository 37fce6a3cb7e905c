//! Free TCP ports, reserved across processes for as long as the reservation lives.
//!
//! Binding port 0 and closing again leaves a gap in which another test, or any
//! outgoing connection, takes the port. So ports are taken from below the kernel's
//! ephemeral range, and each is held by a Unix socket in the abstract namespace,
//! which vanishes with its process.
//!
//! Whether a port is free is learned by binding it, never by listening on it. A child that
//! another thread is about to start has a copy of every socket until its exec. A listening copy
//! takes connections that are meant for the program behind the port, and resets them.

use std::io;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::process;

use socket2::{Domain, Socket, Type};

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
    let address = UnixAddr::from_abstract_name(name).ok()?;
    let hold = UnixListener::bind_addr(&address).ok()?;
    probe(number).ok()?;
    Some(Reserved {
        number,
        _hold: hold,
    })
}

/// Fails if somebody listens on the port. With SO_REUSEADDR on both, a copy of this socket keeps
/// nobody from listening.
fn probe(number: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], number)).into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::wait;

    #[test]
    fn a_reserved_port_is_given_to_nobody_else() {
        let first = reserve();
        assert!(hold(first.number).is_none());
        let number = first.number;
        drop(first);
        // A child that is being started holds it until its exec.
        let again = wait::until_some("the port", wait::LONG, || hold(number));
        assert_eq!(again.number, number);
    }

    /// As it is while a child is being started that has a copy of the probe's socket.
    #[test]
    fn a_probe_that_lives_on_takes_no_connection_and_lets_others_listen() {
        let port = reserve();
        let _probe = probe(port.number).expect("a free port");
        let to_nobody = TcpStream::connect(("127.0.0.1", port.number));
        assert!(to_nobody.is_err(), "the probe took a connection");
        let _listener =
            TcpListener::bind(("127.0.0.1", port.number)).expect("a listener beside it");
        assert!(probe(port.number).is_err(), "somebody listens there");
    }
}
