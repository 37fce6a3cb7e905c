//! Owns the connection that is kept between the process that has taken over and the one of before, while
//! the latter has sessions: cancel requests go back, and the word that they are done comes forth.

use super::Why;
use super::frames::Frame;
use super::give::Heir;
use super::talk::Talk;
use shell::{PassedBackTo, Proxy};
use std::collections::HashMap;
use std::future::pending;
use std::os::unix::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Cancel requests that the process of before may be carrying out at a time; the limits of either process
/// are lower, or this one.
const UNDER_WAY_MAX: usize = 1024;

/// Carries requests to the process of before until that ends. Within a runtime.
pub(crate) async fn link_to_elder(stream: UnixStream, mut requests: PassedBackTo) {
    let connected = stream
        .set_nonblocking(true)
        .and_then(|()| tokio::net::UnixStream::from_std(stream));
    let why = match connected {
        Ok(stream) => carry_back(Talk::over(stream), &mut requests).await,
        Err(error) => Why::from(error),
    };
    match why {
        Why::Closed => {
            tracing::info!(target: "portcullis::takeover", "the process of before has ended");
        }
        why => tracing::warn!(
            target: "portcullis::takeover",
            reason = %why,
            "the process of before can no longer be told of cancel requests"
        ),
    }
}

async fn carry_back(mut talk: Talk, requests: &mut PassedBackTo) -> Why {
    let mut waiting: HashMap<u32, oneshot::Sender<()>> = HashMap::new();
    let mut numbers = 0_u32;
    loop {
        let passed = tokio::select! {
            heard = talk.next() => match heard {
                Ok(Frame::Cancelled(number)) => {
                    if let Some(done) = waiting.remove(&number) {
                        // Who asked may have run out of time.
                        let _ = done.send(());
                    }
                    continue;
                }
                Ok(_) => return Why::Garbage,
                Err(why) => return why,
            },
            Some(passed) = requests.next(), if waiting.len() < UNDER_WAY_MAX => passed,
        };
        let (request, done) = passed.into_parts();
        let number = numbers;
        numbers = numbers.wrapping_add(1);
        if let Err(why) = talk.say(&Frame::Cancel { number, request }).await {
            return why;
        }
        waiting.insert(number, done);
    }
}

impl Heir {
    /// Carries out what comes back from it, for as long as this process has sessions.
    pub(crate) async fn serve(mut self, proxy: &Proxy) {
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                heard = self.talk.next(), if under_way.len() < UNDER_WAY_MAX => match heard {
                    Ok(Frame::Cancel { number, request }) => {
                        let carried = proxy.cancel_for_heir(request);
                        under_way.spawn(async move {
                            carried.await;
                            number
                        });
                    }
                    Ok(_) | Err(_) => break,
                },
                Some(Ok(number)) = under_way.join_next() => {
                    if self.talk.say(&Frame::Cancelled(number)).await.is_err() {
                        break;
                    }
                }
            }
        }
        tracing::warn!(
            target: "portcullis::takeover",
            "the process that has taken over is gone; sessions here go on to their ends"
        );
        pending().await
    }
}
