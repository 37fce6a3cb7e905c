//! Owns the types of settings that only routes have: server names of TLS, and startup parameters with their values.

use crate::checked::HostAddress;
use crate::error::Malformed;
use crate::read::{Bad, Read, Value};
use crate::setting::{Bounds, Kind, Unit};
use crate::values::{at_least_one, host, kind, malformed, text};

/// Names as clients give them in TLS, in lower case; `*.` in front stands for one label.
#[derive(Clone)]
pub(crate) struct ServerNames(pub(crate) Vec<String>);
/// Startup parameters with their values.
#[derive(Clone)]
pub(crate) struct StartupSettings(pub(crate) Vec<(String, String)>);

impl Read for ServerNames {
    const KIND: Kind = kind("a server name, or a list of server names", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| {
            let text = text(value, Bounds::new(1, 255), Self::KIND.name)?;
            server_name(text).ok_or_else(|| malformed(value, Malformed::HostName))
        };
        at_least_one(value, one).map(Self)
    }
}

impl Read for StartupSettings {
    const KIND: Kind = kind("name=value, or a list of such", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| {
            let text = text(value, Bounds::new(1, 512), Self::KIND.name)?;
            setting(text).ok_or_else(|| malformed(value, Malformed::StartupSetting))
        };
        at_least_one(value, one).map(Self)
    }
}

fn server_name(text: &str) -> Option<String> {
    let (wildcard, name) = match text.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", text),
    };
    match host(name)? {
        HostAddress::Name(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            Some(format!("{wildcard}{name}"))
        }
        HostAddress::Ip(_) | HostAddress::UnixDir(_) => None,
    }
}

/// What the packet itself says apart is no setting.
const NO_SETTING: [&str; 4] = ["user", "database", "options", "replication"];

fn setting(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$');
    let name = name.to_ascii_lowercase();
    let fits = !name.is_empty()
        && name.bytes().all(is_name)
        && !NO_SETTING.contains(&name.as_str())
        && !value.contains('\0');
    fits.then(|| (name, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_dns_with_one_label_left_open() {
        for (text, wanted) in [
            ("a.example.com", Some("a.example.com")),
            ("*.Example.com.", Some("*.example.com")),
            ("*", None),
            ("*.*.com", None),
            ("a.*.com", None),
            ("10.0.0.1", None),
            ("/run", None),
        ] {
            assert_eq!(server_name(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn settings_have_names_and_values() {
        let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        for (text, wanted) in [
            ("a=b", pair("a", "b")),
            ("App.Tier=x=y z", pair("app.tier", "x=y z")),
            ("a=", pair("a", "")),
            ("a", None),
            ("=a", None),
            ("a b=c", None),
            ("database=x", None),
            ("Replication=x", None),
        ] {
            assert_eq!(setting(text), wanted, "{text}");
        }
    }
}
