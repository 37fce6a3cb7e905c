//! Owns the way of routes from the configuration to the shell.

use super::cluster::wish;
use config::Config;
use policy::Network;
use shell::setup::{Conditions, Route};

/// All of them, in their order.
pub(super) fn routes(config: &Config) -> Vec<Route> {
    config.routes.iter().map(route).collect()
}

/// One of them.
pub(crate) fn route(of: &config::Route) -> Route {
    let network = |&(address, bits): &(_, u8)| Network { address, bits };
    Route {
        name: of.name.clone(),
        conditions: Conditions {
            databases: of.databases.clone(),
            users: of.users.clone(),
            server_names: of.server_names.clone(),
            applications: of.applications.clone(),
            options: of.options.clone(),
            addresses: of.addresses.iter().map(network).collect(),
        },
        to: of.to.clone(),
        wish: of.target.map(wish),
    }
}
