//! Bad configurations, and exactly what is said about them.

use config::Config;

const TLS: &str = "[listen.tls]\ncertificate = \"s.crt\"\nprivate_key = \"s.key\"\n";
const AUTH: &str = "[auth]\nauth_file = \"users.txt\"\n";
const DATABASE: &str = "[[database]]\nname = \"app\"\nhost = \"db.example.com\"\n";
const ALWAYS: &str = "needs a mode that always encrypts";

/// Each error as it is printed.
fn errors(text: &str) -> Vec<String> {
    match Config::from_text(text, "p.toml") {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.errors.iter().map(ToString::to_string).collect(),
    }
}

/// The whole text of every error, in order.
fn check(text: &str, expected: &[&str]) {
    assert_eq!(errors(text), expected, "in:\n{text}");
}

/// One error, at this line and key, that says this.
fn check_one(text: &str, at: &str, says: &str) {
    let errors = errors(text);
    let [error] = errors.as_slice() else {
        panic!("one error expected, got {errors:#?} in:\n{text}");
    };
    assert!(error.starts_with(&format!("p.toml:{at}: ")), "{error}");
    assert!(error.contains(says), "{error}\ndoes not say: {says}");
}

#[test]
fn the_least_configuration_is_right() {
    check(&format!("{TLS}{AUTH}{DATABASE}"), &[]);
}

#[test]
fn nothing_at_all_names_all_that_is_needed() {
    check(
        "",
        &[
            "p.toml:1:1: database: this section is required; write [[database]] and its settings",
            "p.toml:1:1: listen.tls.certificate: TLS with clients needs a certificate and a \
             private_key; name both files (mode = \"disable\" would do without, and show every \
             byte to the network)",
            "p.toml:1:1: auth.method: nobody could log in with \"scram-sha-256\": name the users \
             with auth_file, or look them up with auth_user",
        ],
    );
}

#[test]
fn what_is_not_toml_is_named_line_by_line() {
    check(
        "[listen\naddress = \"x\"\n[auth]\nmethod = = 4\n",
        &[
            "p.toml:1:8: this is not TOML: unclosed table, expected `]`",
            "p.toml:4:10: this is not TOML: extra `=`, expected nothing",
        ],
    );
    check(
        "[log]\nlevel = \"info\"\nlevel = \"warn\"\n[log]\n",
        &[
            "p.toml:3:1: this is not TOML: duplicate key",
            "p.toml:4:2: this is not TOML: duplicate key",
        ],
    );
}

#[test]
fn all_errors_come_at_once() {
    let text = format!(
        "listen_addr = 5\n[listen]\nmax_client_con = 5\nworkers = 99999\n\
         client_login_timeout = \"5 parsecs\"\ndrain_timeout = []\nmode = \"require\"\n{TLS}mod = 4\n\
         {AUTH}{DATABASE}password = \"hunter2\"\nport = -1\n[database.tls]\nmode = \"verify-ful\"\n\
         [databases]\nx = 3\n[log]\nformat = 3\n"
    );
    check(
        &text,
        &[
            "p.toml:1:1: listen_addr: there is no such setting; here it is called listen.address",
            "p.toml:3:1: listen.max_client_con: there is no such setting; did you mean \
             max_client_conn?",
            "p.toml:4:11: listen.workers: this is out of bounds; allowed is 0 to 1024",
            "p.toml:5:24: listen.client_login_timeout: this is not a duration; write seconds, or \
             a number with ms, s, min, h or d: \"500ms\"",
            "p.toml:6:17: listen.drain_timeout: this is a list; write a duration: seconds, or for \
             example \"500ms\"",
            "p.toml:7:1: listen.mode: there is no such setting; it belongs under [listen.tls]",
            "p.toml:11:1: listen.tls.mod: there is no such setting; did you mean mode?",
            "p.toml:17:1: database.password: secrets do not belong in this file; name a file or a \
             variable with password_file or password_env",
            "p.toml:18:8: database.port: this is out of bounds; allowed is 1 to 65535",
            "p.toml:20:8: database.tls.mode: there is no such choice; write \"disable\", \
             \"prefer\", \"require\", \"verify-ca\", \"verify-full\" or \"pin\" (did you mean \
             \"verify-full\"?)",
            "p.toml:21:2: databases: there is no such section; did you mean [[database]]?",
            "p.toml:24:10: log.format: there is no such choice; write \"human\" or \"json\"",
        ],
    );
}

