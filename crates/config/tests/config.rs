//! Right configurations, what they mean, what they are warned about; and texts of any kind.

use config::{
    CaSource, CertificateName, ClientCertificates, Config, DatabaseName, Holds, HostAddress,
    ListenTls, MaxClientConn, Method, MinTlsVersion, Origin, Reload, Sandbox, ServerTls,
    ServerTrust, TlsOptions, Workers,
};
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;

const LEAST: &str = "[listen.tls]\ncertificate = \"s.crt\"\nprivate_key = \"/k/s.key\"\n\
    [auth]\nauth_file = \"users.txt\"\n[[database]]\nname = \"app\"\nhost = \"db.example.com\"\n";

fn read(text: &str) -> (Config, Vec<String>) {
    match Config::from_text(text, "/etc/portcullis/p.toml") {
        Ok((config, warnings)) => (config, warnings.iter().map(ToString::to_string).collect()),
        Err(errors) => panic!("{errors:#?}\nin:\n{text}"),
    }
}

#[test]
fn sockets_are_taken_over_beside_the_configuration() {
    let listen = |text: &str| read(&format!("[listen]\n{text}\n{LEAST}")).0.listen;
    let beside = listen("takeover_socket = \"t.sock\"\ntakeover_timeout = 0");
    let path = Path::new("/etc/portcullis/t.sock");
    assert_eq!(beside.takeover_socket.as_deref(), Some(path));
    assert_eq!(beside.takeover_timeout, None);
    let long = "x".repeat(100);
    let text = format!("[listen]\ntakeover_socket = \"{long}\"\n{LEAST}");
    let invalid = Config::from_text(&text, "/etc/portcullis/p.toml").unwrap_err();
    let errors: Vec<_> = invalid.errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("listen.takeover_socket: the socket's path would have 116 bytes"));
}

#[test]
fn statistics_are_switched_off_in_either_way() {
    let stats = |text: &str| read(&format!("{LEAST}[log]\n{text}\n")).0.log.stats;
    assert_eq!(stats("stats_period = 5"), Some(Duration::from_secs(5)));
    assert_eq!(stats("stats_period = 0"), None);
    assert_eq!(stats("log_stats = false\nstats_period = 5"), None);
}

#[test]
fn defaults_are_safe_and_those_people_know() {
    let (config, warnings) = read(LEAST);
    assert_eq!(warnings, Vec::<String>::new());
    let listen = &config.listen;
    assert_eq!(listen.addresses, ["127.0.0.1:6432".parse().unwrap()]);
    assert_eq!(listen.unix_socket, None);
    assert_eq!(listen.workers, Workers::PerCore);
    assert_eq!(listen.max_client_conn, MaxClientConn::Fitted);
    assert_eq!(listen.client_login_timeout, Duration::from_secs(60));
    assert_eq!(listen.drain_timeout, Duration::from_secs(30));
    assert_eq!(listen.query_timeout, None);
    assert_eq!(listen.takeover_socket, None);
    assert_eq!(listen.takeover_timeout, Some(Duration::from_secs(300)));
    assert_eq!(config.limits.suspend_timeout, Duration::from_secs(10));
    assert_eq!(config.auth.method, Method::ScramSha256);
    assert!(config.tcp.keepalive);
    assert!(!config.process.core_dumps && !config.process.lock_memory);
    assert_eq!(config.process.sandbox, Sandbox::On);
    assert_eq!(config.log.stats, Some(Duration::from_secs(60)));
    assert_eq!(config.files.reload, Reload::Watch);
    assert_eq!(config.files.reload_interval, Duration::from_secs(60));
    let month = Duration::from_secs(30 * 86_400);
    assert_eq!(config.files.expiry_warning, month);
    let database = &config.databases[0];
    assert_eq!(database.server_connect_timeout, Duration::from_secs(10));
    let servers = database.listed().unwrap();
    assert_eq!(servers.hosts[0].port, 5432);
    let ServerTls::On(tls) = &servers.tls else {
        panic!("TLS towards servers is off by default");
    };
    let verify_full = ServerTrust::AuthorityAndName(CaSource::System);
    assert_eq!(tls.trust, verify_full);
    let ListenTls::On(tls) = &listen.tls else {
        panic!("TLS towards clients is off by default");
    };
    assert_eq!(tls.client_certificates, ClientCertificates::NotAsked);
}

