//! Owns the parse of AuthenticationRequest bodies (PostgreSQL manual, section 55.7).

use super::AuthFault;

/// What libpq takes at most, length field included, less that field.
const REQUEST_LEN_MAX: usize = 1996;

/// One AuthenticationRequest of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request<'a> {
    Ok,
    CleartextPassword,
    Md5Password {
        salt: [u8; 4],
    },
    Sasl(Mechanisms),
    SaslContinue(&'a [u8]),
    SaslFinal(&'a [u8]),
    /// Kerberos, GSSAPI, SSPI, and whatever else.
    Other(i32),
}

/// Which of our mechanisms a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanisms {
    None,
    Plain,
    Plus,
    PlainAndPlus,
}

impl<'a> Request<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, AuthFault> {
        if body.len() > REQUEST_LEN_MAX {
            return Err(AuthFault::Oversize {
                len: body.len(),
                limit: REQUEST_LEN_MAX,
            });
        }
        let (code, rest) = body.split_first_chunk().ok_or(AuthFault::Malformed)?;
        Ok(match (i32::from_be_bytes(*code), rest) {
            (0, []) => Self::Ok,
            (3, []) => Self::CleartextPassword,
            (5, &[a, b, c, d]) => Self::Md5Password { salt: [a, b, c, d] },
            (10, list) => Self::Sasl(Mechanisms::parse(list)?),
            (11, data) => Self::SaslContinue(data),
            (12, data) => Self::SaslFinal(data),
            (0 | 3 | 5, _) => return Err(AuthFault::Malformed),
            (code, _) => Self::Other(code),
        })
    }

    pub(super) fn code(&self) -> i32 {
        match self {
            Self::Ok => 0,
            Self::CleartextPassword => 3,
            Self::Md5Password { .. } => 5,
            Self::Sasl(_) => 10,
            Self::SaslContinue(_) => 11,
            Self::SaslFinal(_) => 12,
            Self::Other(code) => *code,
        }
    }
}

impl Mechanisms {
    /// Strings, and a zero byte behind the last one.
    fn parse(list: &[u8]) -> Result<Self, AuthFault> {
        let names = list.strip_suffix(&[0]).ok_or(AuthFault::Malformed)?;
        if names.is_empty() {
            return Ok(Self::None);
        }
        let names = names.strip_suffix(&[0]).ok_or(AuthFault::Malformed)?;
        let mut found = Self::None;
        for name in names.split(|&byte| byte == 0) {
            found = match (name, found) {
                (b"", _) => return Err(AuthFault::Malformed),
                (b"SCRAM-SHA-256", Self::None | Self::Plain) => Self::Plain,
                (b"SCRAM-SHA-256-PLUS", Self::None | Self::Plus) => Self::Plus,
                (b"SCRAM-SHA-256" | b"SCRAM-SHA-256-PLUS", _) => Self::PlainAndPlus,
                (_, found) => found,
            };
        }
        Ok(found)
    }
}
