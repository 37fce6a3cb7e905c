//! Owns who is logged in on the page, and how often an address may fail to be: plain data, with time and
//! chance as arguments.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Logins at a time; a further one takes the place of that which ends first.
const LOGINS_MAX: usize = 64;
/// Wrong tokens of one address in one [`SPAN`].
const FAILURES_MAX: u32 = 10;
/// What failures are counted in.
const SPAN: Duration = Duration::from_secs(60);
/// Addresses whose failures are told apart; all further ones are counted together.
const ADDRESSES_MAX: usize = 1024;

/// What a browser holds to be known again: chance, and nothing else.
pub(crate) type Id = [u8; 32];

/// Logins in force.
pub(crate) struct Logins {
    lifetime: Duration,
    /// By the hash of the id as the cookie has it: what lies here is of no use to whoever reads it.
    until: HashMap<[u8; 32], Instant>,
}

impl Logins {
    pub(crate) fn new(lifetime: Duration) -> Logins {
        Logins {
            lifetime,
            until: HashMap::new(),
        }
    }

    /// Begins one; gives what the cookie holds.
    pub(crate) fn begin(&mut self, id: &Id, now: Instant) -> String {
        self.until.retain(|_, until| *until > now);
        if self.until.len() >= LOGINS_MAX {
            let first = self.until.iter().min_by_key(|it| it.1).map(|it| *it.0);
            first.map(|it| self.until.remove(&it));
        }
        let text: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        self.until.insert(hash(&text), now + self.lifetime);
        text
    }

    /// True if a cookie with this value is one of a login in force.
    pub(crate) fn knows(&self, value: &str, now: Instant) -> bool {
        self.until
            .get(&hash(value))
            .is_some_and(|until| *until > now)
    }

    /// Ends the login of this cookie.
    pub(crate) fn end(&mut self, value: &str) {
        self.until.remove(&hash(value));
    }

    /// How long one lasts.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }
}

fn hash(text: &str) -> [u8; 32] {
    openssl::sha::sha256(text.as_bytes())
}

/// Wrong tokens, by address.
#[derive(Default)]
pub(crate) struct Failures(HashMap<Option<IpAddr>, (u32, Instant)>);

impl Failures {
    /// Whether a token from this address is looked at; if not, for how long it isn't.
    pub(crate) fn may_try(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let Some((count, since)) = self.0.get(&self.key(address)) else {
            return Ok(());
        };
        let over = *since + SPAN;
        match *count >= FAILURES_MAX && over > now {
            true => Err(over - now),
            false => Ok(()),
        }
    }

    /// A token from this address was wrong.
    pub(crate) fn note(&mut self, address: IpAddr, now: Instant) {
        if self.0.len() >= ADDRESSES_MAX {
            self.0.retain(|_, (_, since)| *since + SPAN > now);
        }
        let key = self.key(address);
        let (count, since) = self.0.entry(key).or_insert((0, now));
        if *since + SPAN <= now {
            (*count, *since) = (0, now);
        }
        *count += 1;
    }

    /// Whoever has an IPv6 network has all of its addresses.
    fn key(&self, address: IpAddr) -> Option<IpAddr> {
        let own = match address.to_canonical() {
            IpAddr::V6(it) => IpAddr::V6((u128::from(it) >> 64 << 64).into()),
            v4 => v4,
        };
        let room = self.0.len() < ADDRESSES_MAX || self.0.contains_key(&Some(own));
        room.then_some(own)
    }
}

/// The value of a cookie in a Cookie header (RFC 6265 section 4.2).
pub(crate) fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let pairs = header.split(';').filter_map(|it| it.trim().split_once('='));
    pairs.into_iter().find(|it| it.0 == name).map(|it| it.1)
}

/// What the cookie is called. Browsers keep cookies by host and not by port, so the port is in its name. Only
/// a page over TLS of this very host may set one that begins with `__Host-`.
pub(crate) fn cookie_name(encrypted: bool, port: u16) -> String {
    let prefix = if encrypted { "__Host-" } else { "" };
    format!("{prefix}portcullis-{port}")
}

