//! Owns what a configuration may say but should know: everything that weakens a default, or has no effect.

use crate::error::Place;

/// One thing that a configuration weakens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {weakness}")]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// What, and what would be stronger.
    pub weakness: Weakness,
}

/// What is weakened or of no use, and what would be better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// No TLS with clients.
    #[error("clients send and receive everything unencrypted; \"require\" encrypts it")]
    PlaintextClients,
    /// Clients may come without TLS.
    #[error("clients may send and receive everything unencrypted; \"require\" encrypts it")]
    PlaintextAllowed,
    /// No TLS with servers.
    #[error(
        "passwords and rows travel to and from this server unencrypted; \"verify-full\" is safe"
    )]
    PlaintextServer,
    /// Plain text if the server, or anyone in between, says so.
    #[error("anyone between here and the server can switch TLS off; \"verify-full\" is safe")]
    PlaintextFallback,
    /// Any certificate is taken.
    #[error(
        "any certificate is taken, so anyone in between can be the server; \"verify-full\" is safe"
    )]
    UnverifiedServer,
    /// Anybody gets in.
    #[error("anybody who can connect gets in as anybody; \"scram-sha-256\" asks for a proof")]
    Trust,
    /// MD5 verifiers.
    #[error(
        "whoever steals an md5 verifier can log in with it; \"scram-sha-256\" has no such weakness"
    )]
    Md5,
    /// Unencrypted cancel requests.
    #[error(
        "a cancel key sent unencrypted can be read and used to cancel queries; \"refuse\" is safe"
    )]
    PlaintextCancel,
    /// Nobody may look at what views depend on.
    #[error(
        "it is for this name alone, not for views that read it; policy.catalog_user has somebody look what views \
         depend on, and views = \"off\" says that it is meant so"
    )]
    ViewsUnseen,
    /// A lower security level.
    #[error("keys and signatures of 80 bits are taken; level 2 asks for 112")]
    SecurityLevel,
    /// Clients see what others left behind.
    #[error("a client finds what another one left in its session; \"auto\" takes it back")]
    NoReset,
    /// Literals in a file.
    #[error(
        "literals and values of statements are written unencrypted, passwords of applications among \
         them; a recipient in [query_log] seals them"
    )]
    PlaintextLog,
    /// Events or spans in the clear.
    #[error(
        "what is sent goes unencrypted, and everybody on the way can change it; https:// protects it"
    )]
    PlainHttp,
    /// A cluster that nobody follows.
    #[error(
        "no database is of this cluster, so nobody is led to it; name it as cluster in a [[database]], or \
         remove it"
    )]
    UnusedCluster,
    /// Core dumps.
    #[error("a crash writes passwords, keys and rows to disk; false keeps them in memory")]
    CoreDumps,
    /// No sandbox.
    #[error("whoever breaks into the proxy may do all that its account may do; \"on\" confines it")]
    NoSandbox,
}
