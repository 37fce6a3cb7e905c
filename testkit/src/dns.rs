//! A name server by hand (RFC 1035): UDP and TCP at one port of 127.0.0.1, a zone that tests change, and a record of
//! what was asked.

#![allow(
    clippy::unwrap_used,
    reason = "what a name server by hand can't unwrap has failed its test"
)]

use crate::ports::{self, Reserved};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// The type of a name's addresses of IPv4.
pub const A: u16 = 1;
const CNAME: u16 = 5;
/// The type of a name's addresses of IPv6.
pub const AAAA: u16 = 28;
/// The type of the targets of a service.
pub const SRV: u16 = 33;

/// What is answered.
#[derive(Clone)]
pub enum Reply {
    /// These.
    Records(Vec<Record>),
    /// The same, by TCP only: UDP says that the answer was cut short.
    ByTcpOnly(Vec<Record>),
    /// An error (RFC 1035 section 4.1.1).
    Code(u8),
    /// Nothing.
    Silence,
    /// Bytes that are no message.
    Garbage,
    /// An answer whose records are cut off.
    Cut,
    /// Records as an answer to another question.
    ToAnother(Vec<Record>),
}

/// A record of an answer.
#[derive(Clone)]
pub struct Record {
    owner: Option<String>,
    kind: u16,
    ttl_s: u32,
    data: Vec<u8>,
}

impl Record {
    /// An address, of either family.
    pub fn address(ttl_s: u32, address: &str) -> Record {
        let (kind, data) = match address.parse().unwrap() {
            IpAddr::V4(it) => (A, it.octets().to_vec()),
            IpAddr::V6(it) => (AAAA, it.octets().to_vec()),
        };
        Record {
            owner: None,
            kind,
            ttl_s,
            data,
        }
    }

    /// Priority, weight, port and target.
    pub fn service(ttl_s: u32, facts: (u16, u16, u16, &str)) -> Record {
        let (priority, weight, port, target) = facts;
        let mut data = [priority, weight, port].map(u16::to_be_bytes).concat();
        data.extend(name(target));
        Record {
            owner: None,
            kind: SRV,
            ttl_s,
            data,
        }
    }

    /// That the name is another one's.
    pub fn alias(ttl_s: u32, of: &str) -> Record {
        Record {
            owner: None,
            kind: CNAME,
            ttl_s,
            data: name(of),
        }
    }

    /// The same for another name than that of the question.
    pub fn of(mut self, owner: &str) -> Record {
        self.owner = Some(owner.to_owned());
        self
    }
}

/// What was asked: name, type, and whether by TCP.
pub type Question = (String, u16, bool);

#[derive(Default)]
struct Known {
    zone: Mutex<HashMap<(String, u16), Reply>>,
    asked: Mutex<Vec<Question>>,
    ending: AtomicBool,
}

/// A running name server.
pub struct DnsServer {
    /// Where it listens, by UDP and by TCP.
    pub address: SocketAddr,
    known: Arc<Known>,
    threads: Vec<JoinHandle<()>>,
    _port: Reserved,
}

impl DnsServer {
    /// With an empty zone: no name exists.
    pub fn start() -> DnsServer {
        let port = ports::reserve();
        let address = SocketAddr::from(([127, 0, 0, 1], port.number));
        let (udp, tcp) = (
            UdpSocket::bind(address).unwrap(),
            TcpListener::bind(address).unwrap(),
        );
        let known = Arc::new(Known::default());
        let (one, other) = (Arc::clone(&known), Arc::clone(&known));
        let threads = vec![
            thread::spawn(move || serve_udp(&udp, &one)),
            thread::spawn(move || serve_tcp(&tcp, &other)),
        ];
        DnsServer {
            address,
            known,
            threads,
            _port: port,
        }
    }

    /// From now on this is answered.
    pub fn set(&self, name: &str, kind: u16, reply: Reply) {
        let key = (name.to_ascii_lowercase(), kind);
        self.known.zone.lock().unwrap().insert(key, reply);
    }