/// A Set-Cookie header; with no time left it removes the cookie.
pub(crate) fn set_cookie(name: &str, value: &str, left: Duration, encrypted: bool) -> String {
    let secure = if encrypted { "; Secure" } else { "" };
    let seconds = left.as_secs();
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_login_is_known_until_it_ends() {
        let now = Instant::now();
        let mut logins = Logins::new(HOUR);
        let one = logins.begin(&[1; 32], now);
        let two = logins.begin(&[2; 32], now);
        assert_eq!((one.len(), &one[..4]), (64, "0101"));
        assert!(logins.knows(&one, now) && logins.knows(&two, now));
        assert!(!logins.knows("", now) && !logins.knows(&one[1..], now));
        logins.end(&two);
        assert!(!logins.knows(&two, now));
        assert!(logins.knows(&one, now + HOUR - Duration::from_secs(1)));
        assert!(!logins.knows(&one, now + HOUR));
    }

    #[test]
    fn logins_have_a_bound_and_the_oldest_goes() {
        let now = Instant::now();
        let mut logins = Logins::new(HOUR);
        let at = |number: usize| now + Duration::from_secs(number as u64);
        let all: Vec<String> = (0..=LOGINS_MAX)
            .map(|number| logins.begin(&[number as u8; 32], at(number)))
            .collect();
        assert_eq!(logins.until.len(), LOGINS_MAX);
        assert!(!logins.knows(&all[0], now));
        assert!(all[1..].iter().all(|it| logins.knows(it, now)));
        logins.begin(&[255; 32], now + 2 * HOUR);
        assert_eq!(logins.until.len(), 1);
    }

    #[test]
    fn an_address_that_fails_too_often_waits() {
        let now = Instant::now();
        let mut failures = Failures::default();
        let near: IpAddr = "2001:db8::1".parse().unwrap();
        let same_network: IpAddr = "2001:db8::2".parse().unwrap();
        let other: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..FAILURES_MAX {
            assert_eq!(failures.may_try(near, now), Ok(()));
            failures.note(near, now);
        }
        assert_eq!(failures.may_try(near, now), Err(SPAN));
        assert_eq!(failures.may_try(same_network, now), Err(SPAN));
        assert_eq!(failures.may_try(other, now), Ok(()));
        assert_eq!(failures.may_try(near, now + SPAN), Ok(()));
        failures.note(near, now + SPAN);
        assert_eq!(failures.may_try(near, now + SPAN), Ok(()));
    }

    #[test]
    fn addresses_have_a_bound() {
        let now = Instant::now();
        let mut failures = Failures::default();
        let address = |number: usize| IpAddr::from((number as u32).to_be_bytes());
        for number in 0..ADDRESSES_MAX + 20 {
            failures.note(address(number), now);
        }
        assert_eq!(failures.0.len(), ADDRESSES_MAX + 1);
        // Those without an account of their own have failed together.
        assert!(failures.may_try(address(1 << 20), now).is_err());
        assert_eq!(failures.may_try(address(3), now), Ok(()));
        failures.note(address(1 << 20), now + SPAN);
        assert_eq!(failures.0.len(), 1);
    }

    #[test]
    fn cookies_of_a_header() {
        for (header, value) in [
            ("p=1", Some("1")),
            ("a=0; p=1; b=2", Some("1")),
            ("xp=1", None),
            ("p", None),
            ("", None),
            ("p=", Some("")),
            ("a=p=1", None),
        ] {
            assert_eq!(cookie(header, "p"), value, "{header}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let name = cookie_name(true, 9127);
        assert_eq!(
            set_cookie(&name, "ff", HOUR, true),
            "__Host-portcullis-9127=ff; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict; Secure"
        );
        let name = cookie_name(false, 9127);
        assert_eq!(
            set_cookie(&name, "", Duration::ZERO, false),
            "portcullis-9127=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
        );
    }
}
