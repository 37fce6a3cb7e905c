//! Owns the first request: which method the server asks for, and whether it may. Dispatches later
//! requests to the state that awaits them.

use super::request::{Mechanisms, Request};
use super::scram;
use super::types::{
    Acceptance, Accepted, Answer, AnswerRules, AnswerStep, AuthFault, ChannelBinding,
    ClearPassword, Credential, Md5Use, RequireAuth, Response, ResponseKind, ServerLogin, State,
};
use crate::leg::LegFacts;
use crate::verifier::Md5Hash;
use buf::Secret;

/// Awaits the first request.
pub(in crate::answer) struct Start {
    user: String,
    credential: Credential,
    leg: Leg,
    end_point: Option<Vec<u8>>,
    rules: AnswerRules,
    nonce: [u8; 18],
}

/// How well the leg is protected.
#[derive(Clone, Copy)]
enum Leg {
    Clear,
    Unix,
    Tls,
    VerifiedTls,
}

impl Leg {
    fn of(facts: &LegFacts) -> Self {
        match facts {
            LegFacts {
                encrypted: true,
                verified: true,
                ..
            } => Self::VerifiedTls,
            LegFacts {
                encrypted: true, ..
            } => Self::Tls,
            LegFacts { unix: Some(_), .. } => Self::Unix,
            _ => Self::Clear,
        }
    }

    fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::VerifiedTls)
    }
}

/// Feeds a request to the state that awaits it.
pub(super) fn on_request(state: State, body: &[u8]) -> Result<AnswerStep, AuthFault> {
    let request = Request::parse(body)?;
    let unexpected = AuthFault::UnexpectedRequest {
        code: request.code(),
    };
    match (state, request) {
        (State::Start(start), request) => start.on_request(request),
        (State::Ok(how), Request::Ok) => Ok(AnswerStep::Done(Accepted::new(how))),
        (State::ScramFirst(state), Request::SaslContinue(data)) => state.on_data(data),
        (State::ScramFinal(state), Request::SaslFinal(data)) => state.on_data(data),
        (State::ScramFirst(_) | State::ScramKeys(_) | State::ScramFinal(_), Request::Ok) => {
            Err(AuthFault::OkBeforeProof)
        }
        (State::ScramKeys(_), _) => Err(AuthFault::OutOfTurn),
        (State::Ok(_) | State::ScramFirst(_) | State::ScramFinal(_), _) => Err(unexpected),
    }
}

impl Start {
    pub(super) fn new(login: ServerLogin<'_>) -> Result<Self, AuthFault> {
        let leg = Leg::of(login.leg);
        let end_point = login.leg.end_point.clone().filter(|_| leg.is_tls());
        if login.rules.binding == ChannelBinding::Require && end_point.is_none() {
            return Err(AuthFault::BindingUnavailable);
        }
        Ok(Self {
            user: login.user.name().to_owned(),
            credential: login.credential,
            leg,
            end_point,
            rules: *login.rules,
            nonce: login.nonce,
        })
    }

    fn on_request(self, request: Request<'_>) -> Result<AnswerStep, AuthFault> {
        match request {
            Request::Sasl(mechanisms) => self.sasl(mechanisms),
            Request::SaslContinue(_) | Request::SaslFinal(_) => Err(AuthFault::UnexpectedRequest {
                code: request.code(),
            }),
            Request::Other(code) => Err(AuthFault::UnsupportedMethod { code }),
            _ if self.rules.binding == ChannelBinding::Require => Err(AuthFault::BindingNotOffered),
            Request::Ok => match self.rules.require_auth {
                RequireAuth::Any => Ok(AnswerStep::Done(Accepted::new(Acceptance::Unasked))),
                RequireAuth::Proof | RequireAuth::Scram => Err(AuthFault::OkUnasked),
            },
            _ if self.rules.require_auth == RequireAuth::Scram => Err(AuthFault::ScramNotAsked),
            Request::CleartextPassword => self.clear_password(),
            Request::Md5Password { salt } => self.md5(salt),
        }
    }

    fn clear_password(self) -> Result<AnswerStep, AuthFault> {
        match (self.rules.clear_password, self.leg) {
            (ClearPassword::InsideVerifiedTls, Leg::VerifiedTls) => {}
            _ => return Err(AuthFault::ClearPasswordRefused),
        }
        match self.credential {
            Credential::Password(password) if is_sendable(&password) => {
                Ok(password_message(&password, Acceptance::ClearPassword))
            }
            _ => Err(AuthFault::NoCredential),
        }
    }

    fn md5(self, salt: [u8; 4]) -> Result<AnswerStep, AuthFault> {
        match (self.rules.md5, self.leg) {
            (Md5Use::Anywhere, _) => {}
            (Md5Use::InsideTls, Leg::Unix | Leg::Tls | Leg::VerifiedTls) => {}
            (Md5Use::InsideTls | Md5Use::Never, _) => return Err(AuthFault::Md5Refused),
        }
        let hash = match self.credential {
            Credential::Md5Hash(hash) => hash,
            Credential::Password(password) if is_sendable(&password) => {
                Md5Hash::of(&self.user, password.expose())?
            }
            _ => return Err(AuthFault::NoCredential),
        };
        Ok(password_message(&hash.reply(salt)?, Acceptance::Md5))
    }

    fn sasl(self, mechanisms: Mechanisms) -> Result<AnswerStep, AuthFault> {
        let is_plus_offered = matches!(mechanisms, Mechanisms::Plus | Mechanisms::PlainAndPlus);
        if is_plus_offered && !self.leg.is_tls() {
            return Err(AuthFault::BindingWithoutTls);
        }
        let binding = match (mechanisms, self.end_point, self.rules.binding) {
            (
                Mechanisms::Plus | Mechanisms::PlainAndPlus,
                Some(hash),
                ChannelBinding::Prefer | ChannelBinding::Require,
            ) => scram::Binding::Bound(hash),
            (Mechanisms::None, _, _) => return Err(AuthFault::NoMechanism),
            (_, _, ChannelBinding::Require) => return Err(AuthFault::BindingNotOffered),
            (Mechanisms::Plus, _, _) => return Err(AuthFault::NoMechanism),
            (Mechanisms::Plain, Some(_), ChannelBinding::Prefer) => scram::Binding::NotOffered,
            (Mechanisms::Plain | Mechanisms::PlainAndPlus, _, _) => scram::Binding::No,
        };
        let proof = match self.credential {
            Credential::Password(password) if is_sendable(&password) => {
                scram::Source::Password(password)
            }
            Credential::ScramKeys(keys) => scram::Source::Keys(keys),
            _ => return Err(AuthFault::NoCredential),
        };
        Ok(scram::start(binding, proof, &self.nonce))
    }
}

/// No server takes an empty password, and none can hold a zero byte.
fn is_sendable(password: &Secret) -> bool {
    !password.is_empty() && !password.expose().contains(&0)
}

fn password_message(text: &Secret, how: Acceptance) -> AnswerStep {
    let response = Response {
        kind: ResponseKind::PasswordMessage,
        body: Secret::from_vec([text.expose(), &[0]].concat()),
    };
    AnswerStep::Send(response, Answer(State::Ok(how)))
}
