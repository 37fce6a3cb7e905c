//! Owns what the system says of names: `/etc/resolv.conf` and `/etc/hosts`, read each time.

use domain::resolv::stub::conf::{ResolvConf, ServerConf, Transport};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use tokio::task::spawn_blocking;

/// As many name servers as the C library asks (`resolv.conf(5)`).
const SERVERS_MAX: usize = 3;

/// Name servers, and what names are completed by.
#[derive(Debug, Clone)]
pub(super) struct Resolv {
    pub(super) servers: Vec<SocketAddr>,
    search: Vec<String>,
    /// Names with so many dots are asked for as they are first.
    dots: usize,
}

impl Resolv {
    /// These, and names as they are.
    pub(super) fn of(servers: &[SocketAddr]) -> Resolv {
        Resolv {
            servers: servers.to_vec(),
            search: Vec::new(),
            dots: 1,
        }
    }

    fn parse(text: &str) -> Resolv {
        let mut conf = ResolvConf::new();
        for line in text.lines() {
            // A line that isn't known is passed over, as by the C library.
            let _ = conf.parse(&mut line.as_bytes());
        }
        conf.servers.truncate(SERVERS_MAX);
        conf.finalize();
        let is_asked = |it: &&ServerConf| matches!(it.transport, Transport::UdpTcp);
        let servers = conf.servers.iter().filter(is_asked).map(|it| it.addr);
        let search = conf.options.search.as_slice().iter();
        Resolv {
            servers: servers.collect(),
            search: search
                .map(ToString::to_string)
                .filter(|it| !it.is_empty() && it != ".")
                .collect(),
            dots: conf.options.ndots,
        }
    }

    /// The full names that a name may stand for, in the order in which they are asked for.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let itself = format!("{name}.");
        let completed = |suffix: &String| format!("{name}.{}.", suffix.trim_end_matches('.'));
        let mut all: Vec<String> = self.search.iter().map(completed).collect();
        match name.matches('.').count() >= self.dots {
            true => all.insert(0, itself),
            false => all.push(itself),
        }
        all
    }
}

/// Names of `/etc/hosts`, in lower case, with their addresses.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts(Vec<(String, IpAddr)>);

impl Hosts {
    fn parse(text: &str) -> Hosts {
        let mut known = Vec::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let address = words.next().and_then(|it| it.parse::<IpAddr>().ok());
            if let Some(address) = address {
                known.extend(words.map(|it| (it.to_ascii_lowercase(), address)));
            }
        }
        Hosts(known)
    }

    /// The addresses of a name, if it stands there.
    pub(super) fn addresses(&self, name: &str) -> BTreeSet<IpAddr> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_it = |(it, _): &&(String, IpAddr)| it.eq_ignore_ascii_case(name);
        let found = self.0.iter().filter(is_it);
        found.map(|(_, address)| *address).collect()
    }
}

/// Both files; one that can't be read says nothing.
pub(super) async fn read() -> (Resolv, Hosts) {
    let read = spawn_blocking(|| {
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        (
            Resolv::parse(&text("/etc/resolv.conf")),
            Hosts::parse(&text("/etc/hosts")),
        )
    });
    read.await
        .unwrap_or_else(|_| (Resolv::parse(""), Hosts::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_taken_as_far_as_it_is_known() {
        let resolv = Resolv::parse(
            "# made by somebody\n\
             domain old.example\n\
             unheard of\n\
             nameserver 10.96.0.10\n\
             nameserver 2001:db8::53\n\
             nameserver nonsense here\n\
             nameserver 10.0.0.3\n\
             nameserver 10.0.0.4\n\
             search ns.svc.cluster.local svc.cluster.local\n\
             options ndots:5 timeout:1 whatever\n",
        );
        let servers: Vec<_> = resolv.servers.iter().map(ToString::to_string).collect();
        assert_eq!(
            servers,
            ["10.96.0.10:53", "[2001:db8::53]:53", "10.0.0.3:53"]
        );
        assert_eq!(
            resolv.candidates("db"),
            ["db.ns.svc.cluster.local.", "db.svc.cluster.local.", "db."]
        );
        assert_eq!(resolv.candidates("a.b.c.d.e.f")[0], "a.b.c.d.e.f.");
        assert_eq!(resolv.candidates("db."), ["db."]);
        let none = Resolv::parse("");
        assert_eq!(none.servers, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!(none.candidates("db"), ["db."]);
    }

    #[test]
    fn hosts_have_names_and_aliases() {
        let hosts = Hosts::parse(
            "127.0.0.1 localhost # here\n\
             ::1 localhost\n\
             10.0.0.1\tdb1.example  DB1\n\
             nonsense db1\n\
             #10.0.0.2 db1\n",
        );
        let found = |name| hosts.addresses(name).len();
        assert_eq!(found("localhost"), 2);
        assert_eq!((found("db1"), found("Db1.Example.")), (1, 1));
        assert_eq!(found("db"), 0);
    }
}
