//! Revocation lists and stapled responses, as an authority makes them: in date and not, for some of a
//! chain and for all of it. They are made by the `openssl` program.

use super::*;
use crate::context::Warning;
use crate::ffi;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;

/// A root, an authority below it, and what that one has issued; files `root`, `middle`, `leaf`.
struct Office(TempDir);

const EXTENSIONS: &str = "[authority]\nbasicConstraints = critical,CA:TRUE\n\
    keyUsage = critical,keyCertSign,cRLSign\n\
    [leaf]\nsubjectAltName = DNS:db.example\nextendedKeyUsage = serverAuth,clientAuth\n\
    [ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\ndefault_md = sha256\n";

/// A list's validity, as days from now.
const IN_DATE: (i64, i64) = (-1, 10);

impl Office {
    fn new() -> Office {
        let office = Office(TempDir::new().unwrap());
        office.put("cnf", EXTENSIONS);
        office.put("index.txt", "");
        office.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key \
             -out root.crt -subj /CN=root -days 90 -addext keyUsage=critical,keyCertSign,cRLSign",
        );
        office.certify("middle", "root", "authority");
        office.certify("leaf", "middle", "leaf");
        office
    }

    fn certify(&self, name: &str, by: &str, section: &str) {
        self.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key \
             -out {name}.csr -subj /CN={name}"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {by}.crt -CAkey {by}.key -CAcreateserial -days 60 \
             -extfile cnf -extensions {section} -out {name}.crt"
        ));
    }

    /// Certificates issued before this are forgotten: one is revoked, or known as good, or neither.
    fn know(&self, letter: char, certificate: &str) {
        let serial = self.openssl(&format!("x509 -in {certificate}.crt -noout -serial"));
        let serial = serial.trim().trim_start_matches("serial=");
        let revoked = if letter == 'R' { "200101000000Z" } else { "" };
        let line = format!("{letter}\t491231235959Z\t{revoked}\t{serial}\tunknown\t/CN=x\n");
        self.put("index.txt", &line);
    }

    /// A list of what `by` has revoked.
    fn list(&self, by: &str, (from, until): (i64, i64)) -> Vec<u8> {
        let time = |days: i64| {
            let at = openssl::asn1::Asn1Time::from_unix(now_unix_s() + days * DAY_S).unwrap();
            at.to_string()
        };
        // "Nov 25 19:00:00 2026 GMT" to 20261125190000Z.
        let stamp = |days| {
            let text = time(days);
            let parts: Vec<&str> = text.split_whitespace().collect();
            let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
            let month = months.find(parts[0]).unwrap() / 3 + 1;
            let (day, clock): (u32, _) = (parts[1].parse().unwrap(), parts[2].replace(':', ""));
            format!("{}{month:02}{day:02}{clock}Z", parts[3])
        };
        self.openssl(&format!(
            "ca -config cnf -gencrl -cert {by}.crt -keyfile {by}.key -crl_lastupdate {} \
             -crl_nextupdate {} -out {by}.crl",
            stamp(from),
            stamp(until)
        ));
        std::fs::read(self.path().join(format!("{by}.crl"))).unwrap()
    }

    /// What the responder of `middle` says about `leaf`, good for three days.
    fn response(&self) -> Vec<u8> {
        self.openssl("ocsp -issuer middle.crt -cert leaf.crt -no_nonce -reqout request");
        self.openssl(
            "ocsp -index index.txt -CA middle.crt -rsigner middle.crt -rkey middle.key \
             -reqin request -respout response -ndays 3",
        );
        std::fs::read(self.path().join("response")).unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }

    /// The leaf with its chain, as a file of both would say it.
    fn identity(&self) -> Identity {
        let chain = [self.read("leaf.crt"), self.read("middle.crt")].concat();
        let key = buf::Secret::from_vec(self.read("leaf.key"));
        Identity::new(Source::Pem(chain), KeySource::Pem(key))
    }

    fn put(&self, name: &str, content: &str) {
        std::fs::write(self.path().join(name), content).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    #[track_caller]
    fn openssl(&self, arguments: &str) -> String {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace());
        command.current_dir(self.path()).stdin(Stdio::null());
        let output = command.output().expect("the program openssl");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {err}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// What our side says of the other's chain when it has these lists: as a listener, and as a client.
struct Judged {
    listener: Result<(), TlsFault>,
    client: Result<(), TlsFault>,
    warnings: Vec<String>,
}

fn judge(office: &Office, lists: &[Vec<u8>]) -> Judged {
    let lists = Some(Source::Pem(lists.concat()));
    let root = Source::Pem(office.read("root.crt"));
    let settings = ListenerSettings {
        clients: ClientCertificates::Required(root.clone()),
        client_crl: lists.clone(),
        ..ListenerSettings::new(office.identity(), clock())
    };
    let careful = ListenerContext::build(&settings, now_unix_s()).unwrap();
    let settings = |mode, crl, identity| ServerSettings {
        mode,
        crl,
        identity,
        profile: Profile::default(),
    };
    let card = settings(ServerMode::Require, None, Some(office.identity()));
    let card = ServerContext::build(&card, now_unix_s()).unwrap();
    let listener = Pair::new(&careful, &card, "db.example").handshake(usize::MAX);

    let plain = ListenerSettings::new(office.identity(), clock());
    let plain = ListenerContext::build(&plain, now_unix_s()).unwrap();
    let full = ServerMode::VerifyFull(Roots::Given(vec![root]));
    let client = ServerContext::build(&settings(full, lists, None), now_unix_s()).unwrap();
    let outcome = Pair::new(&plain, &client, "db.example").handshake(usize::MAX);
    let warnings = careful.warnings().iter().map(Warning::to_string);
    Judged {
        listener: listener.server,
        client: outcome.client,
        warnings: warnings.collect(),
    }
}

/// X509_V_ERR_* (openssl/x509_vfy.h)
const NO_LIST: i32 = 3;
const NOT_YET_VALID: i32 = 11;
const EXPIRED: i32 = 12;
const REVOKED: i32 = 23;

#[test]
fn every_certificate_of_a_chain_needs_a_list_in_date() {
    let office = Office::new();
    let root = office.list("root", IN_DATE);
    let middle = office.list("middle", IN_DATE);
    office.know('R', "leaf");
    let revoking = office.list("middle", IN_DATE);
    office.know('R', "middle");
    let root_revoking = office.list("root", IN_DATE);
    office.know('V', "leaf");
    let expired = office.list("middle", (-10, -2));
    let early = office.list("middle", (2, 9));
    let root_expired = office.list("root", (-10, -2));
    let root_early = office.list("root", (2, 9));
    // What fails, at which depth of the chain, and what is said about it at the start.
    let table = [
        ("all", vec![&root, &middle], None, None),
        (
            "leaf revoked",
            vec![&root, &revoking],
            Some((REVOKED, 0)),
            None,
        ),
        (
            "middle revoked",
            vec![&root_revoking, &middle],
            Some((REVOKED, 1)),
            None,
        ),
        ("none of middle", vec![&root], Some((NO_LIST, 0)), None),
        (
            "none of root",
            vec![&middle],
            Some((NO_LIST, 1)),
            Some("no revocation list of the authority CN=root"),
        ),
        (
            "expired",
            vec![&root, &expired],
            Some((EXPIRED, 0)),
            Some("expired 2 days ago"),
        ),
        (
            "root's expired",
            vec![&root_expired, &middle],
            Some((EXPIRED, 1)),
            Some("expired 2 days ago"),
        ),
        (
            "not yet valid",
            vec![&root, &early],
            Some((NOT_YET_VALID, 0)),
            Some("is not valid before"),
        ),
        (
            "root's not yet valid",
            vec![&root_early, &middle],
            Some((NOT_YET_VALID, 1)),
            Some("is not valid before"),
        ),
    ];
    for (what, lists, refusal, warning) in table {
        let lists: Vec<Vec<u8>> = lists.into_iter().cloned().collect();
        let judged = judge(&office, &lists);
        for outcome in [judged.listener, judged.client] {
            let seen = match outcome {
                Ok(()) => None,
                Err(TlsFault::Verify(fault)) => Some((fault.code, fault.depth)),
                Err(other) => panic!("{what}: {other}"),
            };
            assert_eq!(seen, refusal, "{what}");
        }
        let told = judged.warnings;
        assert_eq!(
            told.len(),
            usize::from(warning.is_some()),
            "{what}: {told:?}"
        );
        assert!(
            told.iter().all(|it| it.contains(warning.unwrap())),
            "{what}: {told:?}"
        );
    }
}

#[test]
fn a_file_of_lists_must_hold_lists() {
    let office = Office::new();
    for (pem, said) in [
        (office.read("root.crt"), "holds no"),
        (
            b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n".to_vec(),
            "not usable",
        ),
    ] {
        let settings = ListenerSettings {
            clients: ClientCertificates::Required(Source::Pem(office.read("root.crt"))),
            client_crl: Some(Source::Pem(pem)),
            ..ListenerSettings::new(office.identity(), clock())
        };
        let fault = ListenerContext::build(&settings, now_unix_s()).err();
        let fault = fault.expect("a fault").to_string();
        assert!(fault.contains(said), "{fault}");
    }
}

/// What a client that asks is handed.
fn stapled(listener: &ListenerContext) -> Option<Vec<u8>> {
    let client = foreign(|_| {});
    let mut pair = Pair::new(listener, &client, "db.example");
    assert!(ffi::contexts::ask_for_staple(pair.client.engine.ssl()));
    let outcome = pair.handshake(usize::MAX);
    assert_eq!((outcome.client, outcome.server), (Ok(()), Ok(())));
    pair.client.engine.ssl().ocsp_status().map(<[u8]>::to_vec)
}

#[test]
fn a_staple_is_handed_out_while_it_is_fresh_and_no_longer() {
    let office = Office::new();
    office.know('V', "leaf");
    let response = office.response();
    let time = Arc::new(AtomicI64::new(now_unix_s()));
    let told = Arc::clone(&time);
    let mut identity = office.identity();
    identity.staple = Some(Source::Pem(response.clone()));
    let settings =
        ListenerSettings::new(identity, Clock::new(move || told.load(Ordering::Relaxed)));
    let listener = ListenerContext::build(&settings, now_unix_s()).unwrap();
    assert!(listener.warnings().is_empty());
    assert_eq!(stapled(&listener), Some(response));
    let kinds = listener.certificates().iter().map(|it| it.kind);
    assert!(kinds.into_iter().any(|it| it == crate::Expires::Staple));
    // It goes stale while the listener runs: clients still come in, without it.
    time.fetch_add(3 * DAY_S + 1, Ordering::Relaxed);
    assert_eq!(stapled(&listener), None);
    // And it is not taken up by a listener that starts then, or long before.
    for (days, said) in [(4, "stale"), (-1, "its time has not come")] {
        let listener = ListenerContext::build(&settings, now_unix_s() + days * DAY_S).unwrap();
        let told: Vec<String> = listener.warnings().iter().map(Warning::to_string).collect();
        assert!(told.iter().any(|it| it.contains(said)), "{told:?}");
        assert_eq!(stapled(&listener), None);
    }
}

#[test]
fn a_staple_that_clients_would_refuse_is_not_handed_out() {
    let office = Office::new();
    let stranger = Office::new();
    stranger.know('V', "leaf");
    let foreign = stranger.response();
    office.know('R', "leaf");
    let revoked = office.response();
    office.know('V', "middle");
    let unknown = office.response();
    for (response, said) in [
        (revoked, "the certificate is revoked"),
        (unknown, "does not know the certificate"),
        (foreign, "not signed by, or for, the issuer"),
        (b"nonsense".to_vec(), "no OCSP response in DER form"),
        // OCSPResponse { tryLater }
        (vec![0x30, 3, 10, 1, 3], "the responder's refusal to answer"),
    ] {
        let mut identity = office.identity();
        identity.staple = Some(Source::Pem(response));
        let settings = ListenerSettings::new(identity, clock());
        let listener = ListenerContext::build(&settings, now_unix_s()).unwrap();
        let told: Vec<String> = listener.warnings().iter().map(Warning::to_string).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(said), "{told:?}");
        assert_eq!(stapled(&listener), None, "{said}");
    }
}
