//! Owns what a configuration comes to, in a few lines.

use crate::material::Material;
use config::{Config, DatabaseName, HostAddress, ListenTls, ServerTls};

/// Who may come in, and where it goes.
pub(super) fn summary(config: &Config, material: &Material) -> Vec<String> {
    let towards_clients = match config.listen.tls {
        ListenTls::Disabled => "without TLS",
        ListenTls::On(_) => "with TLS",
    };
    let addresses = config.listen.addresses.iter();
    let mut lines: Vec<String> = addresses
        .map(|address| format!("listens on {address} {towards_clients}"))
        .collect();
    if let Some(socket) = &config.listen.unix_socket {
        lines.push(format!("listens on {}", socket.path.display()));
    }
    if config.auth.auth_file.is_some() {
        lines.push(format!("knows {} users", material.users.len()));
    }
    if !material.passwords.is_empty() {
        lines.push(format!(
            "has {} passwords for servers",
            material.passwords.len()
        ));
    }
    lines.extend(config.databases.iter().map(destination));
    lines
}

/// One database and its servers.
fn destination(database: &config::Database) -> String {
    let name = match &database.name {
        DatabaseName::Named(name) => name.as_str(),
        DatabaseName::Any => "*",
    };
    let tls = match database.tls {
        ServerTls::Disabled => "without TLS",
        ServerTls::On(_) => "with TLS",
    };
    let hosts: Vec<String> = database
        .hosts
        .iter()
        .map(|host| match &host.address {
            HostAddress::Name(name) => format!("{name}:{}", host.port),
            HostAddress::Ip(address) => {
                format!("{}", std::net::SocketAddr::new(*address, host.port))
            }
            HostAddress::UnixDir(path) => format!("{}:{}", path.display(), host.port),
        })
        .collect();
    format!("database {name:?} is at {} {tls}", hosts.join(", "))
}
