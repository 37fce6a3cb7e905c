//! Owns who may try to log in, from where, to what, and how: rules in the format of pg_hba.conf
//! (PostgreSQL manual, section 20.1). The first that matches decides; if none does, nobody gets in.
//!
//! Takes facts of a connection, gives the method or a refusal. What the shell cannot know
//! (role membership, host names, files that rules would include) is refused when the rules are read,
//! never ignored: a rule that means something else here than in PostgreSQL would open a door.

mod read;

pub use read::{HbaFault, HbaFaultKind};

use crate::gate::Method;
use std::net::IpAddr;

/// All rules, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hba(Vec<Rule>);

/// A connection, as far as rules ask.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Where it comes from.
    pub from: From,
    /// The claimed role.
    pub user: &'a str,
    /// What it wants.
    pub wants: Wants<'a>,
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// A Unix-domain socket.
    Local,
    /// TCP.
    Host {
        /// The client's address.
        address: IpAddr,
        /// Inside TLS, as the socket's own state says.
        encrypted: bool,
    },
}

/// What a connection wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants<'a> {
    /// A database, also for logical replication.
    Database(&'a str),
    /// Physical replication, which has no database.
    PhysicalReplication,
}

/// What the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may prove who it is.
    Ask {
        /// How.
        method: Method,
        /// What its certificate must be good for as well.
        certificate: Certificate,
        /// Line of the rule, for the log.
        line: usize,
    },
    /// A rule rejects it.
    Rejected {
        /// Line of the rule, for the log.
        line: usize,
    },
    /// No rule matches.
    NoRule,
}

