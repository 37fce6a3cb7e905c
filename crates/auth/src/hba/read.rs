//! Owns the text of the rules: records of lines, fields, lists and quotes, as PostgreSQL reads them
//! (manual, section 20.1; hba.c).

use super::{Action, AddressIs, Certificate, DatabaseIs, Encryption, Kind, Rule, UserIs};
use crate::gate::Method;
use std::iter::Peekable;
use std::net::IpAddr;
use std::slice::Iter;

/// A line that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct HbaFault {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub kind: HbaFaultKind,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HbaFaultKind {
    /// A quote that does not end.
    #[error("a closing double quote is missing")]
    NotClosed,
    /// The line ends too early.
    #[error("{what} is missing; a rule is: type, database, user, address (not with local), method")]
    Missing {
        /// What should have come.
        what: &'static str,
    },
    /// The first field.
    #[error("\"{word}\" is no type of connection; there are local, host, hostssl, hostnossl")]
    Type {
        /// What stands there.
        word: String,
    },
    /// Nothing is encrypted with GSSAPI here.
    #[error("hostgssenc never matches: there is no GSSAPI encryption here; remove the line")]
    Gss,
    /// The address field.
    #[error("\"{word}\" is no address; write all, or an IP address with /prefix or a mask")]
    Address {
        /// What stands there.
        word: String,
    },
    /// A network whose address has bits outside its mask.
    #[error("\"{word}\" has bits outside its mask; did you mean /32 (or /128)?")]
    Bits {
        /// What stands there.
        word: String,
    },
    /// A word that PostgreSQL knows and that cannot be answered here.
    #[error("{word} is not supported here: {why}")]
    Unsupported {
        /// What stands there.
        word: String,
        /// Why, and what to do.
        why: &'static str,
    },
    /// The method field.
    #[error(
        "\"{word}\" is no method; there are scram-sha-256, md5, password, cert, peer, trust, reject"
    )]
    Method {
        /// What stands there.
        word: String,
    },
    /// A method that this type of connection cannot have.
    #[error("{method} works only with {with}")]
    MethodWith {
        /// The method.
        method: &'static str,
        /// The types.
        with: &'static str,
    },
    /// An option.
    #[error("the option \"{word}\" is not known; there is clientcert=verify-ca or verify-full")]
    Option {
        /// What stands there.
        word: String,
    },
}

use HbaFaultKind as Kinds;

/// One word of a list; keywords lose their meaning in quotes.
struct Word {
    text: String,
    quoted: bool,
}

impl Word {
    fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text == keyword
    }
}

/// A field: words between commas.
type Field = Vec<Word>;

pub(super) fn rules(text: &str) -> Result<Vec<Rule>, Vec<HbaFault>> {
    let mut rules = Vec::new();
    let mut faults = Vec::new();
    for (line, content) in lines(text) {
        let read = fields(&content).and_then(|fields| match fields.is_empty() {
            true => Ok(None),
            false => rule(line, &fields).map(Some),
        });
        match read {
            Ok(rule) => rules.extend(rule),
            Err(kind) => faults.push(HbaFault { line, kind }),
        }
    }
    match faults.is_empty() {
        true => Ok(rules),
        false => Err(faults),
    }
}

/// Lines with their numbers; a backslash at the end joins the next one (PostgreSQL 14).
fn lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut rest = (1..).zip(text.lines());
    std::iter::from_fn(move || {
        let (first, content) = rest.next()?;
        let mut whole = content.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            match rest.next() {
                Some((_, next)) => whole.push_str(next),
                None => break,
            }
        }
        Some((first, whole))
    })
}

fn fields(line: &str) -> Result<Vec<Field>, HbaFaultKind> {
    let mut fields: Vec<Field> = Vec::new();
    let mut chars = line.chars().peekable();
    // Behind a comma the list goes on, white space or not.
    let mut listing = false;
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.peek() {
            None | Some('#') => return Ok(fields),
            Some(',') => {
                chars.next();
                listing = true;
            }
            Some(_) => {
                let word = word(&mut chars)?;
                match fields.last_mut() {
                    Some(field) if listing => field.push(word),
                    _ => fields.push(vec![word]),
                }
                listing = false;
            }
        }
    }
}

fn word(chars: &mut Peekable<std::str::Chars<'_>>) -> Result<Word, HbaFaultKind> {
    let mut text = String::new();
    let (mut quoted, mut inside) = (false, false);
    while let Some(&c) = chars.peek() {
        match c {
            '"' => {
                chars.next();
                // A doubled quote inside quotes is one.
                if inside && chars.next_if_eq(&'"').is_some() {
                    text.push('"');
                } else {
                    inside = !inside;
                    quoted = true;
                }
            }
            c if !inside && (c.is_whitespace() || matches!(c, ',' | '#')) => break,
            c => {
                chars.next();
                text.push(c);
            }
        }
    }
    match inside {
        true => Err(Kinds::NotClosed),
        false => Ok(Word { text, quoted }),
    }
}

