//! Owns the names a session acts under, as types that do not turn into each other by accident:
//! who a client proved to be, who Portcullis is towards a server, and who asks for verifiers.
//! There is no `From` between them; where one is taken from another, a named function says so.

use std::fmt;

/// The role that a client proved to be. Only [`Gate`](crate::Gate) and
/// [`Claim`](crate::Claim) make one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProvedUser(String);

impl ProvedUser {
    pub(crate) fn new(name: String) -> Self {
        Self(name)
    }

    /// The role's name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// The role that Portcullis logs in to a server as.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerUser(String);

impl ServerUser {
    /// The role that the operator configured for the server.
    pub fn configured(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The client's own role, where the operator configured no other.
    pub fn same_as_client(user: &ProvedUser) -> Self {
        Self(user.0.clone())
    }

    /// The role that a client claims, on the way to the server that decides about the claim.
    pub fn claimed(claim: &crate::Claim) -> Self {
        Self(claim.user().to_owned())
    }

    /// The role that runs `auth_query`.
    pub fn for_auth_query(user: &AuthQueryUser) -> Self {
        Self(user.0.clone())
    }

    /// The role's name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// The role that runs `auth_query`. It never becomes a client's identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuthQueryUser(String);

impl AuthQueryUser {
    /// The role that the operator configured (`auth_user`).
    pub fn configured(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The role's name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

macro_rules! display {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
display!(ProvedUser ServerUser AuthQueryUser);