/// `clientcert` of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// As the listener has it.
    AsListener,
    /// One that was verified (`verify-ca`).
    Verified,
    /// One that was verified and names the role (`verify-full`).
    NamesTheRole,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    line: usize,
    kind: Kind,
    databases: Vec<DatabaseIs>,
    users: Vec<UserIs>,
    action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Local,
    Host(Encryption, AddressIs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    Either,
    Needed,
    Forbidden,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum AddressIs {
    Any,
    In { network: IpAddr, mask: IpAddr },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DatabaseIs {
    Any,
    SameAsUser,
    Replication,
    Named(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum UserIs {
    Any,
    Named(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Ask(Method, Certificate),
    Reject,
}

impl Hba {
    /// Reads rules; gives all faults, not just the first.
    pub fn parse(text: &str) -> Result<Hba, Vec<HbaFault>> {
        read::rules(text).map(Hba)
    }

    /// What the first rule that matches says.
    pub fn judge(&self, asker: Asker<'_>) -> Verdict {
        let Some(rule) = self.0.iter().find(|rule| rule.matches(asker)) else {
            return Verdict::NoRule;
        };
        let line = rule.line;
        match rule.action {
            Action::Reject => Verdict::Rejected { line },
            Action::Ask(method, certificate) => Verdict::Ask {
                method,
                certificate,
                line,
            },
        }
    }

    /// The methods that rules name, each with the line that does so first: for checks against what
    /// else is configured.
    pub fn methods(&self) -> impl Iterator<Item = (Method, usize)> {
        self.0.iter().filter_map(|rule| match rule.action {
            Action::Ask(method, _) => Some((method, rule.line)),
            Action::Reject => None,
        })
    }

    /// The first line that demands client certificates.
    pub fn wants_certificates(&self) -> Option<usize> {
        let wants = |rule: &&Rule| match rule.action {
            Action::Ask(method, certificate) => {
                method == Method::Certificate || certificate != Certificate::AsListener
            }
            Action::Reject => false,
        };
        self.0.iter().find(wants).map(|rule| rule.line)
    }
}

impl Rule {
    fn matches(&self, asker: Asker<'_>) -> bool {
        let from = match (&self.kind, asker.from) {
            (Kind::Local, From::Local) => true,
            (Kind::Host(encryption, wanted), From::Host { address, encrypted }) => {
                let fits = match encryption {
                    Encryption::Either => true,
                    Encryption::Needed => encrypted,
                    Encryption::Forbidden => !encrypted,
                };
                fits && wanted.holds(address)
            }
            _ => false,
        };
        let database = |it: &DatabaseIs| match (it, asker.wants) {
            (DatabaseIs::Replication, wants) => wants == Wants::PhysicalReplication,
            (_, Wants::PhysicalReplication) => false,
            (DatabaseIs::Any, _) => true,
            (DatabaseIs::SameAsUser, Wants::Database(name)) => name == asker.user,
            (DatabaseIs::Named(wanted), Wants::Database(name)) => name == wanted,
        };
        let user = |it: &UserIs| match it {
            UserIs::Any => true,
            UserIs::Named(name) => name == asker.user,
        };
        from && self.databases.iter().any(database) && self.users.iter().any(user)
    }
}

impl AddressIs {
    fn holds(&self, address: IpAddr) -> bool {
        let AddressIs::In { network, mask } = self else {
            return true;
        };
        // A client of IPv4 on a listener of IPv6 is a client of IPv4.
        match (network, mask, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(mask), IpAddr::V4(address)) => {
                address.to_bits() & mask.to_bits() == network.to_bits() & mask.to_bits()
            }
            (IpAddr::V6(network), IpAddr::V6(mask), IpAddr::V6(address)) => {
                address.to_bits() & mask.to_bits() == network.to_bits() & mask.to_bits()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAM: Method = Method::ScramSha256;

    fn host(address: &str, encrypted: bool) -> From {
        From::Host {
            address: address.parse().unwrap(),
            encrypted,
        }
    }

    fn judge(rules: &str, from: From, user: &str, database: &str) -> Verdict {
        let wants = Wants::Database(database);
        Hba::parse(rules)
            .unwrap()
            .judge(Asker { from, user, wants })
    }

    fn ask(method: Method, line: usize) -> Verdict {
        Verdict::Ask {
            method,
            certificate: Certificate::AsListener,
            line,
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = "\
            # comment\n\
            hostssl all mallory 0.0.0.0/0 reject\n\
            hostssl app,\"all\" app 10.0.0.0/8 cert\n\
            host all all 127.0.0.1/32 trust\n\
            hostssl all all all scram-sha-256\n\
            local sameuser all peer\n";
        let tls = |address| host(address, true);
        for (from, user, database, verdict) in [
            (
                tls("10.1.1.1"),
                "mallory",
                "app",
                Verdict::Rejected { line: 2 },
            ),
            (tls("10.1.1.1"), "app", "app", ask(Method::Certificate, 3)),
            // In quotes, `all` is a database's name.
            (tls("10.1.1.1"), "app", "all", ask(Method::Certificate, 3)),
            (tls("10.1.1.1"), "app", "shop", ask(SCRAM, 5)),
            (tls("11.1.1.1"), "app", "app", ask(SCRAM, 5)),
            (host("127.0.0.1", false), "app", "x", ask(Method::Trust, 4)),
            (host("127.0.0.2", false), "app", "x", Verdict::NoRule),
            (tls("::ffff:127.0.0.1"), "app", "x", ask(Method::Trust, 4)),
            (tls("::1"), "app", "x", ask(SCRAM, 5)),
            (From::Local, "app", "app", ask(Method::Peer, 6)),
            (From::Local, "app", "shop", Verdict::NoRule),
        ] {
            assert_eq!(
                judge(rules, from, user, database),
                verdict,
                "{from:?} {user} {database}"
            );
        }
        assert_eq!(judge("", From::Local, "a", "a"), Verdict::NoRule);
    }

    #[test]
    fn physical_replication_matches_its_own_word_alone() {
        let judge = |rules: &str| {
            Hba::parse(rules).unwrap().judge(Asker {
                from: host("::1", true),
                user: "standby",
                wants: Wants::PhysicalReplication,
            })
        };
        assert_eq!(judge("host all all all md5"), Verdict::NoRule);
        assert_eq!(judge("host replication all all md5"), ask(Method::Md5, 1));
        assert_eq!(judge("host \"replication\" all all md5"), Verdict::NoRule);
    }

    #[test]
    fn networks_and_masks() {
        for (address, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.0.0.0 255.0.0.0", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.4"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("0.0.0.0/0", "1.2.3.4", "::1"),
        ] {
            let rules = format!("host all all {address} md5");
            let verdict = |from| judge(&rules, host(from, true), "a", "b");
            assert_eq!(verdict(inside), ask(Method::Md5, 1), "{address} {inside}");
            assert_eq!(verdict(outside), Verdict::NoRule, "{address} {outside}");
        }
    }

    #[test]
    fn encryption_is_part_of_the_rule() {
        for (kind, plain, encrypted) in [
            ("host", true, true),
            ("hostssl", false, true),
            ("hostnossl", true, false),
            ("hostnogssenc", true, true),
        ] {
            let rules = format!("{kind} all all all md5");
            for (tls, matches) in [(false, plain), (true, encrypted)] {
                let verdict = judge(&rules, host("::1", tls), "a", "b");
                assert_eq!(verdict != Verdict::NoRule, matches, "{kind} {tls}");
            }
        }
    }

    #[test]
    fn certificates_beside_the_method() {
        for (option, certificate) in [
            ("", Certificate::AsListener),
            (" clientcert=verify-ca", Certificate::Verified),
            (" clientcert=verify-full", Certificate::NamesTheRole),
        ] {
            let rules = format!("hostssl all all all scram-sha-256{option}");
            let verdict = judge(&rules, host("::1", true), "a", "b");
            let wanted = Verdict::Ask {
                method: SCRAM,
                certificate,
                line: 1,
            };
            assert_eq!(verdict, wanted, "{option}");
            let wants = Hba::parse(&rules).unwrap().wants_certificates();
            assert_eq!(wants.is_some(), !option.is_empty());
        }
    }
}