#[test]
fn a_section_of_the_wrong_kind_is_named() {
    check(
        &format!("{TLS}{AUTH}[database]\nname = \"app\"\n"),
        &["p.toml:6:1: database: this is another kind of section; write [[database]]"],
    );
    check(
        &format!("[[log]]\n{TLS}{AUTH}{DATABASE}"),
        &["p.toml:1:1: log: this is another kind of section; write [log]"],
    );
}

#[test]
fn required_settings_and_duplicates() {
    let base = format!("{TLS}{AUTH}{DATABASE}");
    check(
        &format!("{base}[[database]]\nname = \"app\"\nhost = \"b\"\n[[database]]\nhost = \"c\"\n"),
        &[
            "p.toml:10:8: database.name: this is the same as in line 7; remove one of them",
            "p.toml:12:1: database.name: this setting is required; for example: name = \"app\"",
        ],
    );
    check_one(
        &format!("{base}[[user]]\nname = \"a\"\n[[user]]\nname = \"a\"\n"),
        "12:8: user.name",
        "the same as in line 10",
    );
}

#[test]
fn listeners_that_contradict_themselves() {
    let rest = format!("{AUTH}{DATABASE}");
    let tls = |more: &str| format!("{TLS}{more}\n{rest}");
    for (text, at, says) in [
        (
            format!("[listen]\naddress = []\n{TLS}{rest}"),
            "2:11: listen.address",
            "nobody could",
        ),
        (
            format!("[listen]\naddress = [\"[::1]:1\", \"[::1]:1\"]\n{TLS}{rest}"),
            "2:11: listen.address",
            "stands here twice",
        ),
        (
            format!("[listen]\nproxy_protocol = \"require\"\n{TLS}{rest}"),
            "2:18: listen.proxy_protocol",
            "needs proxy_trusted",
        ),
        (
            format!("[listen]\nproxy_trusted = \"10.0.0.0/8\"\n{TLS}{rest}"),
            "2:17: listen.proxy_trusted",
            "makes no use of proxy_trusted",
        ),
        (
            format!("[listen]\nproxy_trusted = \"10.0.0.0/33\"\n{TLS}{rest}"),
            "2:17: listen.proxy_trusted",
            "this is not a network",
        ),
        (
            format!("[listen]\nproxy_trusted = \"10.0.0.0/+8\"\n{TLS}{rest}"),
            "2:17: listen.proxy_trusted",
            "this is not a network",
        ),
        (
            format!("[listen]\naddress = \"localhost\"\n{TLS}{rest}"),
            "2:11: listen.address",
            "write IP:port",
        ),
        (
            format!(
                "[listen]\nunix_socket_dir = \"/{}\"\n{TLS}{rest}",
                "x".repeat(100)
            ),
            "2:19: listen.unix_socket_dir",
            "would have 115 bytes and the system allows 107",
        ),
        (
            format!("[listen]\nunix_socket_mode = \"0800\"\n{TLS}{rest}"),
            "2:20: listen.unix_socket_mode",
            "octal",
        ),
        (
            format!("[listen]\ntcp_user_timeout = 30000\n{TLS}{rest}"),
            "2:20: listen.tcp_user_timeout",
            "a number needs its unit here",
        ),
        (
            format!("[listen.tls]\ncertificate = \"s.crt\"\n{rest}"),
            "2:15: listen.tls.certificate",
            "certificate is of no use without private_key",
        ),
        (
            tls("mode = \"verify-full\""),
            "4:8: listen.tls.mode",
            "mode = \"verify-full\" needs client_ca in the listener's TLS section",
        ),
        (
            format!("[listen.tls]\nmode = \"disable\"\nclient_ca = \"a\"\n{rest}"),
            "3:13: listen.tls.client_ca",
            "mode = \"disable\" makes no use of client_ca",
        ),
    ] {
        check_one(&text, at, says);
    }
}