#[test]
fn paths_start_at_the_file_and_are_listed() {
    let text = format!("{LEAST}user = \"u\"\npassword_env = \"APP_PASSWORD\"\n");
    let (config, _) = read(&text);
    let listed: Vec<_> = config
        .sources
        .iter()
        .map(|source| (source.place.line, source.holds, source.from.clone()))
        .collect();
    let file = |path: &str| Origin::File(Path::new(path).into());
    assert_eq!(
        listed,
        [
            (2, Holds::Certificate, file("/etc/portcullis/s.crt")),
            (3, Holds::PrivateKey, file("/k/s.key")),
            (5, Holds::Users, file("/etc/portcullis/users.txt")),
            (10, Holds::Password, Origin::Env("APP_PASSWORD".into())),
        ]
    );
    let user = config.databases[0].user.clone().unwrap();
    assert_eq!(user.password, Some(Origin::Env("APP_PASSWORD".into())));
}

#[test]
fn everything_that_can_be_written_has_its_value() {
    let (config, warnings) = read(
        r#"
[listen]
address = ["0.0.0.0:6432", "[::1]:7777"]
unix_socket_dir = "/run/portcullis"
unix_socket_mode = "0770"
workers = 3
max_client_conn = 500
client_login_timeout = "1500ms"
query_timeout = "5min"
tcp_user_timeout = "30s"
[listen.tls]
mode = "verify-full"
certificate = "s.crt"
private_key = "s.key"
client_ca = "ca.crt"
[tcp]
tcp_keepidle = 60
tcp_keepcnt = 6
[auth]
method = "cert"
[[auth.map]]
certificate = "URI:spiffe://example.com/app"
user = "app"
[[database]]
name = "*"
host = ["10.0.0.1", "[::1]", "db_1.example.com"]
port = [5432, 5433, 5434]
[database.tls]
mode = "pin"
pin = "sha256:0A:0b0c0d0e0f000102030405060708090a0b0c0d0e0f000102030405060708ff"
negotiation = "direct"
channel_binding = "require"
[[user]]
name = "report"
method = "password"
server_user = "ro"
"#,
    );
    assert_eq!(warnings, Vec::<String>::new());
    let listen = &config.listen;
    let socket = listen.unix_socket.as_ref().unwrap();
    assert_eq!(socket.path, Path::new("/run/portcullis/.s.PGSQL.6432"));
    assert_eq!(socket.mode, 0o770);
    assert_eq!(listen.workers, Workers::Exactly(3));
    assert_eq!(listen.max_client_conn, MaxClientConn::Exactly(500));
    assert_eq!(listen.client_login_timeout, Duration::from_millis(1500));
    assert_eq!(listen.query_timeout, Some(Duration::from_secs(300)));
    assert_eq!(listen.tcp_user_timeout, Some(Duration::from_secs(30)));
    assert_eq!(config.tcp.keepidle, Some(Duration::from_secs(60)));
    assert_eq!((config.tcp.keepintvl, config.tcp.keepcnt), (None, Some(6)));
    let name = CertificateName::Uri("spiffe://example.com/app".into());
    assert_eq!(config.auth.map[0].certificate, name);
    let database = &config.databases[0];
    assert_eq!(database.name, DatabaseName::Any);
    let servers = database.listed().unwrap();
    assert_eq!(
        servers.hosts[1].address,
        HostAddress::Ip("::1".parse().unwrap())
    );
    assert_eq!(
        servers.hosts[2].address,
        HostAddress::Name("db_1.example.com".into())
    );
    assert_eq!(servers.hosts[2].port, 5434);
    let ServerTls::On(tls) = &servers.tls else {
        panic!("TLS is off");
    };
    let ServerTrust::Pinned(pin) = tls.trust else {
        panic!("no pin");
    };
    assert_eq!((pin.0[0], pin.0[1], pin.0[31]), (0x0a, 0x0b, 0xff));
    assert_eq!(config.users[0].method, Some(Method::Password));
    assert_eq!(config.users[0].server_user.as_ref().unwrap().name, "ro");
}

