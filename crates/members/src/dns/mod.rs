//! Owns members by DNS: addresses of a name, and SRV records of a service.
//!
//! Asks the system's name servers (`/etc/resolv.conf`, read each time) or those that are given, with the search list
//! and the number of dots of the former, and looks a name's addresses up in `/etc/hosts` first. Nothing is kept: how
//! long an answer is good for is its shortest TTL, and who asks sees to it.

mod answer;
mod query;
mod system;

use crate::fault::{DnsFault, Fault};
use crate::located::{Found, Located, distinct};
use answer::{Addresses, Family, Services};
use domain::base::iana::Rtype;
use domain::base::{Message, Name};
use query::Servers;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr as _;
use std::time::Duration;
use system::{Hosts, Resolv};

/// Which name servers are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServers {
    /// These, and neither the system's nor its file of hosts; empty: as the system says.
    pub servers: Vec<SocketAddr>,
    /// How long one may take to answer, by UDP and again by TCP. Each is asked twice.
    pub timeout: Duration,
}

impl Default for NameServers {
    /// Those of the system, two seconds each.
    fn default() -> NameServers {
        NameServers {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
        }
    }
}

/// What was found, and how long it is good for.
pub(crate) type Lasting = (Found, Duration);

/// An answer, once per question and name.
type Answered<T> = Result<(T, Duration), DnsFault>;

/// What the system says, or who asks.
struct Way {
    servers: Servers,
    resolv: Resolv,
    hosts: Hosts,
}

impl Way {
    async fn new(given: &NameServers) -> Way {
        let (resolv, hosts) = match given.servers.is_empty() {
            false => (Resolv::of(&given.servers), Hosts::default()),
            true => system::read().await,
        };
        Way {
            servers: Servers {
                addresses: resolv.servers.clone(),
                each: given.timeout,
            },
            resolv,
            hosts,
        }
    }

