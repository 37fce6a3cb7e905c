//! Owns what an answer of DNS says: addresses or services, and how long they are good for. Touches no socket.

use crate::fault::DnsFault;
use domain::base::iana::Rtype;
use domain::base::name::ToName as _;
use domain::base::rdata::ParseRecordData;
use domain::base::{Message, ParsedName, Record};
use domain::rdata::{A, Aaaa, Cname, Srv};
use std::net::IpAddr;
use std::time::Duration;

/// Addresses of one family.
pub(super) type Addresses = Vec<IpAddr>;
/// SRV records.
pub(super) type Services = Vec<Service>;

/// A fault, or `None`: it can't be read.
type Read<T> = Result<(T, Duration), Option<DnsFault>>;

/// Which addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// IPv4.
    Four,
    /// IPv6.
    Six,
}

impl Family {
    pub(super) fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::Four,
            IpAddr::V6(_) => Family::Six,
        }
    }

    pub(super) fn records(self) -> Rtype {
        match self {
            Family::Four => Rtype::A,
            Family::Six => Rtype::AAAA,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Family::Four => "A",
            Family::Six => "AAAA",
        }
    }

    /// The addresses of an answer without an error.
    pub(super) fn read(self, message: &Message<[u8]>) -> Read<Addresses> {
        match self {
            Family::Four => records(message, |it: &A| Ok(it.addr().into())),
            Family::Six => records(message, |it: &Aaaa| Ok(it.addr().into())),
        }
    }
}

/// One SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Service {
    pub(super) priority: u16,
    pub(super) target: String,
    pub(super) port: u16,
    pub(super) weight: u16,
}

/// The services of an answer without an error, by priority.
pub(super) fn services(message: &Message<[u8]>) -> Read<Services> {
    type Parsed<'a> = Srv<ParsedName<&'a [u8]>>;
    let (mut found, ttl) = records(message, |it: &Parsed<'_>| {
        let target = it.target().to_string();
        match target.as_str() {
            "." | "" => Err(DnsFault::NotOffered),
            _ => Ok(Service {
                priority: it.priority(),
                target,
                port: it.port(),
                weight: it.weight(),
            }),
        }
    })?;
    found.sort();
    Ok((found, ttl))
}

/// The records of this kind that belong to the name that was asked for, or the one that it is an alias of; with the
/// shortest TTL on the way there.
fn records<'a, D: ParseRecordData<'a, [u8]>, T>(
    message: &'a Message<[u8]>,
    read: impl Fn(&D) -> Result<T, DnsFault>,
) -> Read<Vec<T>> {
    let name = message.canonical_name().ok_or(None)?;
    let section = message.answer().map_err(|_| None)?;
    let mut ttl = Duration::MAX;
    for alias in section.limit_to_in::<Cname<ParsedName<&[u8]>>>() {
        ttl = ttl.min(good_for(&alias.map_err(|_| None)?));
    }
    let mut found = Vec::new();
    for record in section.limit_to_in::<D>() {
        let record = record.map_err(|_| None)?;
        if record.owner().name_eq(&name) {
            ttl = ttl.min(good_for(&record));
            found.push(read(record.data()).map_err(Some)?);
        }
    }
    match found.is_empty() {
        true => Err(Some(DnsFault::NoRecords)),
        false => Ok((found, ttl)),
    }
}

fn good_for<N, D>(record: &Record<N, D>) -> Duration {
    Duration::from_secs(record.ttl().as_secs().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::base::{MessageBuilder, Name, Ttl};
    use proptest::prelude::*;
    use std::str::FromStr as _;

    fn name(text: &str) -> Name<Vec<u8>> {
        Name::from_str(text).unwrap()
    }

    /// An answer with an alias and a service.
    fn answer() -> Vec<u8> {
        let mut message = MessageBuilder::new_vec().question();
        message.push((name("a.example."), Rtype::SRV)).unwrap();
        let mut message = message.answer();
        let alias = Cname::new(name("b.example."));
        let alias = (name("a.example."), Ttl::from_secs(7), alias);
        message.push(alias).unwrap();
        let service = Srv::new(1, 2, 5432, name("db.example."));
        let service = (name("b.example."), Ttl::from_secs(9), service);
        message.push(service).unwrap();
        message.finish()
    }

    #[test]
    fn a_service_behind_an_alias_is_good_for_as_long_as_both() {
        let answer = answer();
        let (found, ttl) = services(Message::from_slice(&answer).unwrap()).unwrap();
        let wanted = Service {
            priority: 1,
            target: "db.example".to_owned(),
            port: 5432,
            weight: 2,
        };
        assert_eq!((found, ttl), (vec![wanted], Duration::from_secs(7)));
    }

    proptest! {
        #[test]
        fn a_damaged_answer_is_read_or_refused(
            places in proptest::collection::vec((0_usize..120, any::<u8>()), 1..6),
            end in 12_usize..120,
        ) {
            let mut answer = answer();
            for (place, byte) in places {
                if let Some(at) = answer.get_mut(place) {
                    *at = byte;
                }
            }
            answer.truncate(end);
            let message = Message::from_slice(&answer).unwrap();
            // Whatever they come to, they come to an end.
            let _ = services(message);
            let _ = Family::Four.read(message);
            let _ = Family::Six.read(message);
        }
    }
}