#[test]
fn authentication_that_contradicts_itself() {
    let auth = |tls: &str, auth: &str| format!("{TLS}{tls}\n[auth]\n{auth}\n{DATABASE}");
    for (text, at, says) in [
        (
            auth("", "method = \"md5\""),
            "6:10: auth.method",
            "nobody could log in with \"md5\"",
        ),
        (
            auth("", "method = \"cert\""),
            "6:10: auth.method",
            "needs client_ca",
        ),
        (
            auth("", "method = \"trust\""),
            "6:10: auth.method",
            "set allow_trust = true in [listen]",
        ),
        (
            auth("mode = \"allow\"", "method = \"password\""),
            "6:10: auth.method",
            "works inside TLS only",
        ),
        (
            auth("", "auth_file = \"u\"\nauth_query = \"select $1\""),
            "7:14: auth.auth_query",
            "set auth_user as well",
        ),
        (
            auth("", "auth_user = \"u\"\nauth_query = \"select 1\""),
            "7:14: auth.auth_query",
            "must use $1",
        ),
        (
            auth("", "auth_user = \"u\"\nauth_dbname = \"other\""),
            "7:15: auth.auth_dbname",
            "no [[database]] has this name",
        ),
        (
            auth("", "auth_file = \"u\"\nauth_password_file = \"p\""),
            "7:22: auth.auth_password_file",
            "whose password? Set auth_user",
        ),
        (
            auth("", "auth_user = \"u\"\nauth_password_env = \"A B\""),
            "7:21: auth.auth_password_env",
            "not the name of a variable",
        ),
        (
            auth(
                "mode = \"prefer\"",
                "auth_file = \"u\"\nchannel_binding = \"require\"",
            ),
            "7:19: auth.channel_binding",
            ALWAYS,
        ),
        (
            auth(
                "",
                "auth_file = \"u\"\n[[auth.map]]\ncertificate = \"CN=a\"\nuser = \"b\"",
            ),
            "8:15: auth.map.certificate",
            "method = \"cert\"",
        ),
        (
            auth(
                "client_ca = \"c\"",
                "method = \"cert\"\n[[auth.map]]\ncertificate = \"a\"\nuser = \"b\"",
            ),
            "8:15: auth.map.certificate",
            "not a name in a certificate",
        ),
        (
            auth(
                "",
                "auth_file = \"u\"\n[[user]]\nname = \"a\"\nmethod = \"trust\"",
            ),
            "9:10: user.method",
            "allow_trust",
        ),
    ] {
        check_one(&text, at, says);
    }
}

