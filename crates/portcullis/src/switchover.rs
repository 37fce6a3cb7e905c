//! Owns `portcullis switchover`: one order to a running proxy's console, and what came of it.

use crate::cli::SwitchoverOptions;
use crate::fault::Fault;
use crate::output::say;
use crate::top::TopFault;
use crate::top::place::Place;
use std::time::{Duration, Instant};

/// Gives the order and waits for its end.
pub(crate) fn run(options: &SwitchoverOptions) -> Result<(), Vec<Fault>> {
    let failed = |text: String| vec![TopFault::NoAnswer(text).into()];
    let order = order(&options.cluster, &options.to).map_err(failed)?;
    let place = Place::find(&options.console())?;
    let timeout = Duration::from_secs(options.timeout);
    let (mut inquiry, about) = place
        .open_for("portcullis switchover", timeout)
        .map_err(failed)?;
    say(&format!("{about}: {order}"));
    let began = Instant::now();
    let answer = inquiry.ask(&order);
    let took = began.elapsed().as_secs_f64();
    match answer {
        Ok(Ok(_)) => {
            say(&format!(
                "done, in {took:.1} s: everything that waited goes on at the new primary"
            ));
            Ok(())
        }
        Ok(Err(words)) => {
            let hint = words.hint.map(|it| format!(" ({it})")).unwrap_or_default();
            let text = format!(
                "not switched over, the primary of before goes on: {}{hint}",
                words.message
            );
            Err(failed(text))
        }
        Err(fault) => Err(failed(format!(
            "the connection to the console ended after {took:.1} s, and how the switchover went is not known: {}; \
             look at SHOW CLUSTERS",
            crate::leg::cause(&fault)
        ))),
    }
}

/// What the console is told.
fn order(cluster: &str, to: &[String]) -> Result<String, String> {
    let host = match to {
        [] => None,
        [host] if !host.eq_ignore_ascii_case("to") => Some(host),
        [to, host] if to.eq_ignore_ascii_case("to") => Some(host),
        _ => {
            return Err(format!(
                "TO WHICH HOST? Say: portcullis switchover {cluster} TO HOST:PORT"
            ));
        }
    };
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    Ok(match host {
        None => format!("SWITCHOVER {}", quoted(cluster)),
        Some(host) => format!("SWITCHOVER {} TO {}", quoted(cluster), quoted(host)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders() {
        let words = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let table = [
            (&[][..], Some("SWITCHOVER \"main\"")),
            (&["db2:5432"], Some("SWITCHOVER \"main\" TO \"db2:5432\"")),
            (&["to", "db2"], Some("SWITCHOVER \"main\" TO \"db2\"")),
            (&["TO", "a\"b"], Some("SWITCHOVER \"main\" TO \"a\"\"b\"")),
            (&["TO"], None),
            (&["into", "db2"], None),
        ];
        for (given, wanted) in table {
            let order = order("main", &words(given)).ok();
            assert_eq!(order.as_deref(), wanted, "{given:?}");
        }
    }
}
