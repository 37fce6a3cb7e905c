//! Servers that lie: each is found out before anything depends on it.

use crate::pair::{password, tls};
use auth::*;

const OK: &[u8] = b"\0\0\0\0";
const CLEAR: &[u8] = b"\0\0\0\x03";
const MD5: &[u8] = b"\0\0\0\x05salt";
const SASL: &[u8] = b"\0\0\0\x0aSCRAM-SHA-256\0\0";
const SASL_BOTH: &[u8] = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";

/// Runs the requests, with derivations answered; gives the end, or `None` while more is awaited.
fn run(
    leg: &LegFacts,
    rules: AnswerRules,
    bodies: &[&[u8]],
) -> Option<Result<Acceptance, AuthFault>> {
    let answer = Answer::start(ServerLogin {
        user: &ServerUser::configured("alice"),
        credential: password("pencil"),
        leg,
        rules: &rules,
        nonce: [0; 18],
    });
    let mut answer = match answer {
        Ok(answer) => answer,
        Err(fault) => return Some(Err(fault)),
    };
    for body in bodies {
        let mut step = answer.on_request(body);
        if let AnswerStep::Derive(question, next) = step {
            step = next.on_derived(scram::derive(&question));
        }
        answer = match step {
            AnswerStep::Send(_, next) | AnswerStep::Expect(next) => next,
            AnswerStep::Done(accepted) => return Some(Ok(accepted.how())),
            AnswerStep::Fault(fault) => return Some(Err(fault)),
            AnswerStep::Derive(..) => panic!("keys were given already"),
        };
    }
    None
}

fn continued(data: &str) -> Vec<u8> {
    [b"\0\0\0\x0b", data.as_bytes()].concat()
}