#[test]
fn a_unix_socket_alone_needs_no_certificate() {
    let (config, warnings) = read(
        "[listen]\naddress = []\nunix_socket_dir = \"/run/p\"\n\
         [[database]]\nname = \"a\"\nhost = \"/run/postgresql\"\n[database.tls]\nmode = \"disable\"\n",
    );
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.listen.tls, ListenTls::Disabled);
}

#[test]
fn each_weakening_is_warned_about_once() {
    let tls = "[listen.tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n";
    let rest = "[auth]\nauth_file = \"u\"\n[[database]]\nname = \"a\"\nhost = \"b\"\n";
    for (text, at) in [
        (
            format!("[listen.tls]\nmode = \"disable\"\n{rest}"),
            "2:8: listen.tls.mode",
        ),
        (
            format!("{tls}mode = \"allow\"\n{rest}"),
            "4:8: listen.tls.mode",
        ),
        (
            format!("{tls}plaintext_cancel = \"accept\"\n{rest}"),
            "4:20: listen.tls.plaintext_cancel",
        ),
        (
            format!("{tls}{rest}[database.tls]\nmode = \"disable\"\n"),
            "10:8: database.tls.mode",
        ),
        (
            format!("{tls}{rest}[database.tls]\nmode = \"prefer\"\n"),
            "10:8: database.tls.mode",
        ),
        (
            format!("{tls}{rest}[database.tls]\nmode = \"require\"\n"),
            "10:8: database.tls.mode",
        ),
        (
            format!("{tls}{rest}[process]\ncore_dumps = true\n"),
            "10:14: process.core_dumps",
        ),
        (
            format!("{tls}{rest}[process]\nsandbox = \"log\"\n"),
            "10:11: process.sandbox",
        ),
        (
            format!(
                "{tls}[auth]\nmethod = \"md5\"\nauth_file = \"u\"\n[[database]]\nname = \"a\"\nhost = \"b\"\n"
            ),
            "5:10: auth.method",
        ),
        (
            format!(
                "[listen]\nallow_trust = true\n{tls}{rest}[[user]]\nname = \"a\"\nmethod = \"trust\"\n"
            ),
            "13:10: user.method",
        ),
    ] {
        let (_, warnings) = read(&text);
        assert_eq!(warnings.len(), 1, "{warnings:?} for:\n{text}");
        let place = format!("/etc/portcullis/p.toml:{at}: ");
        assert!(warnings[0].starts_with(&place), "{warnings:?}");
    }
}

#[test]
fn listeners_and_hosts_have_policies_of_their_own() {
    let (config, warnings) = read(
        r#"
[listen.tls]
certificate = "s.crt"
private_key = "s.key"
[[listen.tls.identity]]
names = ["*.Example.com"]
certificate = "w.crt"
private_key = "w.key"
private_key_passphrase_command = ["/bin/pass", "w"]
[[listener]]
address = "127.0.0.1:7000"
method = "cert"
[listener.tls]
mode = "verify-full"
profile = "modern"
certificate = "t.crt"
private_key = "t.key"
client_ca = "ca.crt"
client_crl = "ca.crl"
[auth]
auth_file = "u"
[[auth.map]]
certificate = "URI:spiffe://corp/sa/{role}"
user = "{role}"
[[database]]
name = "app"
host = ["a", "b"]
[database.tls]
ca = "ca.crt"
min_version = "TLSv1.3"
[[database.host_tls]]
host = "b"
mode = "pin"
pin = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
"#,
    );
    assert_eq!(warnings, Vec::<String>::new());
    let ListenTls::On(tls) = &config.listen.tls else {
        panic!("TLS is off");
    };
    assert_eq!(tls.options, TlsOptions::Intermediate);
    assert_eq!(tls.identities[0].names, ["*.example.com"]);
    let command = Origin::Command(vec!["/bin/pass".into(), "w".into()]);
    assert_eq!(tls.identities[0].identity.passphrase, Some(command));
    let further = &config.listeners[0];
    assert_eq!(further.method, Some(Method::Cert));
    let ListenTls::On(tls) = &further.tls else {
        panic!("TLS is off");
    };
    assert_eq!(tls.options, TlsOptions::Modern);
    assert!(tls.client_crl.is_some());
    let servers = config.databases[0].listed().unwrap();
    let trust = |host: usize| match servers.tls_of(&servers.hosts[host]) {
        ServerTls::On(tls) => (tls.trust.clone(), tls.options.clone()),
        ServerTls::Disabled => panic!("TLS is off"),
    };
    assert!(matches!(trust(0).0, ServerTrust::AuthorityAndName(_)));
    assert!(matches!(trust(1).0, ServerTrust::Pinned(_)));
    // What the host does not say, the database does.
    assert_eq!(trust(0).1, trust(1).1);
    assert!(matches!(trust(1).1, TlsOptions::Custom(custom)
        if custom.min_version == MinTlsVersion::Tls13));
}

