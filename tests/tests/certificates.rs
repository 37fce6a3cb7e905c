//! Certificates of both sides through the real proxy: names, key types, encrypted keys, revocation,
//! staples, patterns, and listeners with a policy of their own.

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::drivers::Endpoint;
use e2e::observed::{METRICS, address, page, page_over};
use e2e::{Stage, StagePlan};
use testkit::{Authority, Certificate, Cluster, Identity, KeyKind, Lifetime};

fn role(name: &str) -> Endpoint {
    Endpoint::role(Cluster::shared(), name)
}

fn before(direct: &Endpoint) -> StagePlan {
    Stage::before(Cluster::shared()).user(direct)
}

fn text(pem: &[u8]) -> String {
    String::from_utf8(pem.to_vec()).expect("PEM")
}

#[track_caller]
fn openssl(directory: &Path, arguments: &str) -> String {
    let output = Command::new("openssl")
        .current_dir(directory)
        .args(arguments.split(' '))
        .stdin(std::process::Stdio::null())
        .output()
        .expect("openssl");
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "openssl {arguments}: {said}");
    said
}

fn identity(plan: StagePlan, name: &str, certificate: &Certificate) -> StagePlan {
    plan.file(&format!("{name}.crt"), &text(&certificate.pem()))
        .file(&format!("{name}.key"), &text(&certificate.key_pem()))
}

#[test]
fn names_and_key_types_choose_the_certificate_and_binding_holds_for_each() {
    let direct = role("by_sni");
    let authority = Authority::new("authority of names");
    let issue = |names: &[&str], kind| {
        authority.issue_with(&Identity::server(names), kind, Lifetime::Current)
    };
    let ec = issue(&["localhost", "db.example"], KeyKind::EcdsaP256);
    let rsa = issue(&["localhost", "db.example"], KeyKind::Rsa2048);
    let named = issue(&["*.wild.example"], KeyKind::Rsa2048);
    let cipher = openssl::symm::Cipher::aes_256_cbc();
    let locked = named
        .key
        .private_key_to_pem_pkcs8_passphrase(cipher, b"open sesame");
    let plan = identity(before(&direct).certificate(&authority, &ec), "rsa", &rsa)
        .file("named.crt", &text(&named.pem()))
        .file("named.key", &text(&locked.expect("an encrypted key")))
        .file("passphrase", "open sesame\n")
        .set("listen.tls", "unknown_name", "'refuse'")
        .more(
            "[[listen.tls.identity]]\ncertificate = 'rsa.crt'\nprivate_key = 'rsa.key'\n\
             [[listen.tls.identity]]\nnames = ['*.wild.example']\ncertificate = 'named.crt'\n\
             private_key = 'named.key'\nprivate_key_passphrase_file = 'passphrase'\n",
        );
    let stage = plan.start();
    let directory = tempfile::TempDir::new().expect("a directory");
    let only = |algorithms: &str| {
        let path = directory.path().join(algorithms.replace(':', "-"));
        let text = format!(
            "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n\
             SignatureAlgorithms = {algorithms}\n"
        );
        fs::write(&path, text).expect("a file");
        path
    };
    let login = |host: &str, algorithms: &str| {
        stage
            .endpoint(&direct)
            .login()
            .with("PGHOST", host)
            .with("PGHOSTADDR", "127.0.0.1")
            .with("PGSSLMODE", "verify-full")
            .with("PGCHANNELBINDING", "require")
            .with("OPENSSL_CONF", only(algorithms))
    };
    let (ecdsa, pss) = (
        "ecdsa_secp256r1_sha256",
        "rsa_pss_rsae_sha256:ecdsa_secp384r1_sha384",
    );
    assert_eq!(login("db.example", ecdsa).says(), "by_sni");
    assert_eq!(login("a.wild.example", pss).says(), "by_sni");
    login("unknown.example", ecdsa).complains("unrecognized name");
    // The certificate's own signature is ECDSA's; whether libssl offers its RSA key to a client
    // without it is libssl's business, so both are offered, RSA first.
    let both = "rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256";
    assert_eq!(login("db.example", both).says(), "by_sni");
}

