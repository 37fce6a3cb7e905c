//! Owns what is wrong with a leg: where, what, and what to do.

/// What is wrong with a leg.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckFault {
    /// A server that cannot be reached as configured.
    #[error("{whose} at {host}: {cause}")]
    Unreachable {
        /// The database or the cluster.
        whose: String,
        /// The server.
        host: String,
        /// Why.
        cause: String,
    },
    /// A cluster whose hosts can't be looked up.
    #[error("who belongs to cluster {cluster:?}: {cause}")]
    Members {
        /// The cluster.
        cluster: String,
        /// Why.
        cause: String,
    },
    /// A server that does not let us in.
    #[error("{whose} at {host}: login as {role:?}: {cause}")]
    Login {
        /// The database or the cluster.
        whose: String,
        /// The server.
        host: String,
        /// The role.
        role: String,
        /// Why.
        cause: String,
    },
    /// A server that does not let us read there what views depend on.
    #[error(
        "{whose} at {host}: reading what views depend on, as policy.catalog_user {role:?}: {cause}"
    )]
    Catalogs {
        /// The database.
        whose: String,
        /// The server.
        host: String,
        /// The role.
        role: String,
        /// Why.
        cause: String,
    },
    /// A client's TLS handshake with us.
    #[error("a client's handshake with this configuration: {cause}")]
    Handshake {
        /// Why.
        cause: String,
    },
    /// A client without TLS that gets further than it should.
    #[error(
        "a client without TLS is not refused, although listen.tls.mode says that it must be: {found}"
    )]
    Admitted {
        /// What happened instead.
        found: String,
    },
    /// The authority to verify with.
    #[error("--ca: {0}")]
    Authority(#[source] tls::ContextFault),
    /// The name to verify.
    #[error("--name: {0}")]
    Name(#[source] tls::BadServerName),
}