#[test]
fn requests_are_exact_and_in_order() {
    use AuthFault::*;
    let first = continued("r=AAAAAAAAAAAAAAAAAAAAAAAAx,s=c2FsdA==,i=1");
    let wrong = "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let last = [b"\0\0\0\x0c", wrong.as_bytes()].concat();
    let big = [0; 1997];
    let oversize = Oversize {
        len: 1997,
        limit: 1996,
    };
    let table: [(&[&[u8]], AuthFault); 27] = [
        (&[b""], Malformed),
        (&[b"\0\0\0"], Malformed),
        (&[b"\0\0\0\0\0"], Malformed),
        (&[b"\0\0\0\x03\0"], Malformed),
        (&[b"\0\0\0\x05sal"], Malformed),
        (&[b"\0\0\0\x05salty"], Malformed),
        (&[b"\0\0\0\x0a"], Malformed),
        (&[b"\0\0\0\x0aSCRAM-SHA-256\0"], Malformed),
        (&[b"\0\0\0\x0a\0\0"], Malformed),
        (&[b"\0\0\0\x0a\0"], NoMechanism),
        (&[b"\0\0\0\x0aOAUTHBEARER\0\0"], NoMechanism),
        (&[b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0"], NoMechanism),
        (&[&big], oversize),
        (&[b"\0\0\0\x02"], UnsupportedMethod { code: 2 }),
        (&[b"\0\0\0\x07"], UnsupportedMethod { code: 7 }),
        (&[b"\0\0\0\x09"], UnsupportedMethod { code: 9 }),
        (&[b"\xff\xff\xff\xff"], UnsupportedMethod { code: -1 }),
        (&[b"\0\0\0\x0bx"], UnexpectedRequest { code: 11 }),
        (&[b"\0\0\0\x0cx"], UnexpectedRequest { code: 12 }),
        (&[MD5, MD5], UnexpectedRequest { code: 5 }),
        (&[MD5, CLEAR], UnexpectedRequest { code: 3 }),
        (&[SASL, CLEAR], UnexpectedRequest { code: 3 }),
        (&[SASL, &last], UnexpectedRequest { code: 12 }),
        (&[SASL, OK], OkBeforeProof),
        (&[SASL, &first, OK], OkBeforeProof),
        (&[SASL, &first, &first], UnexpectedRequest { code: 11 }),
        (&[SASL, &first, &last], ServerSignature),
    ];
    for (bodies, fault) in table {
        let end = run(&tls(None), AnswerRules::default(), bodies);
        assert_eq!(end, Some(Err(fault)), "{bodies:?}");
    }
}

#[test]
fn server_first_message_is_exact_and_bounded() {
    use AuthFault::*;
    let ours = "AAAAAAAAAAAAAAAAAAAAAAAA";
    let long_salt = "c2Fs".repeat(100);
    let table = [
        (String::new(), Malformed),
        ("\0".to_owned(), Malformed),
        (format!("r={ours}x"), Malformed),
        (format!("r={ours}x,s=c2FsdA=="), Malformed),
        (format!("r={ours}x,i=1,s=c2FsdA=="), Malformed),
        (format!("m=x,r={ours}x,s=c2FsdA==,i=1"), Malformed),
        (format!("r={ours}x,s=c2FsdA==,i=1,x=y"), Malformed),
        (format!("r={ours}x,s=c2FsdA==,i=1,"), Malformed),
        (format!("r={ours}x,s=c2FsdA,i=1"), Malformed),
        (format!("r={ours} x,s=c2FsdA==,i=1"), Malformed),
        (format!("r={ours},s=c2FsdA==,i=1"), Nonce),
        ("r=x,s=c2FsdA==,i=1".to_owned(), Nonce),
        (format!("r=B{},s=c2FsdA==,i=1", &ours[1..]), Nonce),
        (format!("r=x{ours},s=c2FsdA==,i=1"), Nonce),
        (format!("r={ours}x,s=,i=1"), Salt),
        (format!("r={ours}x,s={long_salt},i=1"), Salt),
        (format!("r={ours}x,s=c2FsdA==,i=0"), Iterations),
        (format!("r={ours}x,s=c2FsdA==,i=-1"), Iterations),
        (format!("r={ours}x,s=c2FsdA==,i=+1"), Iterations),
        (format!("r={ours}x,s=c2FsdA==,i="), Iterations),
        (format!("r={ours}x,s=c2FsdA==,i=1000001"), Iterations),
        (format!("r={ours}x,s=c2FsdA==,i=2147483647"), Iterations),
        (
            format!("r={ours}x,s=c2FsdA==,i=18446744073709551617"),
            Iterations,
        ),
    ];
    for (data, fault) in table {
        let end = run(
            &tls(None),
            AnswerRules::default(),
            &[SASL, &continued(&data)],
        );
        assert_eq!(end, Some(Err(fault)), "{data}");
    }
}

#[test]
fn server_final_message_is_exact() {
    use AuthFault::*;
    let first = continued("r=AAAAAAAAAAAAAAAAAAAAAAAAx,s=c2FsdA==,i=1");
    let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let table = [
        (String::new(), Malformed),
        ("v=".to_owned(), Malformed),
        (format!("v={}", &zero[..40]), Malformed),
        (format!("v={zero},x=y"), Malformed),
        (format!("x={zero}"), Malformed),
        ("e=other-error".to_owned(), ServerError),
        (format!("v={zero}"), ServerSignature),
    ];
    for (data, fault) in table {
        let last = [b"\0\0\0\x0c", data.as_bytes()].concat();
        let end = run(&tls(None), AnswerRules::default(), &[SASL, &first, &last]);
        assert_eq!(end, Some(Err(fault)), "{data}");
    }
}

#[test]
fn methods_are_allowed_by_leg_and_setting() {
    use AuthFault::*;
    let clear = LegFacts::default();
    let unverified = LegFacts {
        verified: false,
        ..tls(Some(1))
    };
    let verified = tls(Some(1));
    let default = AnswerRules::default();
    let allow = AnswerRules {
        clear_password: ClearPassword::InsideVerifiedTls,
        ..default
    };
    let md5 = |md5| AnswerRules { md5, ..default };
    let auth = |require_auth| AnswerRules {
        require_auth,
        ..allow
    };
    let require = AnswerRules {
        binding: ChannelBinding::Require,
        ..allow
    };
    let done = |how| Some(Ok(how));
    let fault = |fault| Some(Err(fault));
    let table: [(&LegFacts, AnswerRules, &[&[u8]], _); 25] = [
        (&verified, default, &[OK], done(Acceptance::Unasked)),
        (&verified, auth(RequireAuth::Proof), &[OK], fault(OkUnasked)),
        (&verified, auth(RequireAuth::Scram), &[OK], fault(OkUnasked)),
        (&verified, require, &[OK], fault(BindingNotOffered)),
        (&verified, default, &[CLEAR], fault(ClearPasswordRefused)),
        (&unverified, allow, &[CLEAR], fault(ClearPasswordRefused)),
        (&clear, allow, &[CLEAR], fault(ClearPasswordRefused)),
        (&verified, allow, &[CLEAR], None),
        (
            &verified,
            allow,
            &[CLEAR, OK],
            done(Acceptance::ClearPassword),
        ),
        (
            &verified,
            auth(RequireAuth::Proof),
            &[CLEAR, OK],
            done(Acceptance::ClearPassword),
        ),
        (
            &verified,
            auth(RequireAuth::Scram),
            &[CLEAR],
            fault(ScramNotAsked),
        ),
        (&verified, require, &[CLEAR], fault(BindingNotOffered)),
        (&unverified, default, &[MD5, OK], done(Acceptance::Md5)),
        (&clear, default, &[MD5], fault(Md5Refused)),
        (
            &clear,
            md5(Md5Use::Anywhere),
            &[MD5, OK],
            done(Acceptance::Md5),
        ),
        (&verified, md5(Md5Use::Never), &[MD5], fault(Md5Refused)),
        (
            &verified,
            auth(RequireAuth::Scram),
            &[MD5],
            fault(ScramNotAsked),
        ),
        (&verified, require, &[MD5], fault(BindingNotOffered)),
        (&clear, default, &[SASL], None),
        (&clear, default, &[SASL_BOTH], fault(BindingWithoutTls)),
        (&clear, require, &[], fault(BindingUnavailable)),
        (&verified, require, &[SASL], fault(BindingNotOffered)),
        (&verified, require, &[SASL_BOTH], None),
        (&verified, auth(RequireAuth::Scram), &[SASL], None),
        (
            &verified,
            default,
            &[b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0"],
            None,
        ),
    ];
    for (number, (leg, rules, bodies, expected)) in table.into_iter().enumerate() {
        assert_eq!(run(leg, rules, bodies), expected, "row {number}");
    }
}

#[test]
fn a_credential_that_does_not_fit_is_not_sent() {
    let hash = || Credential::Md5Hash(Md5Hash::of("alice", b"pencil").unwrap());
    let table = [
        (Credential::None, CLEAR),
        (Credential::None, MD5),
        (Credential::None, SASL),
        (hash(), CLEAR),
        (hash(), SASL),
        (password(""), CLEAR),
        (password(""), MD5),
        (password(""), SASL),
        (password("a\0b"), CLEAR),
    ];
    for (credential, body) in table {
        let row = format!("{credential:?} {body:?}");
        let answer = Answer::start(ServerLogin {
            user: &ServerUser::configured("alice"),
            credential,
            leg: &tls(None),
            rules: &AnswerRules {
                clear_password: ClearPassword::InsideVerifiedTls,
                ..AnswerRules::default()
            },
            nonce: [0; 18],
        });
        let step = answer.unwrap().on_request(body);
        assert!(
            matches!(step, AnswerStep::Fault(AuthFault::NoCredential)),
            "{row}"
        );
    }
}