    /// Asks for one name after the other that this one may stand for; the first that exists and has such records
    /// is it.
    async fn ask<T>(
        &self,
        name: &str,
        records: Rtype,
        read: impl Fn(&Message<[u8]>) -> Result<(T, Duration), Option<DnsFault>>,
    ) -> Answered<T> {
        let mut first = None;
        for candidate in self.resolv.candidates(name) {
            let full = Name::<Vec<u8>>::from_str(&candidate).map_err(|_| DnsFault::BadName)?;
            match self.servers.ask(&full, records, &read).await {
                Ok(answer) => return Ok(answer),
                // What another name of the list says doesn't tell more than that of the first one.
                Err(fault @ (DnsFault::NoName | DnsFault::NoRecords)) => {
                    first = match first {
                        Some(DnsFault::NoRecords) => first,
                        _ => Some(fault),
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
        Err(first.unwrap_or(DnsFault::BadName))
    }

    /// The addresses of a name, of which families there were addresses before.
    async fn addresses(&self, name: &str, before: &[Family]) -> Answered<BTreeSet<IpAddr>> {
        let known = self.hosts.addresses(name);
        if !known.is_empty() {
            return Ok((known, Duration::MAX));
        }
        let ask = |family: Family| {
            let read = move |message: &Message<[u8]>| family.read(message);
            self.ask(name, family.records(), read)
        };
        let (four, six) = tokio::join!(ask(Family::Four), ask(Family::Six));
        combine(four, six, before)
    }
}

/// Members at the addresses of a name.
#[derive(Debug)]
pub(crate) struct ByAddress {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) servers: NameServers,
    /// Which families were found before, so that it shows if one can't be asked for.
    before: Vec<Family>,
}

const ADDRESSES: &str = "A and AAAA";

impl ByAddress {
    pub(crate) fn new(name: String, port: u16, servers: NameServers) -> ByAddress {
        ByAddress {
            name,
            port,
            servers,
            before: Vec::new(),
        }
    }

    pub(crate) async fn ask(&mut self) -> Result<Lasting, Fault> {
        let (addresses, ttl) = match self.name.parse::<IpAddr>() {
            Ok(address) => (BTreeSet::from([address]), Duration::MAX),
            Err(_) => {
                let asked = self.addresses().await;
                asked.map_err(|why| dns_fault(&self.name, ADDRESSES, why))?
            }
        };
        let located = |address| Located::addressed(&self.name, address, self.port);
        let members = addresses.into_iter().map(located).collect();
        let members = distinct(members, &format!("DNS, {ADDRESSES} of {}", self.name))?;
        let leader = None;
        Ok((Found { members, leader }, ttl))
    }

    async fn addresses(&mut self) -> Answered<BTreeSet<IpAddr>> {
        let way = Way::new(&self.servers).await;
        let found = way.addresses(&self.name, &self.before).await?;
        let has = |family: &Family| found.0.iter().any(|it| Family::of(*it) == *family);
        self.before = [Family::Four, Family::Six]
            .into_iter()
            .filter(has)
            .collect();
        Ok(found)
    }
}

/// Both families, or the one that there is. If one can't be asked for that was there before, its members are not
/// gone: that is a fault.
fn combine(
    four: Answered<Addresses>,
    six: Answered<Addresses>,
    before: &[Family],
) -> Answered<BTreeSet<IpAddr>> {
    let is_none = |why: &DnsFault| matches!(why, DnsFault::NoName | DnsFault::NoRecords);
    let half = |family: Family, one: (Addresses, Duration), why: DnsFault| {
        if before.contains(&family) && !is_none(&why) {
            return Err(DnsFault::Half {
                missing: family.word(),
                why: Box::new(why),
            });
        }
        Ok((one.0.into_iter().collect(), one.1))
    };
    match (four, six) {
        (Ok((four, one)), Ok((six, other))) => {
            Ok((four.into_iter().chain(six).collect(), one.min(other)))
        }
        (Ok(four), Err(why)) => half(Family::Six, four, why),
        (Err(why), Ok(six)) => half(Family::Four, six, why),
        // What is worse tells more: that it could not be asked, then that the name is there.
        (Err(four), Err(six)) => Err(match (&four, &six) {
            (four, six) if is_none(four) && !is_none(six) => six.clone(),
            (DnsFault::NoName, DnsFault::NoRecords) => six,
            _ => four,
        }),
    }
}

/// Members by SRV records.
#[derive(Debug)]
pub(crate) struct ByService {
    pub(crate) service: String,
    pub(crate) servers: NameServers,
}

impl ByService {
    pub(crate) async fn ask(&self) -> Result<Lasting, Fault> {
        let way = Way::new(&self.servers).await;
        let asked = way.ask(&self.service, Rtype::SRV, answer::services).await;
        let (services, mut ttl): (Services, _) =
            asked.map_err(|why| dns_fault(&self.service, "SRV", why))?;
        let members = services.into_iter().map(|it| {
            let mut located = Located::named(&it.target, it.port);
            // RFC 2782: 0 is for where nothing is to be chosen; here it would mean nothing to do.
            located.member.weight = u32::from(it.weight.max(1));
            located
        });
        let mut members = distinct(members.collect(), &format!("DNS, SRV of {}", self.service))?;
        // The system, which looks names up at each connection, does not know what servers of one's own say.
        if !self.servers.servers.is_empty() {
            for member in &mut members {
                let (address, good_for) = address(&way, &member.name).await?;
                member.address = address;
                ttl = ttl.min(good_for);
            }
        }
        let leader = None;
        Ok((Found { members, leader }, ttl))
    }
}

/// The first address of a target. One that has none is left to whoever connects, and is not the end of the others.
async fn address(way: &Way, target: &str) -> Result<(Option<IpAddr>, Duration), Fault> {
    match way.addresses(target, &[]).await {
        Ok((found, ttl)) => Ok((found.first().copied(), ttl)),
        Err(DnsFault::NoName | DnsFault::NoRecords) => Ok((None, Duration::MAX)),
        Err(why) => Err(dns_fault(target, ADDRESSES, why)),
    }
}

fn dns_fault(name: &str, records: &'static str, why: DnsFault) -> Fault {
    Fault::Dns {
        name: name.to_owned(),
        records,
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_put_together_and_one_that_was_there_is_not_lost_in_silence() {
        const LONG: Duration = Duration::from_secs(60);
        const SHORT: Duration = Duration::from_secs(5);
        let four = || Ok((vec!["10.0.0.1".parse().unwrap()], LONG));
        let six = || Ok((vec!["::1".parse().unwrap()], SHORT));
        let late = || DnsFault::TimedOut {
            servers: vec![],
            each: SHORT,
        };
        let found = |four, six, before: &[Family]| {
            let found = combine(four, six, before);
            found.map(|(found, ttl)| (found.len(), ttl))
        };
        assert_eq!(found(four(), six(), &[]), Ok((2, SHORT)));
        assert_eq!(
            found(four(), Err(DnsFault::NoRecords), &[Family::Six]),
            Ok((1, LONG))
        );
        assert_eq!(found(four(), Err(late()), &[Family::Four]), Ok((1, LONG)));
        for (one, other, family) in [
            (four(), Err(late()), Family::Six),
            (Err(late()), six(), Family::Four),
        ] {
            let half = DnsFault::Half {
                missing: family.word(),
                why: Box::new(late()),
            };
            assert_eq!(found(one, other, &[family]), Err(half));
        }
        for (one, other, wanted) in [
            (DnsFault::NoName, DnsFault::NoName, DnsFault::NoName),
            (DnsFault::NoName, DnsFault::NoRecords, DnsFault::NoRecords),
            (DnsFault::NoRecords, late(), late()),
            (late(), DnsFault::NoRecords, late()),
        ] {
            assert_eq!(found(Err(one), Err(other), &[]), Err(wanted));
        }
    }
}
