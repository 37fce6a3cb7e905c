//! Owns what authentication must know about a connection: facts of one leg, filled in by whoever
//! holds the TLS engine. Never judges them.

/// What is true of one leg (client to Portcullis, or Portcullis to server) once its handshake is done.
///
/// The default describes TCP in clear text with nothing known about the peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LegFacts {
    /// The leg is inside TLS.
    pub encrypted: bool,
    /// The protocol version, as OpenSSL names it.
    pub version: Option<String>,
    /// The cipher suite.
    pub cipher: Option<String>,
    /// The key exchange group.
    pub group: Option<String>,
    /// The server name that the TLS client sent.
    pub sni: Option<String>,
    /// The `tls-server-end-point` hash (RFC 5929 section 4) of the certificate that the TLS server
    /// of this leg used in this handshake. `None` if that certificate has no usable hash (Ed25519,
    /// Ed448, ML-DSA): then channel binding is neither offered nor used.
    pub end_point: Option<Vec<u8>>,
    /// The peer's certificate was verified: on a client's leg against the client CA, on a server's
    /// leg against the CA, CA and name, or a pin.
    pub verified: bool,
    /// Names in the peer's certificate, if it sent one.
    pub peer: Option<PeerNames>,
    /// The leg is a Unix-domain socket, and this is who is at its other end.
    pub unix: Option<UnixPeer>,
}

/// The process at the other end of a Unix-domain socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnixPeer {
    /// The operating system's name for the peer's user id, if it has one.
    pub os_user: Option<String>,
}

/// Names and fingerprint of a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerNames {
    /// The whole subject, for logs.
    pub subject: String,
    /// The common name; `None` if there is none, or more than one (which of them counts would be
    /// the parser's choice, not the issuer's).
    pub common_name: Option<String>,
    /// dNSName entries of the subject alternative name.
    pub dns: Vec<String>,
    /// rfc822Name entries.
    pub email: Vec<String>,
    /// uniformResourceIdentifier entries.
    pub uri: Vec<String>,
    /// SHA-256 of the certificate's DER.
    pub sha256: [u8; 32],
}
