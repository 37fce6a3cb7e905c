//! Owns the loop that passes messages between a `Gate` and an `Answer`, and lets a test be the man
//! in the middle.

use auth::scram::derive;
use auth::*;
use buf::Secret;

pub const PASSWORD: &str = "correct horse";
pub const ITERATIONS: u32 = 16;

/// Both ends before the first message.
pub struct Pair {
    pub method: Method,
    pub stored: Stored,
    pub gate_leg: LegFacts,
    pub gate_rules: GateRules,
    pub credential: Credential,
    pub answer_leg: LegFacts,
    pub answer_rules: AnswerRules,
}

/// Both ends after the last message.
#[derive(Debug)]
pub struct Outcome {
    pub client: Result<Proved, Option<Refusal>>,
    pub server: Result<Accepted, Option<AuthFault>>,
    /// Who sent how many bytes; a derivation counts as 0 bytes from its asker.
    pub trace: Vec<(char, usize)>,
}

impl Outcome {
    /// Both sides are content, and how.
    pub fn agreed(&self) -> Option<(ProvedBy, Acceptance)> {
        match (&self.client, &self.server) {
            (Ok(proved), Ok(accepted)) => Some((proved.by, accepted.how())),
            _ => None,
        }
    }

    pub fn reason(&self) -> Option<Reason> {
        Some(self.client.as_ref().err()?.as_ref()?.reason())
    }

    pub fn fault(&self) -> Option<AuthFault> {
        *self.server.as_ref().err()?
    }
}

pub fn tls(end_point: Option<u8>) -> LegFacts {
    LegFacts {
        encrypted: true,
        verified: true,
        end_point: end_point.map(|byte| vec![byte; 32]),
        ..LegFacts::default()
    }
}

pub fn verifier(password: &str) -> Stored {
    let password = Secret::new(password.as_bytes());
    let verifier = ScramVerifier::generate(&password, b"0123456789abcdef", ITERATIONS);
    Stored::Known(Verifier::Scram(verifier.unwrap()))
}

pub fn password(text: &str) -> Credential {
    Credential::Password(Secret::new(text.as_bytes()))
}

/// SCRAM over TLS with the right password.
pub fn scram() -> Pair {
    Pair {
        method: Method::ScramSha256,
        stored: verifier(PASSWORD),
        gate_leg: tls(Some(7)),
        gate_rules: GateRules {
            iterations: ITERATIONS,
            ..GateRules::default()
        },
        credential: password(PASSWORD),
        answer_leg: tls(Some(7)),
        answer_rules: AnswerRules {
            clear_password: ClearPassword::InsideVerifiedTls,
            ..AnswerRules::default()
        },
    }
}

impl Pair {
    pub fn run(self) -> Outcome {
        self.run_with(|_, _| {})
    }

    /// Runs the exchange; `tamper` may change each message, which are numbered from 0.
    pub fn run_with(self, tamper: impl FnMut(usize, &mut Vec<u8>)) -> Outcome {
        let mut wire = Wire {
            tamper,
            count: 0,
            trace: Vec::new(),
        };
        let step = Gate::start(Attempt {
            method: self.method,
            user: "alice",
            leg: &self.gate_leg,
            stored: self.stored,
            chance: Chance {
                nonce: *fuzzing::SERVER_NONCE,
                md5_salt: *b"salt",
            },
            mock: &MockSecret::new(&[9; 32]),
            rules: &self.gate_rules,
        });
        let answer = Answer::start(ServerLogin {
            user: &ServerUser::configured("alice"),
            credential: self.credential,
            leg: &self.answer_leg,
            rules: &self.answer_rules,
            nonce: *fuzzing::CLIENT_NONCE,
        });
        match answer {
            Ok(answer) => converse(&mut wire, step, answer),
            Err(fault) => wire.end(Err(None), Err(Some(fault))),
        }
    }
}

struct Wire<T> {
    tamper: T,
    count: usize,
    trace: Vec<(char, usize)>,
}

impl<T: FnMut(usize, &mut Vec<u8>)> Wire<T> {
    fn pass(&mut self, from: char, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        (self.tamper)(self.count, &mut body);
        self.count += 1;
        self.trace.push((from, body.len()));
        body
    }

    fn end(
        &mut self,
        client: Result<Proved, Option<Refusal>>,
        server: Result<Accepted, Option<AuthFault>>,
    ) -> Outcome {
        Outcome {
            client,
            server,
            trace: std::mem::take(&mut self.trace),
        }
    }
}

fn converse<T: FnMut(usize, &mut Vec<u8>)>(
    wire: &mut Wire<T>,
    mut step: GateStep,
    mut answer: Answer,
) -> Outcome {
    loop {
        step = match step {
            GateStep::Derive(question, gate) => {
                wire.trace.push(('S', 0));
                gate.on_derived(derive(&question))
            }
            GateStep::Send(request, gate) => {
                let body = wire.pass('S', &request.body());
                match reply(answer.on_request(&body)) {
                    AnswerStep::Send(response, next) => {
                        answer = next;
                        gate.on_message(&wire.pass('C', response.body.expose()))
                    }
                    AnswerStep::Fault(fault) => return wire.end(Err(None), Err(Some(fault))),
                    _ => return wire.end(Err(None), Err(None)),
                }
            }
            GateStep::Proved(proved) => {
                let last = proved.last.iter().map(AuthRequest::body);
                let bodies: Vec<_> = last.chain([AuthRequest::Ok.body()]).collect();
                let server = finish(wire, answer, &bodies);
                return wire.end(Ok(proved), server);
            }
            GateStep::Refused(refusal) => return wire.end(Err(Some(refusal)), Err(None)),
            GateStep::AskServer(_) => return wire.end(Err(None), Err(None)),
        }
    }
}

fn finish<T: FnMut(usize, &mut Vec<u8>)>(
    wire: &mut Wire<T>,
    mut answer: Answer,
    bodies: &[Vec<u8>],
) -> Result<Accepted, Option<AuthFault>> {
    for body in bodies {
        let body = wire.pass('S', body);
        match reply(answer.on_request(&body)) {
            AnswerStep::Expect(next) => answer = next,
            AnswerStep::Done(accepted) => return Ok(accepted),
            AnswerStep::Fault(fault) => return Err(Some(fault)),
            _ => return Err(None),
        }
    }
    Err(None)
}

fn reply(step: AnswerStep) -> AnswerStep {
    match step {
        AnswerStep::Derive(question, answer) => answer.on_derived(derive(&question)),
        step => step,
    }
}
