//! Owns the shape of what is checked of routes.

use super::Target;
use std::net::IpAddr;

/// Where sessions go of whose clients all conditions hold. Lists that are empty hold for everybody; at least one is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// The database that the client asks for is one of these.
    pub databases: Vec<String>,
    /// It logs in as one of these.
    pub users: Vec<String>,
    /// The name that it gives in TLS is one of these, in lower case; `*.` in front stands for one label.
    pub server_names: Vec<String>,
    /// Its `application_name` is one of these.
    pub applications: Vec<String>,
    /// Its startup packet has one of these parameters with this value; names in lower case.
    pub options: Vec<(String, String)>,
    /// It comes from one of these: addresses, and how many of their bits count.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The database of this name is the one that it goes to; `None`: the one that it asks for.
    pub to: Option<String>,
    /// Which hosts of its cluster; `None`: those that the database is led to.
    pub target: Option<Target>,
}
