//! Owns how Patroni is asked to change its leader (`POST /switchover`), and what its answer comes to.

use super::Patroni;
use crate::fault::{Fault, ServiceFault, SwitchoverFault, Tried};
use crate::web::{Servers, words};
use fetch::{Request, header};
use std::time::Duration;

/// How long a switchover may take: Patroni answers when it is over, which may last several of its rounds.
const SWITCHOVER: Duration = Duration::from_secs(90);

impl Patroni {
    /// Asks that `to` becomes the leader in place of `from`, by Patroni's names of them ([`Located::title`](crate::Located::title)). Gives
    /// Patroni's words: now and then it is another one that became the leader. Lasts until it is over.
    pub async fn switchover(&self, from: &str, to: &str) -> Result<String, Fault> {
        let fault = |why| Fault::Switchover {
            from: from.to_owned(),
            to: to.to_owned(),
            why,
        };
        let servers = Servers {
            timeout: self.servers.timeout.max(SWITCHOVER),
            ..self.servers.clone()
        };
        let mut tried = Vec::new();
        for url in &servers.urls {
            let request = match self.request(from, to) {
                Ok(request) => request,
                Err(why) => {
                    return Err(fault(SwitchoverFault::Unasked(vec![Tried::new(url, why)])));
                }
            };
            match servers.ask(url, "/switchover", request).await {
                Ok(answer) if answer.is_success() => return Ok(words(&answer.body)),
                Ok(answer) => {
                    return Err(fault(SwitchoverFault::Refused {
                        url: url.to_string(),
                        status: answer.status,
                        words: words(&answer.body),
                    }));
                }
                // Nothing was sent: another one may be asked.
                Err(
                    unreached @ (fetch::Fault::LookUp { .. }
                    | fetch::Fault::Connect { .. }
                    | fetch::Fault::Tls { .. }),
                ) => {
                    let why = ServiceFault::Unanswered(unreached.to_string());
                    tried.push(Tried::new(url, why));
                }
                Err(unknown) => {
                    return Err(fault(SwitchoverFault::Unknown {
                        url: url.to_string(),
                        cause: unknown.to_string(),
                    }));
                }
            }
        }
        Err(fault(SwitchoverFault::Unasked(tried)))
    }

    fn request(&self, from: &str, to: &str) -> Result<Request, ServiceFault> {
        let body = serde_json::json!({ "leader": from, "candidate": to });
        let request = Request::post(body.to_string())
            .with(header::CONTENT_TYPE, b"application/json", false)
            .ok_or(ServiceFault::BadLogin("they are none for a header"))?;
        match &self.servers.login {
            Some(login) => login.basic(request),
            None => Ok(request),
        }
    }
}
