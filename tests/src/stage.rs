//! The proxy in front of a cluster, with TLS verified on both legs: the scene of most
//! end-to-end tests. What a test is about, it sets itself; the rest is the plain case.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::proxy::{Site, Surroundings};
use testkit::{Authority, Certificate, ClientTls, Cluster, Identity, Portcullis};

use crate::drivers::Endpoint;

/// Sections in the order of the file; `database.tls` belongs to the `[[database]]` before it.
const SECTIONS: [&str; 15] = [
    "listen",
    "listen.tls",
    "tcp",
    "auth",
    "pool",
    "database",
    "database.tls",
    "limits",
    "log",
    "inspection",
    "events",
    "query_log",
    "files",
    "tls",
    "process",
];

/// A running proxy with what clients need to reach it.
///
/// ```no_run
/// use e2e::Stage;
/// use e2e::drivers::{self, Endpoint};
/// use testkit::{Cluster, Peer};
///
/// let cluster = Cluster::shared();
/// let direct = Endpoint::direct(cluster, "my_role");
/// let stage = Stage::before(cluster)
///     .user(&direct)
///     .set("listen.tls", "min_version", "\"TLSv1.3\"")
///     .start();
/// drivers::psycopg(&stage.endpoint(&direct));
/// let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
/// peer.send(b"\0\0\0\x03");
/// peer.end();
/// assert!(!stage.proxy.log().contains("panicked"));
/// ```
pub struct Stage {
    /// The proxy.
    pub proxy: Portcullis,
    /// Who issued the proxy's certificate.
    pub authority: Authority,
    /// The same as PEM file.
    pub ca_file: PathBuf,
}

impl Stage {
    /// The plan of a proxy for all databases of this cluster.
    #[track_caller]
    pub fn before(cluster: &Cluster) -> StagePlan {
        StagePlan::new("localhost", cluster.port(), cluster.ca_file())
    }

    /// The endpoint's role and database, reached through the proxy.
    pub fn endpoint(&self, direct: &Endpoint) -> Endpoint {
        direct.through(self.proxy.port(), &self.ca_file)
    }

    /// Runs `portcullis check` on the proxy's configuration: whether all holds, and what was said.
    #[track_caller]
    pub fn check(&self) -> (bool, String) {
        let output = Command::new(testkit::proxy::binary())
            .args(["check", "--config", "portcullis.toml"])
            .current_dir(self.proxy.directory())
            .output()
            .expect("check");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.success(), said)
    }

    /// How a careful scripted client does TLS with the proxy.
    pub fn client_tls(&self) -> ClientTls {
        ClientTls::verified(&self.authority, "localhost")
    }
}

/// What the proxy's configuration will say.
pub struct StagePlan {
    /// `None`: the key is left out, whatever the plan would say.
    settings: BTreeMap<(&'static str, String), Option<String>>,
    users: String,
    more: String,
    surroundings: Surroundings,
    files: Vec<(String, String)>,
    authority: Authority,
    certificate: Certificate,
}

impl StagePlan {
    /// A proxy in front of this server, whose certificate that authority issued.
    #[track_caller]
    pub fn new(host: &str, port: u16, ca_file: &Path) -> Self {
        let authority = Authority::new("Portcullis client side authority");
        let certificate = authority.issue(&Identity::localhost());
        let plan = Self {
            settings: BTreeMap::new(),
            users: String::new(),
            more: String::new(),
            surroundings: Surroundings::default(),
            files: Vec::new(),
            authority,
            certificate,
        };
        plan.set("database", "name", "\"*\"")
            .set("database", "host", &quoted(host))
            .set("database", "port", &port.to_string())
            .set(
                "database.tls",
                "ca",
                &quoted(&ca_file.display().to_string()),
            )
    }

    /// Sets a key of a section to a TOML value, in place of what the plan had.
    #[track_caller]
    pub fn set(mut self, section: &str, key: &str, value: &str) -> Self {
        let value = Some(value.to_owned());
        self.settings.insert(place(section, key), value);
        self
    }

    /// Leaves a key to its default.
    #[track_caller]
    pub fn unset(mut self, section: &str, key: &str) -> Self {
        self.settings.insert(place(section, key), None);
        self
    }

