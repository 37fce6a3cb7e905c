//! Owns which route a client takes: by what it says when it comes, and where it comes from.
//!
//! Takes a [`Newcomer`] with what is known of its connection; gives whether a route's conditions hold. What a route
//! leads to is the business of whoever asks.

use crate::arrival::Newcomer;
use policy::Network;
use std::fmt;
use std::net::IpAddr;
use wire::startup::{StartupMessage, options};

/// What has to be true of a client. All hold together; a list holds if one of its entries does, and one that is empty
/// holds for everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The database that it asks for.
    pub databases: Vec<String>,
    /// The role that it claims.
    pub users: Vec<String>,
    /// The name that it gave in TLS (RFC 6066), in lower case; `*.` in front stands for one label.
    pub server_names: Vec<String>,
    /// Its `application_name`.
    pub applications: Vec<String>,
    /// Parameters of its startup packet, names in lower case, with their values.
    pub options: Vec<(String, String)>,
    /// Where it comes from.
    pub addresses: Vec<Network>,
}

/// What conditions ask about.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Who it is.
    pub newcomer: &'a Newcomer,
    /// The name that it gave in TLS, if it did.
    pub server_name: Option<&'a str>,
    /// Its address; `None` on a Unix-domain socket.
    pub address: Option<IpAddr>,
}

impl Conditions {
    /// Whether all hold.
    pub fn hold(&self, asker: Asker<'_>) -> bool {
        let Asker {
            newcomer,
            server_name,
            address,
        } = asker;
        let startup = &newcomer.startup;
        any(&self.databases, |it| *it == newcomer.database)
            && any(&self.users, |it| *it == newcomer.user)
            && any(&self.server_names, |it| {
                server_name.is_some_and(|name| is_name(it, name))
            })
            && any(&self.addresses, |it| {
                address.is_some_and(|address| it.holds(address))
            })
            && any(&self.applications, |it| {
                is_set(startup, "application_name", it)
            })
            && any(&self.options, |(name, value)| is_set(startup, name, value))
    }
}

/// In the words of the configuration.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self
            .options
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let addresses = self.addresses.iter();
        let addresses = addresses.map(|it| format!("{}/{}", it.address, it.bits));
        let lists = [
            ("database", self.databases.join(",")),
            ("user", self.users.join(",")),
            ("server_name", self.server_names.join(",")),
            ("application", self.applications.join(",")),
            ("option", options.collect::<Vec<_>>().join(",")),
            ("address", addresses.collect::<Vec<_>>().join(",")),
        ];
        let mut between = "";
        for (name, list) in lists.iter().filter(|it| !it.1.is_empty()) {
            write!(f, "{between}{name}={list}")?;
            between = " ";
        }
        Ok(())
    }
}

