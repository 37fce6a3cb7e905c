//! Owns taking a connection URL apart (manual, "Connection URIs"): one host, no password. Pure.

use std::borrow::Cow;

/// Where a URL leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The role.
    pub(crate) user: String,
    /// Host name or address, without brackets.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// The database; the role's name if none is given, as with libpq.
    pub(crate) database: String,
}

/// Why a URL leads nowhere. Never holds the URL: it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadUrl {
    /// Another scheme.
    #[error("the URL must begin with postgres:// or postgresql://")]
    Scheme,
    /// A password.
    #[error(
        "the URL holds a password, which would stay in the shell's history and in the list of \
         processes (change it if it is a real one); leave it out: Portcullis asks for it, or takes \
         it from PGPASSWORD or ~/.pgpass"
    )]
    Password,
    /// No user.
    #[error("the URL names no user; write postgres://USER@HOST:PORT/DATABASE")]
    NoUser,
    /// No host.
    #[error("the URL names no host; write postgres://USER@HOST:PORT/DATABASE")]
    NoHost,
    /// Several hosts.
    #[error(
        "the URL names several hosts; one is taken here (a configuration takes more: \
         portcullis init)"
    )]
    Hosts,
    /// Not a host.
    #[error("the host in the URL is neither a name nor an address")]
    Host,
    /// Not a port.
    #[error("the port in the URL is not a number from 1 to 65535")]
    Port,
    /// A percent sign without two hexadecimal digits, or bytes that are not text.
    #[error("the URL has a % that is not followed by two hexadecimal digits, or is not UTF-8")]
    Percent,
    /// A name that no users file and no log line can hold.
    #[error("the URL encodes a control character in a name, which Portcullis does not take")]
    Control,
    /// `sslmode=disable` and the like.
    #[error(
        "the URL asks for sslmode=disable; whether the way may be in clear text is said on the \
         command line (quickstart: --server-tls disable; top: --tls disable)"
    )]
    Disable,
    /// Other parameters.
    #[error(
        "the URL has a parameter behind the question mark that is not known here; only \
         sslmode and channel_binding may stand there"
    )]
    Parameter,
}

/// Takes the URL of a server apart.
pub(crate) fn parse(url: &str) -> Result<Target, BadUrl> {
    parse_with(url, 5432, None)
}

/// Takes a URL apart that may leave out the port or the database (then the role's name, if there is none).
pub(crate) fn parse_with(
    url: &str,
    usual_port: u16,
    usual_database: Option<&str>,
) -> Result<Target, BadUrl> {
    let schemes = ["postgres://", "postgresql://"];
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.ok_or(BadUrl::Scheme)?;
    let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    // An unescaped @ in a password is a mistake that must not make the password a host.
    let (user, hosts) = authority.rsplit_once('@').ok_or(BadUrl::NoUser)?;
    if user.contains(':') || user.contains('@') {
        return Err(BadUrl::Password);
    }
    self::parameters(parameters)?;
    let user = decoded(user)?;
    if user.is_empty() {
        return Err(BadUrl::NoUser);
    }
    let (host, port) = host(hosts, usual_port)?;
    let database = decoded(path)?;
    Ok(Target {
        host,
        port,
        database: match database.is_empty() {
            true => usual_database.unwrap_or(&user).to_owned(),
            false => database.into_owned(),
        },
        user: user.into_owned(),
    })
}