#[test]
fn a_command_gives_the_passphrase_and_a_wrong_one_is_named() {
    let direct = role("by_command");
    let authority = Authority::new("authority of an encrypted key");
    let leaf = authority.issue(&Identity::localhost());
    let cipher = openssl::symm::Cipher::aes_256_cbc();
    let locked = leaf
        .key
        .private_key_to_pem_pkcs8_passphrase(cipher, b"from a program");
    let locked = text(&locked.expect("an encrypted key"));
    let plan = |word: &str| {
        before(&direct)
            .certificate(&authority, &leaf)
            .file("locked.key", &locked)
            .set("listen.tls", "private_key", "'locked.key'")
            .set("listen.tls", "private_key_passphrase_command", word)
    };
    let stage = plan("['/bin/echo', 'from a program']").start();
    assert_eq!(stage.endpoint(&direct).login().says(), "by_command");
    for (word, why) in [
        (
            "['/bin/echo', 'another word']",
            "passphrase does not decrypt",
        ),
        ("['/bin/false']", "ended with status 1"),
        ("['/nonexistent']", "cannot be started"),
    ] {
        let mut proxy = plan(word).launch();
        assert!(!proxy.await_end(testkit::wait::LONG).success());
        let log = proxy.log();
        assert!(log.contains(why), "{log}");
        assert!(!log.contains("another word"), "{log}");
    }
}

/// The files of an authority that `openssl ca` and `openssl ocsp` work with.
fn office(
    authority: &Authority,
    revoked: Option<&Certificate>,
    valid: Option<&Certificate>,
) -> tempfile::TempDir {
    let directory = tempfile::TempDir::new().expect("a directory");
    let serial = |it: &Certificate| {
        let serial = it
            .certificate
            .serial_number()
            .to_bn()
            .expect("a serial number");
        serial.to_hex_str().expect("hexadecimal digits").to_string()
    };
    let mut index = String::new();
    if let Some(it) = revoked {
        index += &format!(
            "R\t491231235959Z\t200101000000Z\t{}\tunknown\t/CN=x\n",
            serial(it)
        );
    }
    if let Some(it) = valid {
        index += &format!("V\t491231235959Z\t\t{}\tunknown\t/CN=y\n", serial(it));
    }
    for (name, content) in [
        ("index.txt", index.as_bytes()),
        ("ca.crt", authority.pem()),
        ("ca.key", authority.key_pem()),
        (
            "ca.cnf",
            b"[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\ndefault_md = sha256\n",
        ),
    ] {
        fs::write(directory.path().join(name), content).expect("a file");
    }
    directory
}

fn revocation_list(office: &Path, seconds: u32) -> String {
    let made = format!(
        "ca -config ca.cnf -gencrl -cert ca.crt -keyfile ca.key -crlsec {seconds} -out ca.crl"
    );
    openssl(office, &made);
    fs::read_to_string(office.join("ca.crl")).expect("a revocation list")
}

#[test]
fn revoked_certificates_of_clients_are_refused_and_a_missing_list_refuses_all() {
    let direct = role("with_crl");
    let authority = Authority::new("authority of clients");
    let (good, bad) = (
        authority.issue(&Identity::client("with_crl")),
        authority.issue(&Identity::client("with_crl")),
    );
    let office = office(&authority, Some(&bad), None);
    let files = |it: &Certificate, name: &str| it.write(office.path(), name);
    let (good, bad) = (files(&good, "good"), files(&bad, "bad"));
    let plan = |list: &str| {
        before(&direct)
            .file("client-ca.crt", &text(authority.pem()))
            .file("client-ca.crl", list)
            .set("listen.tls", "mode", "'verify-full'")
            .set("listen.tls", "client_ca", "'client-ca.crt'")
            .set("listen.tls", "client_crl", "'client-ca.crl'")
    };
    let login = |stage: &Stage, files: &testkit::certificates::Files| {
        stage
            .endpoint(&direct)
            .login()
            .with("PGSSLCERT", &files.certificate)
            .with("PGSSLKEY", &files.private_key)
    };
    let stage = plan(&revocation_list(office.path(), 864_000)).start();
    assert_eq!(login(&stage, &good).says(), "with_crl");
    login(&stage, &bad).complains("revoked");
    // A list of another authority leaves this one without any.
    let other = Authority::new("another authority");
    let others = self::office(&other, None, None);
    let stage = plan(&revocation_list(others.path(), 864_000)).start();
    stage
        .proxy
        .await_log("has no revocation list of the authority");
    login(&stage, &good).complains("");
}

