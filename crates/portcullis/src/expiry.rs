//! Owns the warnings before certificates expire: at the start, after a reload, and once a day.

use std::time::Duration;
use tls::Dated;

/// From how many days before the end on it is an error.
const URGENT_DAYS: i64 = 3;

/// How near the end is.
#[derive(Debug, PartialEq, Eq)]
enum Nearness {
    Far,
    Near,
    Urgent,
    Over,
}

fn judge(days: i64, warning: Duration) -> Nearness {
    let warning_days = i64::try_from(warning.as_secs() / 86_400).unwrap_or(i64::MAX);
    match days {
        ..0 => Nearness::Over,
        0..URGENT_DAYS => Nearness::Urgent,
        _ if days < warning_days => Nearness::Near,
        _ => Nearness::Far,
    }
}

/// Logs what somebody should know.
pub(crate) fn tell(certificates: &[Dated], warning: Duration, now_unix_s: i64) {
    for dated in certificates {
        let file = &dated.of;
        let days_left = dated.days_left(now_unix_s);
        match judge(days_left, warning) {
            Nearness::Far => {}
            Nearness::Near => {
                tracing::warn!(target: "portcullis::certificates", file, days_left, "a certificate expires soon");
            }
            Nearness::Urgent => {
                tracing::error!(target: "portcullis::certificates", file, days_left, "a certificate is about to expire; renew it now");
            }
            Nearness::Over => {
                tracing::error!(target: "portcullis::certificates", file, days_left, "a certificate has expired; peers that verify it refuse it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_the_louder() {
        let month = Duration::from_secs(30 * 86_400);
        for (days, expected) in [
            (400, Nearness::Far),
            (30, Nearness::Far),
            (29, Nearness::Near),
            (3, Nearness::Near),
            (2, Nearness::Urgent),
            (0, Nearness::Urgent),
            (-1, Nearness::Over),
        ] {
            assert_eq!(judge(days, month), expected, "{days}");
        }
        assert_eq!(judge(1, Duration::from_secs(86_400)), Nearness::Urgent);
    }
}