fn host(text: &str, usual_port: u16) -> Result<(String, u16), BadUrl> {
    if text.contains(',') {
        return Err(BadUrl::Hosts);
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(BadUrl::Host)?;
            let port = match port.strip_prefix(':') {
                Some(port) => port,
                None if port.is_empty() => "",
                None => return Err(BadUrl::Host),
            };
            (host, port)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let host = decoded(host)?;
    if host.is_empty() {
        return Err(BadUrl::NoHost);
    }
    tls::ServerName::parse(&host).map_err(|_| BadUrl::Host)?;
    let port = match port {
        "" => usual_port,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or(BadUrl::Port)?,
        _ => return Err(BadUrl::Port),
    };
    Ok((host.into_owned(), port))
}

/// Hosted databases hand out URLs with these; what they ask for, the quick start demands anyway.
fn parameters(text: &str) -> Result<(), BadUrl> {
    for parameter in text.split('&').filter(|it| !it.is_empty()) {
        match parameter.split_once('=') {
            Some(("password" | "sslpassword", _)) => return Err(BadUrl::Password),
            Some(("sslmode", "disable")) => return Err(BadUrl::Disable),
            Some(("sslmode" | "channel_binding", _)) => {}
            _ => return Err(BadUrl::Parameter),
        }
    }
    Ok(())
}

/// Percent-encoding undone (RFC 3986 section 2.1).
fn decoded(text: &str) -> Result<Cow<'_, str>, BadUrl> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let (high, low) = (digit(*high), digit(*low));
                let (high, low) = high.zip(low).ok_or(BadUrl::Percent)?;
                (high << 4 | low, after)
            }
            (b'%', _) => return Err(BadUrl::Percent),
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    let text = String::from_utf8(bytes).map_err(|_| BadUrl::Percent)?;
    match text.contains(char::is_control) {
        true => Err(BadUrl::Control),
        false => Ok(Cow::Owned(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_where_they_say() {
        let table = [
            ("postgres://a@db/app", ("a", "db", 5432, "app")),
            (
                "postgresql://a@db.example.com:6000",
                ("a", "db.example.com", 6000, "a"),
            ),
            (
                "postgres://a%40b%3Ac@127.0.0.1:1/x%20y",
                ("a@b:c", "127.0.0.1", 1, "x y"),
            ),
            ("postgres://%C3%A9@[::1]:5433/", ("é", "::1", 5433, "é")),
            (
                "postgres://a@[::1]/b?sslmode=require&channel_binding=require",
                ("a", "::1", 5432, "b"),
            ),
        ];
        for (url, (user, host, port, database)) in table {
            let (user, host) = (user.to_owned(), host.to_owned());
            let database = database.to_owned();
            let target = Target {
                user,
                host,
                port,
                database,
            };
            assert_eq!(parse(url), Ok(target), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_repeating_it() {
        let table = [
            ("mysql://a@b", BadUrl::Scheme),
            ("postgres://a:hunter2@db/app", BadUrl::Password),
            ("postgres://a:hunter2@x@db/app", BadUrl::Password),
            ("postgres://a:@db/app", BadUrl::Password),
            ("postgres://a@db/app?password=hunter2", BadUrl::Password),
            ("postgres://db/app", BadUrl::NoUser),
            ("postgres://@db/app", BadUrl::NoUser),
            ("postgres://a@/app", BadUrl::NoHost),
            ("postgres://a@b,c/app", BadUrl::Hosts),
            ("postgres://a@b c/app", BadUrl::Host),
            ("postgres://a@[::1/app", BadUrl::Host),
            ("postgres://a@[::1]x/app", BadUrl::Host),
            ("postgres://a@db:0/app", BadUrl::Port),
            ("postgres://a@db:65536/app", BadUrl::Port),
            ("postgres://a@db:+1/app", BadUrl::Port),
            ("postgres://a%4@db/app", BadUrl::Percent),
            ("postgres://a%zz@db/app", BadUrl::Percent),
            ("postgres://a%00@db/app", BadUrl::Control),
            ("postgres://a@db/%0A", BadUrl::Control),
            ("postgres://a%ff@db/app", BadUrl::Percent),
            ("postgres://a@db/app?sslmode=disable", BadUrl::Disable),
            ("postgres://a@db/app?options=-c", BadUrl::Parameter),
        ];
        for (url, expected) in table {
            let fault = parse(url).unwrap_err();
            assert_eq!(fault, expected, "{url}");
            assert!(!fault.to_string().contains("hunter2"));
        }
    }
}