#[test]
fn databases_that_contradict_themselves() {
    let base = format!("{TLS}{AUTH}{DATABASE}");
    let tls = |more: &str| format!("{base}[database.tls]\n{more}\n");
    for (text, at, says) in [
        (
            format!("{base}port = [1, 2]\n"),
            "9:8: database.port",
            "2 ports for 1 hosts",
        ),
        (
            format!("{base}port = []\n"),
            "9:8: database.port",
            "an empty list says nothing",
        ),
        (
            format!("{base}password_env = \"X\"\n"),
            "9:16: database.password_env",
            "whose password? Set user",
        ),
        (
            format!("{base}user = \"u\"\npassword_file = \"p\"\npassword_env = \"X\"\n"),
            "11:16: database.password_env",
            "not from both",
        ),
        (
            format!("{TLS}{AUTH}[[database]]\nname = \"a\"\nhost = \"/tmp\"\n"),
            "8:8: database.host",
            "no TLS over a Unix socket",
        ),
        (
            format!("{TLS}{AUTH}[[database]]\nname = \"a\"\nhost = \"a:5432\"\n"),
            "8:8: database.host",
            "this is not a host",
        ),
        (
            format!("{TLS}{AUTH}[[database]]\nname = \"a\\u0000\"\nhost = \"b\"\n"),
            "7:8: database.name",
            "control characters",
        ),
        (
            tls("mode = \"pin\""),
            "10:8: database.tls.mode",
            "needs pin",
        ),
        (
            tls("mode = \"verify-ca\""),
            "10:8: database.tls.mode",
            "sign for anybody",
        ),
        (
            tls("mode = \"require\"\nca = \"c\""),
            "11:6: database.tls.ca",
            "mode = \"require\" makes no use of ca",
        ),
        (
            tls("private_key = \"k\""),
            "10:15: database.tls.private_key",
            "of no use without certificate",
        ),
        (
            tls("mode = \"prefer\"\nnegotiation = \"direct\""),
            "11:15: database.tls.negotiation",
            ALWAYS,
        ),
        (
            tls("mode = \"disable\"\nchannel_binding = \"require\""),
            "11:19: database.tls.channel_binding",
            ALWAYS,
        ),
    ] {
        check_one(&text, at, says);
    }
}

#[test]
fn misspelt_keys_get_the_nearest_right_one() {
    let base = format!("{TLS}{AUTH}{DATABASE}");
    for (section, key, suggestion) in [
        ("log", "levle", "did you mean level?"),
        ("log", "Format", "did you mean format?"),
        (
            "log",
            "core_dump",
            "did you mean core_dumps, under [process]?",
        ),
        ("log", "tcp_keepalive", "it belongs under [tcp]"),
        (
            "log",
            "client_tls_sslmode",
            "here it is called listen.tls.mode",
        ),
        ("log", "zzzzzzzz", "see `portcullis settings` for all"),
    ] {
        let text = format!("{base}[{section}]\n{key} = 1\n");
        check_one(&text, &format!("10:1: {section}.{key}"), suggestion);
    }
    for (section, suggestion) in [
        ("lgo", "did you mean [log]?"),
        ("users", "did you mean [[user]]?"),
        ("database.tsl", "did you mean [database.tls]?"),
        ("pgbouncer", "see `portcullis settings` for all"),
    ] {
        let errors = errors(&format!("{base}[{section}]\n"));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains("there is no such section"), "{errors:?}");
        assert!(errors[0].contains(suggestion), "{errors:?}");
    }
}

#[test]
fn errors_never_repeat_values() {
    let secret = "s3cr3t-value";
    for line in [
        format!("password = \"{secret}\""),
        format!("password_env = \"{secret} \""),
        format!("port = \"{secret}\""),
        format!("server_connect_timeout = \"{secret}\""),
        format!("host = \"{secret}:{secret}\""),
        format!("dbname = \"{secret}\\n\""),
        format!("dbname = \"{secret}\n\""),
        format!("dbname = {secret}"),
        format!("tls.mode = \"{secret}\""),
        format!("tls.pin = \"{secret}\""),
    ] {
        let errors = errors(&format!("{TLS}{AUTH}{DATABASE}{line}\n"));
        assert!(!errors.is_empty(), "{line}");
        let said = errors.join("\n");
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn a_mistake_does_not_hide_what_the_other_settings_name() {
    let text = format!("[listen]\nadress = 1\n{TLS}{AUTH}{DATABASE}");
    let invalid = Config::from_text(&text, "p.toml").unwrap_err();
    let named: Vec<_> = invalid.sources.iter().map(|it| &*it.place.key).collect();
    assert_eq!(
        named,
        [
            "listen.tls.certificate",
            "listen.tls.private_key",
            "auth.auth_file"
        ]
    );
}
