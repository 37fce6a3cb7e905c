//! Owns Authentication*: the messages tagged `R`, told apart by the code at their front.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Message, MessageFault, Payload, Sink, Strings};
use buf::Full;

/// What the server wants, or that it is satisfied (manual, "AuthenticationOk" and following).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// 0: the client is who it says.
    Ok,
    /// 2: obsolete.
    KerberosV5,
    /// 3: the password as it is.
    CleartextPassword,
    /// 5: the password hashed with MD5 and this salt.
    Md5Password {
        /// Drawn for this login.
        salt: [u8; 4],
    },
    /// 7: GSSAPI starts.
    Gss,
    /// 8: a token of GSSAPI or SSPI.
    GssContinue(Payload<'a>),
    /// 9: SSPI starts.
    Sspi,
    /// 10: SASL starts, with these mechanisms in the server's order of preference.
    Sasl(Strings<'a>),
    /// 11: a challenge of the mechanism.
    SaslContinue(Payload<'a>),
    /// 12: the last word of the mechanism.
    SaslFinal(Payload<'a>),
}

impl Authentication<'_> {
    /// The number on the wire.
    pub fn code(&self) -> u32 {
        match self {
            Self::Ok => 0,
            Self::KerberosV5 => 2,
            Self::CleartextPassword => 3,
            Self::Md5Password { .. } => 5,
            Self::Gss => 7,
            Self::GssContinue(_) => 8,
            Self::Sspi => 9,
            Self::Sasl(_) => 10,
            Self::SaslContinue(_) => 11,
            Self::SaslFinal(_) => 12,
        }
    }

    /// The name in the manual.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ok => "AuthenticationOk",
            Self::KerberosV5 => "AuthenticationKerberosV5",
            Self::CleartextPassword => "AuthenticationCleartextPassword",
            Self::Md5Password { .. } => "AuthenticationMD5Password",
            Self::Gss => "AuthenticationGSS",
            Self::GssContinue(_) => "AuthenticationGSSContinue",
            Self::Sspi => "AuthenticationSSPI",
            Self::Sasl(_) => "AuthenticationSASL",
            Self::SaslContinue(_) => "AuthenticationSASLContinue",
            Self::SaslFinal(_) => "AuthenticationSASLFinal",
        }
    }
}

impl<'a> Message<'a> for Authentication<'a> {
    const TAG: u8 = tag::AUTHENTICATION;
    const NAME: &'static str = "Authentication";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let code = reader.u32("code")?;
        // These carry whatever the mechanism says, to the end of the body.
        let data = Payload(reader.rest());
        let message = match code {
            8 => return Ok(Self::GssContinue(data)),
            11 => return Ok(Self::SaslContinue(data)),
            12 => return Ok(Self::SaslFinal(data)),
            0 => Self::Ok,
            2 => Self::KerberosV5,
            3 => Self::CleartextPassword,
            5 => {
                let mut salt = [0; 4];
                salt.copy_from_slice(reader.take(4, "salt")?);
                Self::Md5Password { salt }
            }
            7 => Self::Gss,
            9 => Self::Sspi,
            10 => Self::Sasl(Strings::read_ended(&mut reader, "mechanism")?),
            other => return Err(reader.bad("code", i64::from(other))),
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.u32(self.code())?;
        match self {
            Self::Ok | Self::KerberosV5 | Self::CleartextPassword | Self::Gss | Self::Sspi => {
                Ok(())
            }
            Self::Md5Password { salt } => out.put(salt),
            Self::GssContinue(data) | Self::SaslContinue(data) | Self::SaslFinal(data) => {
                out.put(data)
            }
            Self::Sasl(mechanisms) => {
                out.put(mechanisms.raw())?;
                out.byte(0)
            }
        }
    }
}