#[test]
fn policies_that_contradict_themselves() {
    let base = "[listen.tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n";
    let rest = "[auth]\nauth_file = \"u\"\n[[database]]\nname = \"a\"\nhost = \"b\"\n";
    for (in_tls, behind, said) in [
        (
            "profile = \"modern\"\nciphers = \"HIGH\"\n",
            "",
            "has its own ciphers",
        ),
        (
            "min_version = \"TLSv1.3\"\nmax_version = \"TLSv1.2\"\n",
            "",
            "no version is left",
        ),
        (
            "session_tickets = true\nclient_ca = \"x\"\n",
            "",
            "resumed session",
        ),
        ("client_crl = \"x\"\n", "", "without client_ca"),
        (
            "private_key_passphrase_file = \"p\"\nprivate_key_passphrase_command = [\"x\"]\n",
            "",
            "from a file or from a command",
        ),
        (
            "",
            "[[listener]]\naddress = \"127.0.0.1:6432\"\n[listener.tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n",
            "stands here twice",
        ),
        (
            "",
            "[[listener]]\naddress = \"127.0.0.1:1\"\nmethod = \"password\"\n[listener.tls]\nmode = \"disable\"\n",
            "works inside TLS only",
        ),
        ("", "[tls]\nmin_openssl = \"three\"\n", "not a version"),
        (
            "",
            "[[database]]\nname = \"x\"\nhost = \"y\"\n[[database.host_tls]]\nhost = \"z\"\n",
            "no such host",
        ),
        (
            "client_ca = \"x\"\nmode = \"verify-full\"\n",
            "[[auth.map]]\ncertificate = \"CN={a}-{b}\"\nuser = \"x\"\n",
            "not clear",
        ),
        (
            "client_ca = \"x\"\nmode = \"verify-full\"\n",
            "[[auth.map]]\ncertificate = \"CN={a}\"\nuser = \"{b}\"\n",
            "{b} is in no part",
        ),
    ] {
        let text = format!("{base}{in_tls}{rest}{behind}");
        let invalid = Config::from_text(&text, "p.toml").err();
        let errors = invalid.map(|it| it.errors).unwrap_or_default();
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(
            all.len() == 1 && all[0].contains(said),
            "{all:#?}\nin:\n{text}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC*|[\\x00-\\x7f]*") {
        let _ = Config::from_text(&text, "p.toml");
    }

    #[test]
    fn a_damaged_example_is_read_without_panic(
        at in 0.0..1.0f64,
        length in 0usize..40,
        instead in "[\\[\\]=\"'#.\\-0-9a-zé\n ]{0,6}",
    ) {
        // Uncommented as far as it goes, so that every reader is reached.
        let whole: String = config::example()
            .lines()
            .map(|line| line.strip_prefix('#').filter(|it| !it.starts_with(' ')).unwrap_or(line))
            .flat_map(|line| [line, "\n"])
            .collect();
        let boundary = |mut place: usize| {
            while !whole.is_char_boundary(place) {
                place += 1;
            }
            place
        };
        let start = boundary((at * whole.len() as f64) as usize);
        let end = boundary((start + length).min(whole.len()));
        let text = format!("{}{instead}{}", &whole[..start], &whole[end..]);
        if let Err(config::Invalid { errors, .. }) = Config::from_text(&text, "p.toml") {
            let lines = text.lines().count() + 1;
            for error in errors {
                prop_assert!(error.place.line <= lines, "{error}");
            }
        }
    }
}
