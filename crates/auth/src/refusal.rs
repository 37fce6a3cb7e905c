//! Owns what a client is told when it may not come in, and what the operator's log is told. The
//! two differ on purpose: before authentication a client reads no more than PostgreSQL would say.

use crate::auth_query::AuthQueryFault;
use crate::digest::CryptoFault;

/// A login that ends here. Send it as a FATAL ErrorResponse and close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    kind: RefusalKind,
    message: String,
    reason: Reason,
}

/// Which SQLSTATE a refusal carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// 28P01 invalid_password.
    Password,
    /// 28000 invalid_authorization_specification.
    Specification,
    /// 08P01 protocol_violation.
    Protocol,
    /// 0A000 feature_not_supported.
    Unsupported,
    /// XX000 internal_error.
    Internal,
}

impl RefusalKind {
    /// The SQLSTATE (PostgreSQL manual, appendix A).
    pub fn sqlstate(self) -> &'static str {
        match self {
            Self::Password => "28P01",
            Self::Specification => "28000",
            Self::Protocol => "08P01",
            Self::Unsupported => "0A000",
            Self::Internal => "XX000",
        }
    }
}

/// Why a login was refused, for the operator. Never for the client, never holding content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No such user, or no usable password: the exchange was run to its end and then failed.
    #[error("there is no such user, or the user has no valid password")]
    UnknownUser,
    /// The proof or password does not match.
    #[error("the password does not match")]
    WrongPassword,
    /// What `auth_query` gave can't be used: the exchange was run to its end and then failed.
    #[error("{0}; see auth_query in [auth]")]
    AuthQuery(AuthQueryFault),
    /// The stored verifier is of a kind that the method cannot use.
    #[error("the stored verifier cannot be used with this authentication method")]
    UnusableVerifier,
    /// The startup packet names no user.
    #[error("the startup packet names no user")]
    NoUserName,
    /// An empty password.
    #[error("the client sent an empty password")]
    EmptyPassword,
    /// A message that does not parse.
    #[error("malformed authentication message: {0}")]
    Malformed(Malformed),
    /// A message beyond the limit of its kind.
    #[error("authentication message of {len} bytes, more than {limit}")]
    Oversize {
        /// Bytes received.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A message while none was awaited.
    #[error("the client sent a message out of turn")]
    OutOfTurn,
    /// A SASL mechanism that was not offered.
    #[error("the client selected a SASL mechanism that was not offered")]
    MechanismNotOffered,
    /// SCRAM `a=`: the client wants to act as somebody else.
    #[error("the client asked for another authorization identity")]
    AuthorizationIdentity,
    /// SCRAM `m=`: a mandatory extension.
    #[error("the client requires a SCRAM extension")]
    ScramExtension,
    /// The client could bind the channel but believes that it was not offered: somebody in between
    /// changed the offer.
    #[error(
        "channel binding was offered, but the client did not see the offer: possible downgrade"
    )]
    BindingDowngrade,
    /// The client is bound to another TLS session than this one.
    #[error("channel binding does not match this TLS session: possible man in the middle")]
    BindingMismatch,
    /// Channel binding is required but this leg cannot have it.
    #[error("channel binding is required, but this connection has none to offer")]
    BindingUnavailable,
    /// A SCRAM nonce other than the one agreed.
    #[error("the SCRAM nonce does not match")]
    NonceMismatch,
    /// Cleartext password asked for outside TLS.
    #[error("passwords in clear text are taken only inside TLS")]
    ClearPasswordWithoutTls,
    /// No client certificate, or not a verified one.
    #[error("the client sent no certificate that was verified")]
    NoCertificate,
    /// No name of the certificate maps to the role.
    #[error("no name in the client's certificate belongs to this role")]
    CertificateNotMapped,
    /// A name in the certificate holds a zero byte.
    #[error("a name in the client's certificate holds a zero byte")]
    NulInCertificateName,
    /// Peer authentication on something else than a Unix-domain socket.
    #[error("peer authentication needs a Unix-domain socket")]
    NotUnixSocket,
    /// The operating system's user is not mapped to the role.
    #[error("the operating system user does not belong to this role")]
    PeerNotMapped,
    /// Trust is configured, but not for this listener by name.
    #[error("trust is not enabled for this listener")]
    TrustNotNamed,
    /// The server took the login without checking the password the client gave.
    #[error("the server accepted the login without checking the client's password")]
    ServerDidNotCheck,
    /// Cryptography failed; MD5 under FIPS is the usual cause.
    #[error(transparent)]
    Crypto(#[from] CryptoFault),
}

