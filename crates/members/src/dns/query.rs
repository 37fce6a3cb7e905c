//! Owns the way of one question to name servers and back: UDP, then TCP if the answer was cut short, one server after
//! the other, and all of them twice.

use crate::fault::DnsFault;
use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name};
use domain::net::client::dgram::QueryErrorKind;
use domain::net::client::dgram_stream::{Config, Connection};
use domain::net::client::protocol::{TcpConnect, UdpConnect};
use domain::net::client::request::{Error, RequestMessage, SendRequest as _};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How often each server is asked.
const ROUNDS: usize = 2;
/// Bytes of a datagram: more than servers are told that they may send.
const DATAGRAM_BYTES: usize = 4096;

/// Who is asked.
pub(super) struct Servers {
    pub(super) addresses: Vec<SocketAddr>,
    /// How long each may take, by UDP and again by TCP.
    pub(super) each: Duration,
}

impl Servers {
    /// The first answer that is one. `read` says `None` of what can't be read.
    pub(super) async fn ask<T>(
        &self,
        name: &Name<Vec<u8>>,
        records: Rtype,
        read: impl Fn(&Message<[u8]>) -> Result<T, Option<DnsFault>>,
    ) -> Result<T, DnsFault> {
        let mut worst = None;
        for _ in 0..ROUNDS {
            for server in &self.addresses {
                match self.ask_one(*server, name, records, &read).await {
                    Ok(found) => return Ok(found),
                    // These are answers too.
                    Err(
                        fault @ (DnsFault::NoName | DnsFault::NoRecords | DnsFault::NotOffered),
                    ) => return Err(fault),
                    // That one didn't answer is said if none said more.
                    Err(DnsFault::TimedOut { .. }) => {}
                    Err(fault) => worst = Some(fault),
                }
            }
        }
        Err(worst.unwrap_or_else(|| DnsFault::TimedOut {
            servers: self.addresses.clone(),
            each: self.each,
        }))
    }

    async fn ask_one<T>(
        &self,
        server: SocketAddr,
        name: &Name<Vec<u8>>,
        records: Rtype,
        read: impl Fn(&Message<[u8]>) -> Result<T, Option<DnsFault>>,
    ) -> Result<T, DnsFault> {
        // A datagram's time, and as much for TCP.
        let limit = self.each.saturating_mul(2);
        let answer = match timeout(limit, exchange(server, name, records, self.each)).await {
            Ok(answer) => answer.map_err(|error| fault(server, &error))?,
            Err(_) => return Err(timed_out()),
        };
        let message = Message::from_slice(answer.as_slice());
        let message = message.map_err(|_| DnsFault::Garbled { server })?;
        match message.header().rcode() {
            Rcode::NOERROR => {
                read(message).map_err(|why| why.unwrap_or(DnsFault::Garbled { server }))
            }
            Rcode::NXDOMAIN => Err(DnsFault::NoName),
            code => Err(DnsFault::Refused {
                server,
                code: code.to_string(),
            }),
        }
    }
}

async fn exchange(
    server: SocketAddr,
    name: &Name<Vec<u8>>,
    records: Rtype,
    limit: Duration,
) -> Result<Vec<u8>, Error> {
    let mut question = MessageBuilder::new_vec().question();
    question.header_mut().set_rd(true);
    let pushed = question.push((name, records));
    pushed.map_err(|_| Error::MessageBuilderPushError)?;
    let request = RequestMessage::new(question.into_message())?;
    let mut config = Config::new();
    let datagrams = config.dgram_mut();
    datagrams.set_read_timeout(limit);
    datagrams.set_max_retries(0);
    datagrams.set_recv_size(DATAGRAM_BYTES);
    config.stream_mut().set_response_timeout(limit);
    let (connection, transport) =
        Connection::with_config(UdpConnect::new(server), TcpConnect::new(server), config);
    let mut asked = connection.send_request(request);
    tokio::select! {
        answer = asked.get_response() => answer.map(|it| it.as_slice().to_vec()),
        () = transport.run() => Err(Error::ConnectionClosed),
    }
}

/// Names nobody: that is for the one who knows all that were asked.
fn timed_out() -> DnsFault {
    DnsFault::TimedOut {
        servers: Vec::new(),
        each: Duration::ZERO,
    }
}

fn fault(server: SocketAddr, error: &Error) -> DnsFault {
    match error {
        Error::Dgram(error) if matches!(error.kind(), QueryErrorKind::Timeout) => timed_out(),
        Error::StreamReadTimeout | Error::StreamIdleTimeout => timed_out(),
        Error::MessageParseError | Error::ShortMessage | Error::WrongReplyForQuery => {
            DnsFault::Garbled { server }
        }
        error => DnsFault::Unreachable {
            server,
            cause: error.to_string(),
        },
    }
}