fn any<T>(list: &[T], is: impl FnMut(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(is)
}

fn is_set(startup: &StartupMessage, name: &str, value: &str) -> bool {
    parameter(startup, name).is_some_and(|it| it == value.as_bytes())
}

/// The value that a parameter of the session has by its startup packet: one in `options` is overruled by one of the
/// packet's own, and the last of two holds (`process_startup_options`). Names are the same in upper and lower case.
pub fn parameter(startup: &StartupMessage, name: &str) -> Option<Vec<u8>> {
    let is = |found: &[u8]| found.eq_ignore_ascii_case(name.as_bytes());
    let own = startup.settings().filter(|(found, _)| is(found)).last();
    if let Some((_, value)) = own {
        return Some(value.to_vec());
    }
    let settings = options(startup.options()?).ok()?;
    let found = settings.into_iter().rfind(|it| is(&it.name));
    found.map(|it| it.value)
}

/// Whether a name is the one wanted, which may leave its first label open.
fn is_name(wanted: &str, name: &str) -> bool {
    let name = name.trim_end_matches('.');
    match wanted.strip_prefix("*.") {
        None => name.eq_ignore_ascii_case(wanted),
        Some(wanted) => name
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ProtocolVersion;
    use wire::startup::Replication;

    fn newcomer(parameters: &[(&str, &str)]) -> Newcomer {
        let bytes = parameters
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        Newcomer {
            user: "ann".to_owned(),
            database: "shop".to_owned(),
            replication: Replication::No,
            version: ProtocolVersion::V3_0,
            startup: StartupMessage::new(ProtocolVersion::V3_0, bytes).unwrap(),
        }
    }

    #[test]
    fn all_conditions_hold_together() {
        let named = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let options = |list: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            list.iter().map(own).collect::<Vec<_>>()
        };
        let near = Network {
            address: "10.0.0.0".parse().unwrap(),
            bits: 8,
        };
        let none = Conditions::default;
        let table = [
            (none(), true),
            (
                Conditions {
                    databases: named(&["x", "shop"]),
                    ..none()
                },
                true,
            ),
            (
                Conditions {
                    databases: named(&["Shop"]),
                    ..none()
                },
                false,
            ),
            (
                Conditions {
                    databases: named(&["shop"]),
                    users: named(&["bob"]),
                    ..none()
                },
                false,
            ),
            (
                Conditions {
                    users: named(&["bob", "ann"]),
                    applications: named(&["psql"]),
                    server_names: named(&["*.example.com"]),
                    options: options(&[("app.tier", "x"), ("app.tier", "reports")]),
                    addresses: vec![near],
                    ..none()
                },
                true,
            ),
            (
                Conditions {
                    server_names: named(&["b.example.com"]),
                    ..none()
                },
                false,
            ),
            (
                Conditions {
                    options: options(&[("app.tier", "report")]),
                    ..none()
                },
                false,
            ),
            (
                Conditions {
                    options: options(&[("user", "ann")]),
                    ..none()
                },
                false,
            ),
        ];
        let newcomer = newcomer(&[
            ("user", "ann"),
            ("application_name", "psql"),
            ("options", "-c app.tier=old -c App.Tier=reports"),
        ]);
        let asker = Asker {
            newcomer: &newcomer,
            server_name: Some("A.Example.com"),
            address: Some("10.1.2.3".parse().unwrap()),
        };
        for (conditions, holds) in table {
            assert_eq!(conditions.hold(asker), holds, "{conditions:?}");
        }
        // What isn't known is none of those named.
        let unknown = Asker {
            server_name: None,
            address: None,
            ..asker
        };
        for conditions in [
            Conditions {
                server_names: named(&["*.example.com"]),
                ..none()
            },
            Conditions {
                addresses: vec![near],
                ..none()
            },
        ] {
            assert!(conditions.hold(asker) && !conditions.hold(unknown));
        }
    }

    #[test]
    fn the_packets_own_parameter_goes_before_options() {
        let of = |parameters: &[(&str, &str)]| parameter(&newcomer(parameters).startup, "app.tier");
        let value = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(of(&[("user", "ann")]), None);
        assert_eq!(
            of(&[("app.tier", "a"), ("options", "--app.tier=b")]),
            value("a")
        );
        assert_eq!(of(&[("APP.tier", "a"), ("app.tier", "b")]), value("b"));
        assert_eq!(of(&[("options", "-c app.tier=a\\ b")]), value("a b"));
        // A text that isn't read to its end says nothing.
        assert_eq!(of(&[("options", "-c app.tier=a -c")]), None);
    }

    #[test]
    fn one_label_may_be_open() {
        for (wanted, name, is) in [
            ("a.b", "A.B", true),
            ("a.b", "a.b.", true),
            ("*.b.c", "a.b.c", true),
            ("*.b.c", "a.a.b.c", false),
            ("*.b.c", "b.c", false),
            ("*.b.c", ".b.c", false),
        ] {
            assert_eq!(is_name(wanted, name), is, "{wanted} {name}");
        }
    }
}