fn rule(line: usize, fields: &[Field]) -> Result<Rule, HbaFaultKind> {
    let mut rest = fields.iter().peekable();
    let kind = &next(&mut rest, "the type of connection")?[0];
    let encryption = match kind.text.as_str() {
        "local" => None,
        "host" | "hostnogssenc" => Some(Encryption::Either),
        "hostssl" => Some(Encryption::Needed),
        "hostnossl" => Some(Encryption::Forbidden),
        "hostgssenc" => return Err(Kinds::Gss),
        word => {
            let word = word.to_owned();
            return Err(Kinds::Type { word });
        }
    };
    let databases = each(next(&mut rest, "the database")?, database)?;
    let users = each(next(&mut rest, "the user")?, user)?;
    let kind = match encryption {
        None => Kind::Local,
        Some(encryption) => Kind::Host(encryption, address(&mut rest)?),
    };
    let method = &next(&mut rest, "the method")?[0].text;
    let certificate = options(rest)?;
    let action = action(method, certificate, &kind)?;
    Ok(Rule {
        line,
        kind,
        databases,
        users,
        action,
    })
}

type Rest<'a> = Peekable<Iter<'a, Field>>;

fn next<'a>(rest: &mut Rest<'a>, what: &'static str) -> Result<&'a Field, HbaFaultKind> {
    rest.next().ok_or(Kinds::Missing { what })
}

fn each<T>(
    field: &Field,
    one: impl Fn(&Word) -> Result<T, HbaFaultKind>,
) -> Result<Vec<T>, HbaFaultKind> {
    field.iter().map(one).collect()
}

fn unsupported(word: &Word, why: &'static str) -> HbaFaultKind {
    let word = word.text.clone();
    Kinds::Unsupported { word, why }
}

const FILES: &str = "write the names here instead of in a file";
const PATTERNS: &str = "write the names instead of a regular expression";
const MEMBERS: &str = "who belongs to a role is known to the server alone; write the users";

fn database(word: &Word) -> Result<DatabaseIs, HbaFaultKind> {
    Ok(match word.text.as_str() {
        _ if word.is("all") => DatabaseIs::Any,
        _ if word.is("sameuser") => DatabaseIs::SameAsUser,
        _ if word.is("replication") => DatabaseIs::Replication,
        _ if word.is("samerole") || word.is("samegroup") => return Err(unsupported(word, MEMBERS)),
        text if !word.quoted && text.starts_with('@') => return Err(unsupported(word, FILES)),
        text if !word.quoted && text.starts_with('/') => return Err(unsupported(word, PATTERNS)),
        text => DatabaseIs::Named(text.to_owned()),
    })
}

fn user(word: &Word) -> Result<UserIs, HbaFaultKind> {
    Ok(match word.text.as_str() {
        _ if word.is("all") => UserIs::Any,
        text if !word.quoted && text.starts_with('+') => return Err(unsupported(word, MEMBERS)),
        text if !word.quoted && text.starts_with('@') => return Err(unsupported(word, FILES)),
        text if !word.quoted && text.starts_with('/') => return Err(unsupported(word, PATTERNS)),
        text => UserIs::Named(text.to_owned()),
    })
}

fn address(rest: &mut Rest<'_>) -> Result<AddressIs, HbaFaultKind> {
    let word = &next(rest, "the address")?[0];
    if word.is("all") {
        return Ok(AddressIs::Any);
    }
    if word.is("samehost") || word.is("samenet") {
        let why = "the machine's addresses may change while rules stay; write the network";
        return Err(unsupported(word, why));
    }
    let bad = || Kinds::Address {
        word: word.text.clone(),
    };
    let (network, mask) = match word.text.split_once('/') {
        Some((network, prefix)) => {
            let network: IpAddr = network.parse().map_err(|_| bad())?;
            let mask = mask(network, prefix).ok_or_else(bad)?;
            (network, mask)
        }
        None => {
            let network: IpAddr = word.text.parse().map_err(|_| bad())?;
            let mask = rest.next_if(|field| field[0].text.parse::<IpAddr>().is_ok());
            let mask = mask.and_then(|field| field[0].text.parse::<IpAddr>().ok());
            let mask = mask.ok_or(Kinds::Missing {
                what: "the mask or /prefix of the address",
            })?;
            (network, mask)
        }
    };
    let word = || word.text.clone();
    let outside = match (network, mask) {
        (IpAddr::V4(network), IpAddr::V4(mask)) => network.to_bits() & !mask.to_bits() != 0,
        (IpAddr::V6(network), IpAddr::V6(mask)) => network.to_bits() & !mask.to_bits() != 0,
        _ => return Err(Kinds::Address { word: word() }),
    };
    match outside {
        true => Err(Kinds::Bits { word: word() }),
        false => Ok(AddressIs::In { network, mask }),
    }
}

