//! Owns the header that a load balancer sends in front of everything else, where a listener demands
//! one. Reads exactly its bytes: what follows is the client's.

use crate::setup::ProxyProtocol;
use crate::socket::Socket;
use admission::Network;
use buf::Cipher;
use observe::Counters;
use session::fault::{Fault, FaultKind, Side};
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use wire::proxy_header::{HEADER_MAX, Progress, Proxied, parse};

/// The address of the client behind the balancer; `None` if the socket's own address holds.
pub async fn client(
    socket: &mut Socket,
    demanded: &ProxyProtocol,
    from: Option<IpAddr>,
    counters: &Counters,
) -> Result<Option<SocketAddr>, Fault> {
    let ProxyProtocol::Required { trusted } = demanded else {
        return Ok(None);
    };
    let read = match trusts(trusted, from) {
        true => header(socket).await,
        false => Err(refuse(
            "it comes from an address that proxy_trusted does not have".to_owned(),
        )),
    };
    match &read {
        Err(Fault {
            kind: FaultKind::ProxyHeader { .. },
            ..
        }) => counters.admission.refused_proxy_header.add(1),
        Ok(Some(_)) => counters.admission.proxied.add(1),
        _ => {}
    }
    read
}

fn trusts(trusted: &[Network], from: Option<IpAddr>) -> bool {
    from.is_some_and(|from| trusted.iter().any(|network| network.contains(from)))
}

async fn header(socket: &mut Socket) -> Result<Option<SocketAddr>, Fault> {
    let mut raw = Cipher::with_capacity(HEADER_MAX);
    loop {
        let needs = match parse(raw.bytes()) {
            Ok(Progress::Whole(Proxied::Client(address), _)) => return Ok(Some(address)),
            Ok(Progress::Whole(Proxied::Local | Proxied::Unknown, _)) => return Ok(None),
            Ok(Progress::Needs(count)) => count,
            Err(fault) => return Err(refuse(fault.to_string())),
        };
        let rest = needs - raw.len();
        let count = poll_fn(|cx| socket.poll_read(cx, &mut raw, rest)).await;
        match count {
            Ok(0) => {
                let truncated = false;
                return Err(Fault::new(Side::Client, FaultKind::Lost { truncated }));
            }
            Ok(_) => {}
            Err(error) => {
                let (phase, cause) = ("reading", error.to_string());
                return Err(Fault::new(Side::Client, FaultKind::Io { phase, cause }));
            }
        }
    }
}

fn refuse(cause: String) -> Fault {
    Fault::new(Side::Client, FaultKind::ProxyHeader { cause })
}