/// The list was good when the proxy started; nobody has to reload or restart it to notice its end.
#[test]
fn a_list_that_expires_while_running_is_told_and_shown() {
    let direct = role("with_short_crl");
    let authority = Authority::new("authority with short lists");
    let card = authority.issue(&Identity::client("with_short_crl"));
    let office = office(&authority, None, None);
    let files = card.write(office.path(), "card");
    let stage = before(&direct)
        .file("client-ca.crt", &text(authority.pem()))
        .file("client-ca.crl", &revocation_list(office.path(), 4))
        .set("listen.tls", "mode", "'verify-full'")
        .set("listen.tls", "client_ca", "'client-ca.crt'")
        .set("listen.tls", "client_crl", "'client-ca.crl'")
        .more(METRICS)
        .start();
    stage.proxy.await_log("a revocation list has expired");
    let page = page(&stage);
    let shown = page.lines().any(|line| {
        line.starts_with("portcullis_certificate_days_left{")
            && line.contains("client-ca.crl\",kind=\"revocation_list\"")
            && line.ends_with(" -1")
    });
    assert!(shown, "{page}");
    let login = stage.endpoint(&direct).login();
    login
        .with("PGSSLCERT", &files.certificate)
        .with("PGSSLKEY", &files.private_key)
        .complains("");
    stage.proxy.await_log("CRL has expired");
}

/// Each file of both legs and of the metrics listener has a line, whatever is in it.
#[test]
fn the_end_of_every_certificate_is_shown_and_told() {
    let direct = role("all_ends");
    let ours = Authority::new("authority of everything");
    let issue = |it: &Identity| ours.issue(it);
    let (server, card) = (issue(&Identity::localhost()), issue(&Identity::client("x")));
    let office = office(&ours, None, None);
    let list = revocation_list(office.path(), 864_000);
    let ca = Cluster::shared().ca_file().display().to_string();
    let plan = identity(before(&direct), "more", &server);
    let plan = identity(identity(plan, "card", &card), "web", &server);
    let stage = plan
        .file("client-ca.crt", &text(ours.pem()))
        .file("client-ca.crl", &list)
        .set("listen.tls", "client_ca", "'client-ca.crt'")
        .set("listen.tls", "client_crl", "'client-ca.crl'")
        .set("database.tls", "certificate", "'card.crt'")
        .set("database.tls", "private_key", "'card.key'")
        .more(
            "[[listen.tls.identity]]\nnames = ['localhost']\ncertificate = 'more.crt'\n\
             private_key = 'more.key'\n\
             [metrics]\naddress = '127.0.0.1:0'\ncertificate = 'web.crt'\n\
             private_key = 'web.key'\n",
        )
        .start();
    let tls = testkit::ClientTls::verified(&ours, "localhost");
    let peer = testkit::Peer::tcp(address(&stage)).handshake(&tls);
    let page = page_over(peer);
    for (file, kind) in [
        ("proxy.crt", "certificate"),
        ("more.crt", "certificate"),
        ("client-ca.crt", "authority"),
        ("client-ca.crl", "revocation_list"),
        ("card.crt", "certificate"),
        (ca.as_str(), "authority"),
        ("web.crt", "certificate"),
    ] {
        let wanted = format!("{file}\",kind=\"{kind}\"}} ");
        let lines = page
            .lines()
            .filter(|line| line.starts_with("portcullis_certificate_days_left{"));
        assert_eq!(
            lines.filter(|line| line.contains(&wanted)).count(),
            1,
            "{file} {kind}: {page}"
        );
        // The tests' certificates live for a day, the list for ten.
        if kind != "revocation_list" {
            let told = |line: &str| line.contains("about to expire") && line.contains(file);
            let log = stage.proxy.log();
            assert!(log.lines().any(told), "{file}: {log}");
        }
    }
}

#[test]
fn a_good_response_is_stapled_and_a_wrong_one_is_not() {
    let direct = role("stapled");
    let authority = Authority::new("authority that responds");
    let leaf = authority.issue(&Identity::localhost());
    let chain = text(&[leaf.pem(), authority.pem().to_vec()].concat());
    for (revoked, valid, days, why) in [
        (None, Some(&leaf), 3, None),
        (Some(&leaf), None, 3, Some("revoked")),
        (None, None, 3, Some("does not know the certificate")),
    ] {
        let office = office(&authority, revoked, valid);
        fs::write(office.path().join("leaf.crt"), leaf.pem()).expect("a file");
        openssl(
            office.path(),
            "ocsp -issuer ca.crt -cert leaf.crt -no_nonce -reqout request",
        );
        let answer = format!(
            "ocsp -index index.txt -CA ca.crt -rsigner ca.crt -rkey ca.key -reqin request \
             -respout response -ndays {days}"
        );
        openssl(office.path(), &answer);
        let response = office.path().join("response").display().to_string();
        let stage = before(&direct)
            .certificate(&authority, &leaf)
            .file("chain.crt", &chain)
            .set("listen.tls", "certificate", "'chain.crt'")
            .set("listen.tls", "staple", &format!("'{response}'"))
            .start();
        let met = format!(
            "s_client -connect {} -starttls postgres -status -CAfile ca.crt",
            stage.proxy.address()
        );
        let said = openssl(office.path(), &met);
        match why {
            None => assert!(said.contains("Cert Status: good"), "{said}"),
            Some(why) => {
                assert!(said.contains("OCSP response: no response sent"), "{said}");
                stage.proxy.await_log(why);
            }
        }
    }
}