fn mask(network: IpAddr, prefix: &str) -> Option<IpAddr> {
    // A sign would be taken by the standard library.
    let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
    let bits: u32 = prefix.parse().ok().filter(|_| digits)?;
    match network {
        IpAddr::V4(_) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            Some(IpAddr::V4(mask.into()))
        }
        IpAddr::V6(_) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            Some(IpAddr::V6(mask.into()))
        }
        _ => None,
    }
}

fn options(rest: Rest<'_>) -> Result<Certificate, HbaFaultKind> {
    let mut certificate = Certificate::AsListener;
    for word in rest.flatten() {
        certificate = match word.text.as_str() {
            "clientcert=verify-ca" => Certificate::Verified,
            "clientcert=verify-full" => Certificate::NamesTheRole,
            text if text.starts_with("map=") => {
                let why = "names of certificates are mapped in [[auth.map]]";
                return Err(unsupported(word, why));
            }
            text => {
                let word = text.to_owned();
                return Err(Kinds::Option { word });
            }
        };
    }
    Ok(certificate)
}

fn action(method: &str, certificate: Certificate, kind: &Kind) -> Result<Action, HbaFaultKind> {
    let encrypted = matches!(kind, Kind::Host(Encryption::Needed, _));
    let local = *kind == Kind::Local;
    let with = |method, with| Err(Kinds::MethodWith { method, with });
    if certificate != Certificate::AsListener && !encrypted {
        return with("clientcert", "hostssl");
    }
    let method = match method {
        "reject" => return Ok(Action::Reject),
        "scram-sha-256" => Method::ScramSha256,
        "md5" => Method::Md5,
        "password" if encrypted || local => Method::Password,
        "password" => return with("password", "hostssl or local"),
        "cert" if encrypted => Method::Certificate,
        "cert" => return with("cert", "hostssl"),
        "peer" if local => Method::Peer,
        "peer" => return with("peer", "local"),
        "trust" => Method::Trust,
        word => {
            let word = word.to_owned();
            return Err(Kinds::Method { word });
        }
    };
    Ok(Action::Ask(method, certificate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fault(line: &str) -> String {
        let faults = rules(line).unwrap_err();
        assert_eq!(faults.len(), 1, "{line}");
        faults[0].to_string()
    }

    #[test]
    fn what_is_not_understood_is_never_passed_over() {
        for (line, says) in [
            ("hots all all all md5", "no type of connection"),
            ("host", "the database is missing"),
            ("host all", "the user is missing"),
            ("host all all", "the address is missing"),
            ("host all all all", "the method is missing"),
            ("local all all", "the method is missing"),
            ("hostgssenc all all all md5", "never matches"),
            ("host all all 10.0.0.1 md5", "mask or /prefix"),
            ("host all all 10.0.0.1/8 md5", "outside its mask"),
            ("host all all 10.0.0.0/33 md5", "no address"),
            ("host all all 10.0.0.0/+8 md5", "no address"),
            ("host all all 10.0.0.0/ md5", "no address"),
            ("host all all 10.0.0.0 ffff:: md5", "no address"),
            ("host all all db.example.com md5", "no address"),
            ("host all all samenet md5", "write the network"),
            ("host samerole all all md5", "the server alone"),
            ("host all +admins all md5", "the server alone"),
            ("host @names all all md5", "instead of in a file"),
            ("host all /^a all md5", "regular expression"),
            ("host all all all ldap", "no method"),
            ("host all all all password", "hostssl or local"),
            ("host all all all cert", "works only with hostssl"),
            ("host all all all peer", "works only with local"),
            ("host all all all md5 clientcert=verify-ca", "hostssl"),
            ("hostssl all all all md5 clientcert=1", "not known"),
            ("hostssl all all all cert map=x", "[[auth.map]]"),
            ("host \"all all all md5", "closing double quote"),
        ] {
            let said = fault(line);
            assert!(said.contains(says), "{line}: {said}");
            assert!(said.starts_with("line 1: "));
        }
    }

    #[test]
    fn lines_lists_and_quotes() {
        let read = |text| rules(text).unwrap();
        let plain = read("host a,b c,d all md5");
        for same in [
            "host a, b c ,d all md5 # and so on",
            "host \"a\",b c,d all md5",
            "host a,b \\\n c,d all md5",
            "\n\nhost a,b c,d all md5\n",
        ] {
            let rules = read(same);
            assert_eq!(rules[0].databases, plain[0].databases, "{same}");
            assert_eq!(rules[0].users, plain[0].users, "{same}");
        }
        let quoted = read("local \"a \"\"b\"\", #c\" \"+x\" trust");
        assert_eq!(
            quoted[0].databases,
            [DatabaseIs::Named("a \"b\", #c".into())]
        );
        assert_eq!(quoted[0].users, [UserIs::Named("+x".into())]);
        let faults = rules("x\nlocal all all trust\ny").unwrap_err();
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [1, 3]);
    }
}