    /// Lets this role log in with its password, on both legs.
    pub fn user(mut self, endpoint: &Endpoint) -> Self {
        self.line(&endpoint.user, &endpoint.password);
        self
    }

    /// One line of the users file: a role, and its password or verifier.
    pub fn user_with(mut self, role: &str, secret: &str) -> Self {
        self.line(role, secret);
        self
    }

    /// Presents this certificate to clients.
    pub fn certificate(mut self, authority: &Authority, certificate: &Certificate) -> Self {
        self.authority = authority.clone();
        self.certificate = certificate.clone();
        self
    }

    /// More sections, as TOML, behind the plan's own.
    pub fn more(mut self, toml: &str) -> Self {
        self.more.push_str(toml);
        self
    }

    /// An environment variable of the proxy.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        let variable = (name.to_owned(), value.to_owned());
        self.surroundings.environment.push(variable);
        self
    }

    /// Soft and hard limit of the proxy's open files.
    pub fn open_files(mut self, soft: u64, hard: u64) -> Self {
        self.surroundings.open_files = Some((soft, hard));
        self
    }

    /// A file beside the configuration, mode 0600, that a setting names.
    pub fn file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    /// Starts the proxy and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Stage {
        let authority = self.authority.clone();
        let proxy = self.launch().listening();
        let ca_file = proxy.directory().join("ca.crt");
        Stage {
            proxy,
            authority,
            ca_file,
        }
    }

    /// Starts a proxy that is expected to refuse its configuration.
    #[track_caller]
    pub fn launch(self) -> Portcullis {
        let surroundings = self.surroundings.clone();
        Portcullis::launch_in(&surroundings, |site| self.write(site))
    }

    fn line(&mut self, role: &str, secret: &str) {
        let doubled = |text: &str| text.replace('"', "\"\"");
        let _ = writeln!(self.users, "\"{}\" \"{}\"", doubled(role), doubled(secret));
    }

    /// Writes the files that the configuration names, and gives its text.
    fn write(mut self, site: &Site<'_>) -> String {
        self.authority.write(site.directory, "ca");
        let files = self.certificate.write(site.directory, "proxy");
        for (name, content) in &self.files {
            site.write(name, content, 0o600);
        }
        let users = site.write("users.txt", &self.users, 0o600);
        let defaults = [
            ("listen", "address", quoted(site.address)),
            (
                "listen.tls",
                "certificate",
                quoted(&files.certificate.display().to_string()),
            ),
            (
                "listen.tls",
                "private_key",
                quoted(&files.private_key.display().to_string()),
            ),
            ("auth", "auth_file", quoted(&users.display().to_string())),
        ];
        for (section, key, value) in defaults {
            self.settings
                .entry(place(section, key))
                .or_insert(Some(value));
        }
        self.text()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for section in SECTIONS {
            let of_section = self.settings.iter().filter(|((of, _), _)| *of == section);
            let lines: String = of_section
                .filter_map(|((_, key), value)| Some(format!("{key} = {}\n", value.as_ref()?)))
                .collect();
            if lines.is_empty() {
                continue;
            }
            let title = match section {
                "database" => "[[database]]".to_owned(),
                single => format!("[{single}]"),
            };
            let _ = write!(text, "{title}\n{lines}");
        }
        text + &self.more
    }
}

#[track_caller]
fn place(section: &str, key: &str) -> (&'static str, String) {
    let known = SECTIONS.into_iter().find(|known| *known == section);
    (
        known.unwrap_or_else(|| panic!("no section {section:?} in the plan")),
        key.to_owned(),
    )
}

/// A TOML literal string: nothing in it has a meaning but its quote.
fn quoted(text: &str) -> String {
    assert!(!text.contains('\''), "a quote in {text:?}");
    format!("'{text}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_writes_sections_in_order_and_its_settings_once() {
        let plan = StagePlan::new("localhost", 5432, Path::new("/ca.crt"))
            .set("database", "port", "1")
            .set("listen", "workers", "2")
            .set("log", "level", "'debug'")
            .unset("log", "level")
            .more("[[user]]\nname = 'x'\n");
        let wanted = "[listen]\nworkers = 2\n[[database]]\nhost = 'localhost'\nname = \"*\"\n\
            port = 1\n[database.tls]\nca = '/ca.crt'\n[[user]]\nname = 'x'\n";
        assert_eq!(plan.text(), wanted);
    }
}