#[test]
fn patterns_make_roles_of_names_in_certificates() {
    let direct = role("by_pattern");
    let authority = Authority::new("authority of workloads");
    let directory = tempfile::TempDir::new().expect("a directory");
    let stage = before(&direct)
        .file("client-ca.crt", &text(authority.pem()))
        .set("listen.tls", "client_ca", "'client-ca.crt'")
        .set("auth", "method", "'cert'")
        .more(
            "[[auth.map]]\ncertificate = 'URI:spiffe://corp/ns/*/sa/{role}'\nuser = 'by_{role}'\n",
        )
        .start();
    for (uri, admitted) in [
        ("spiffe://corp/ns/prod/sa/pattern", true),
        ("spiffe://corp/ns/prod/sa/other", false),
        ("spiffe://corp/ns/a/b/sa/pattern", false),
        ("spiffe://corp/ns/prod/sa/pattern/x", false),
        ("spiffe://evil/ns/prod/sa/pattern", false),
    ] {
        let card = authority.issue_client("x", &[&format!("URI:{uri}")]);
        let files = card.write(directory.path(), "card");
        let login = stage
            .endpoint(&direct)
            .login()
            .with("PGSSLCERT", &files.certificate)
            .with("PGSSLKEY", &files.private_key);
        match admitted {
            true => assert_eq!(login.says(), "by_pattern"),
            false => drop(login.complains("certificate authentication failed")),
        }
    }
}

/// The second listener speaks TLS 1.3 alone and asks for nothing but a certificate.
#[test]
fn a_further_listener_has_a_policy_of_its_own() {
    let direct = role("further");
    let authority = Authority::new("authority of further clients");
    let directory = tempfile::TempDir::new().expect("a directory");
    let card = authority.issue(&Identity::client("further"));
    let files = card.write(directory.path(), "card");
    // Held until the end, so that no other proxy gets it.
    let reserved = testkit::ports::reserve();
    let (address, port) = (reserved.address(), reserved.number.to_string());
    let stage = before(&direct)
        .file("client-ca.crt", &text(authority.pem()))
        .more(&format!(
            "[[listener]]\naddress = '{address}'\nmethod = 'cert'\n[listener.tls]\n\
             profile = 'modern'\nmode = 'verify-full'\ncertificate = 'proxy.crt'\n\
             private_key = 'proxy.key'\nclient_ca = 'client-ca.crt'\n"
        ))
        .start();
    let first = stage.endpoint(&direct);
    let old = |it: e2e::Program| it.with("PGSSLMAXPROTOCOLVERSION", "TLSv1.2");
    assert_eq!(old(first.login()).says(), "further");
    let second = || {
        let login = first.login().with("PGPORT", &port);
        login
            .with("PGSSLCERT", &files.certificate)
            .with("PGSSLKEY", &files.private_key)
            .with("PGPASSWORD", "wrong")
    };
    assert_eq!(second().says(), "further");
    old(second()).complains("SSL error");
}

/// The database's authority is a stranger to its server; the host's own section names the right one.
#[test]
fn a_host_has_a_policy_of_its_own() {
    let direct = role("by_host");
    let stranger = Authority::new("a stranger");
    let plan = || {
        before(&direct)
            .file("stranger.crt", &text(stranger.pem()))
            .set("database.tls", "ca", "'stranger.crt'")
    };
    let ca = Cluster::shared().ca_file().display().to_string();
    let own = format!("[[database.host_tls]]\nhost = 'localhost'\nca = '{ca}'\n");
    let stage = plan().more(&own).start();
    assert_eq!(stage.endpoint(&direct).login().says(), "by_host");
    let stage = plan().start();
    stage.endpoint(&direct).login().complains("");
}