    /// From now on these addresses are answered.
    pub fn set_addresses(&self, name: &str, ttl_s: u32, addresses: &[&str]) {
        for kind in [A, AAAA] {
            let records = addresses.iter().map(|it| Record::address(ttl_s, it));
            let records = records.filter(|it| it.kind == kind);
            self.set(name, kind, Reply::Records(records.collect()));
        }
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Question> {
        self.known.asked.lock().unwrap().clone()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.known.ending.store(true, Ordering::SeqCst);
        // Both wait for somebody.
        let wake = UdpSocket::bind("127.0.0.1:0").unwrap();
        let _ = wake.send_to(b"", self.address);
        let _ = TcpStream::connect(self.address);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve_udp(socket: &UdpSocket, known: &Known) {
    let mut query = [0; 2048];
    loop {
        let (count, from) = socket.recv_from(&mut query).unwrap();
        if known.ending.load(Ordering::SeqCst) {
            return;
        }
        if let Some(answer) = known.answer(&query[..count], false) {
            socket.send_to(&answer, from).unwrap();
        }
    }
}

fn serve_tcp(listener: &TcpListener, known: &Known) {
    for stream in listener.incoming() {
        if known.ending.load(Ordering::SeqCst) {
            return;
        }
        let mut stream = stream.unwrap();
        let mut count = [0; 2];
        stream.read_exact(&mut count).unwrap();
        let mut query = vec![0; usize::from(u16::from_be_bytes(count))];
        stream.read_exact(&mut query).unwrap();
        if let Some(answer) = known.answer(&query, true) {
            let count = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream.write_all(&[&count[..], &answer].concat()).unwrap();
        }
    }
}

impl Known {
    fn answer(&self, query: &[u8], by_tcp: bool) -> Option<Vec<u8>> {
        let (name, kind, question_end) = question(query);
        self.asked
            .lock()
            .unwrap()
            .push((name.clone(), kind, by_tcp));
        let reply = self.zone.lock().unwrap().get(&(name, kind)).cloned();
        let answer = |flags: u16, records: &[Record]| {
            let count = u16::try_from(records.len()).unwrap();
            let mut answer = query[..2].to_vec();
            for number in [0x8180 | flags, 1, count, 0, 0] {
                answer.extend(number.to_be_bytes());
            }
            answer.extend(&query[12..question_end]);
            records.iter().for_each(|it| it.write(&mut answer));
            answer
        };
        Some(match reply {
            None => answer(3, &[]),
            Some(Reply::Records(records)) => answer(0, &records),
            Some(Reply::ByTcpOnly(_)) if !by_tcp => answer(0x0200, &[]),
            Some(Reply::ByTcpOnly(records)) => answer(0, &records),
            Some(Reply::Code(code)) => answer(code.into(), &[]),
            Some(Reply::Silence) => return None,
            Some(Reply::Garbage) => b"220 mail.example ESMTP\r\n".to_vec(),
            Some(Reply::Cut) => {
                let mut answer = answer(0, &[Record::address(60, "10.0.0.1")]);
                answer.truncate(answer.len() - 2);
                answer
            }
            Some(Reply::ToAnother(records)) => {
                let mut answer = answer(0, &records);
                // The first letter of the question's name.
                answer[13] = b'x';
                answer
            }
        })
    }
}

impl Record {
    fn write(&self, to: &mut Vec<u8>) {
        match &self.owner {
            // A pointer to the question.
            None => to.extend([0xc0, 12]),
            Some(owner) => to.extend(name(owner)),
        }
        to.extend(self.kind.to_be_bytes());
        to.extend(1_u16.to_be_bytes());
        to.extend(self.ttl_s.to_be_bytes());
        to.extend(u16::try_from(self.data.len()).unwrap().to_be_bytes());
        to.extend(&self.data);
    }
}

/// A name as it travels.
fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|it| !it.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// The name, the type and the end of the one question.
fn question(query: &[u8]) -> (String, u16, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8(query[at + 1..end].to_ascii_lowercase()).unwrap());
        at = end;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    (labels.join("."), kind, at + 5)
}
