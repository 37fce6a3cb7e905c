//! Owns telling whether a reload changes how the connections of a database are made: one number of all
//! that decides it, what its files hold included. The number says nothing about what went into it.

use crate::material::Material;
use config::{Config, Database, Followed, Holds, Origin, Servers, Source};
use openssl::sha::Sha256;
use std::fmt::Write as _;

/// The number of one database. `secret` is the process's own: passwords are among what is hashed.
pub(crate) fn fingerprint(
    config: &Config,
    entry: &Database,
    material: &Material,
    secret: &[u8; 32],
) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(secret);
    let mut text = String::new();
    // Not where it stands: a line more above it changes nothing.
    let of_entry = (servers(config, entry), &entry.dbname, &entry.user);
    let of_users = config
        .users
        .iter()
        .map(|user| (&user.name, &user.server_user));
    let _ = write!(
        text,
        "{of_entry:?} {:?} {:?} {:?} {:?}",
        entry.tcp_user_timeout,
        config.tcp,
        config.tls,
        of_users.collect::<Vec<_>>()
    );
    add(&mut hash, text.as_bytes());
    // That of who asks the hosts of a cluster what they are decides nothing here.
    let is_of_sessions = |origin: &Origin| {
        let mut sources = config.sources.iter();
        sources.any(|it| it.from == *origin && it.holds == Holds::Password && !is_of_cluster(it))
    };
    let passwords = material.passwords.iter();
    let mut passwords: Vec<_> = passwords.filter(|it| is_of_sessions(it.0)).collect();
    passwords.sort_by_key(|(origin, _)| format!("{origin:?}"));
    for (_, password) in passwords {
        add(&mut hash, password.expose());
    }
    for source in &config.sources {
        let key = &source.place.key;
        let decides = match entry.servers {
            Servers::Listed(_) => key.starts_with("database."),
            Servers::Of(_) => {
                let of_hosts = ["database.", "cluster.tls.", "cluster.host_tls."];
                of_hosts.iter().any(|it| key.starts_with(it))
            }
        };
        if let (true, Origin::File(path)) = (decides, &source.from) {
            // One that can't be read was found out before.
            add(&mut hash, &std::fs::read(path).unwrap_or_default());
        }
    }
    hash.finish()
}

/// Where its servers are, and how they are reached. Which hosts a cluster has is followed without a reload.
fn servers(config: &Config, entry: &Database) -> String {
    match &entry.servers {
        Servers::Listed(listed) => format!("{listed:?}"),
        Servers::Of(Followed {
            cluster,
            target,
            route_reads: _,
            target_by_client: _,
        }) => {
            let tls = config.cluster(cluster).map(|it| {
                let own = it.host_tls.iter().map(|it| (&it.hosts, &it.tls));
                (&it.tls, own.collect::<Vec<_>>())
            });
            format!("{cluster:?} {target:?} {tls:?}")
        }
    }
}

fn is_of_cluster(source: &Source) -> bool {
    source.place.key.starts_with("cluster.")
}

/// With its length, so that nothing passes for something else.
fn add(hash: &mut Sha256, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[listen.tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n\
        [pool]\npool_mode = \"transaction\"\n[auth]\nauth_user = \"u\"\n\
        [[database]]\nname = \"a\"\n";

    fn number(database: &str, rest: &str) -> [u8; 32] {
        let text = format!("{HEAD}{database}\n{rest}");
        let (config, _) = Config::from_text(&text, "p.toml").unwrap();
        let passwords = config.sources.iter();
        let passwords = passwords.filter(|it| it.holds == Holds::Password);
        let secret = |it: &Source| {
            (
                it.from.clone(),
                buf::Secret::new(format!("{:?}", it.from).as_bytes()),
            )
        };
        let material = Material {
            passwords: passwords.map(secret).collect(),
            ..Material::default()
        };
        fingerprint(&config, &config.databases[0], &material, &[0; 32])
    }

    #[test]
    fn databases_of_a_cluster_change_with_what_their_connections_are_made_by() {
        let of = "cluster = \"main\"";
        let main = "[[cluster]]\nname = \"main\"\ncheck_user = \"c\"\n";
        let hosts = format!("{main}hosts = \"h\"");
        let before = number(of, &hosts);
        let other = format!("{hosts}\n{}hosts = \"h\"", main.replace("main", "other"));
        let same = [
            (of, format!("\n\n{hosts}")),
            (of, format!("{main}hosts = [\"h\", \"i weight=1\"]")),
            (of, format!("{main}srv = \"h\"")),
            (of, hosts.replace("\"c\"", "\"d\"")),
            (of, format!("{hosts}\ncheck_password_env = \"PW\"")),
            (of, format!("{hosts}\nlag_max = 1\ncheck_interval = 1")),
            (
                "cluster = \"main\"\nroute_reads = \"replicas\"",
                hosts.clone(),
            ),
            (of, other.clone()),
        ];
        for (database, rest) in same {
            assert_eq!(number(database, &rest), before, "{database}\n{rest}");
        }
        let different = [
            ("cluster = \"main\"\ntarget = \"any\"", hosts.clone()),
            ("cluster = \"other\"", other),
            ("host = \"h\"", String::new()),
            (of, format!("{hosts}\n[cluster.tls]\nmode = \"require\"")),
            (
                of,
                format!("{hosts}\n[[cluster.host_tls]]\nhost = \"h\"\nmode = \"require\""),
            ),
            ("cluster = \"main\"\nuser = \"u\"", hosts.clone()),
            (
                "cluster = \"main\"\nuser = \"u\"\npassword_env = \"PW\"",
                hosts,
            ),
        ];
        let mut seen = vec![before];
        for (database, rest) in different {
            let number = number(database, &rest);
            assert!(!seen.contains(&number), "{database}\n{rest}");
            seen.push(number);
        }
    }
}