/// What is wrong with an authentication message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// PasswordMessage is not one zero-terminated string.
    #[error("a password message is not one zero-terminated string")]
    PasswordPacket,
    /// SASLInitialResponse does not parse.
    #[error("SASLInitialResponse does not parse")]
    SaslInitialResponse,
    /// A SCRAM message is empty.
    #[error("empty SCRAM message")]
    Empty,
    /// A SCRAM message is not text: a zero byte, or not UTF-8.
    #[error("SCRAM message is not text")]
    NotText,
    /// The gs2 header does not parse.
    #[error("bad gs2 header")]
    Gs2Header,
    /// The channel-binding flag does not fit the chosen mechanism.
    #[error("the channel-binding flag does not fit the mechanism")]
    BindingFlag,
    /// A channel-binding type other than `tls-server-end-point`.
    #[error("unsupported channel-binding type")]
    BindingType,
    /// An attribute is missing, out of order or without value.
    #[error("missing or misplaced SCRAM attribute")]
    Attribute,
    /// The nonce is empty or not printable.
    #[error("bad SCRAM nonce")]
    Nonce,
    /// `c=` does not repeat the gs2 header.
    #[error("the gs2 header is not repeated in the final message")]
    BindingEcho,
    /// The proof is not 32 bytes of base64.
    #[error("bad SCRAM proof")]
    Proof,
    /// Bytes behind the last attribute.
    #[error("bytes behind the SCRAM proof")]
    Trailing,
}

impl Refusal {
    pub(crate) fn new(kind: RefusalKind, message: String, reason: Reason) -> Self {
        Self {
            kind,
            message,
            reason,
        }
    }

    /// What PostgreSQL says to a wrong password, an unknown user, an expired one.
    pub(crate) fn password(user: &str, reason: Reason) -> Self {
        let message = format!("password authentication failed for user \"{user}\"");
        Self::new(RefusalKind::Password, message, reason)
    }

    pub(crate) fn specification(message: &str, reason: Reason) -> Self {
        Self::new(RefusalKind::Specification, message.to_owned(), reason)
    }

    pub(crate) fn protocol(message: &str, reason: Reason) -> Self {
        Self::new(RefusalKind::Protocol, message.to_owned(), reason)
    }

    pub(crate) fn malformed(what: Malformed) -> Self {
        let message = match what {
            Malformed::PasswordPacket => "invalid password packet size",
            Malformed::SaslInitialResponse => "invalid SASL initial response",
            Malformed::BindingType => "unsupported SCRAM channel-binding type",
            Malformed::Nonce => "non-printable characters in SCRAM nonce",
            Malformed::BindingEcho => {
                "unexpected SCRAM channel-binding attribute in client-final-message"
            }
            _ => "malformed SCRAM message",
        };
        Self::protocol(message, Reason::Malformed(what))
    }

    pub(crate) fn oversize(len: usize, limit: usize) -> Self {
        Self::protocol("invalid message length", Reason::Oversize { len, limit })
    }

    pub(crate) fn crypto(fault: CryptoFault) -> Self {
        let message = "could not verify the password".to_owned();
        Self::new(RefusalKind::Internal, message, Reason::Crypto(fault))
    }

    /// Which class of refusal it is.
    pub fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// The SQLSTATE for the client.
    pub fn sqlstate(&self) -> &'static str {
        self.kind.sqlstate()
    }

    /// The primary message for the client, as PostgreSQL words it.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The cause for the operator's log; never for the client.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}
