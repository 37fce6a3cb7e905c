//! Owns the warnings before certificates, revocation lists and staples expire: at the start, after a
//! reload, once a day, and when it happens.

use std::time::Duration;
use tls::{Dated, Expires};

/// From how many days before the end on it is an error, for what is made for months.
const URGENT_DAYS: i64 = 3;

/// How near the end is.
#[derive(Debug, PartialEq, Eq)]
enum Nearness {
    Far,
    Near,
    Urgent,
    Over,
}

/// Lists and staples are renewed within days by whoever makes them: those near their end are worth
/// a word only when that should have happened.
fn judge(kind: Expires, days: i64, warning: Duration) -> Nearness {
    let warning_days = i64::try_from(warning.as_secs() / 86_400).unwrap_or(i64::MAX);
    let (urgent, near) = match kind {
        Expires::Certificate | Expires::Authority => (URGENT_DAYS, warning_days),
        Expires::RevocationList => (0, 2),
        Expires::Staple => (0, 1),
    };
    match days {
        ..0 => Nearness::Over,
        _ if days < urgent => Nearness::Urgent,
        _ if days < near => Nearness::Near,
        _ => Nearness::Far,
    }
}

/// What it is called, and what its end means.
fn words(kind: Expires) -> (&'static str, &'static str) {
    match kind {
        Expires::Certificate => ("a certificate", "peers that verify it refuse it"),
        Expires::Authority => (
            "an authority's certificate",
            "peers with a certificate of that authority are refused",
        ),
        Expires::RevocationList => (
            "a revocation list",
            "peers with a certificate of its authority are refused",
        ),
        Expires::Staple => ("a stapled OCSP response", "it is no longer handed out"),
    }
}

/// Logs what somebody should know.
pub(crate) fn tell(certificates: &[Dated], warning: Duration, now_unix_s: i64) {
    for dated in certificates {
        let file = &dated.of;
        let days_left = dated.days_left(now_unix_s);
        let (what, meaning) = words(dated.kind);
        match judge(dated.kind, days_left, warning) {
            Nearness::Far => {}
            Nearness::Near => {
                tracing::warn!(target: "portcullis::certificates", file, days_left, "{what} expires soon");
            }
            Nearness::Urgent => {
                tracing::error!(target: "portcullis::certificates", file, days_left, "{what} is about to expire; renew it now");
            }
            Nearness::Over => {
                tracing::error!(target: "portcullis::certificates", file, days_left, "{what} has expired; {meaning}");
            }
        }
    }
}

/// How long it takes until the next of them is over, if that is soon: [`tell`] is asked every day anyway.
pub(crate) fn next_end(certificates: &[Dated], now_unix_s: i64) -> Option<Duration> {
    let left = certificates
        .iter()
        .map(|it| it.not_after_unix_s - now_unix_s);
    let next = left.filter(|left| (0..86_400).contains(left)).min()?;
    // The last second of it is still good.
    Some(Duration::from_secs(next.unsigned_abs() + 1))
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
            for kind in [Expires::Certificate, Expires::Authority] {
                assert_eq!(judge(kind, days, month), expected, "{days}");
            }
        }
        let day = Duration::from_secs(86_400);
        assert_eq!(judge(Expires::Certificate, 1, day), Nearness::Urgent);
    }

    #[test]
    fn what_lives_for_days_is_near_its_end_in_the_last_of_them() {
        let month = Duration::from_secs(30 * 86_400);
        for (kind, far, near) in [(Expires::RevocationList, 2, 1), (Expires::Staple, 1, 0)] {
            assert_eq!(judge(kind, far, month), Nearness::Far);
            assert_eq!(judge(kind, near, month), Nearness::Near);
            assert_eq!(judge(kind, -1, month), Nearness::Over);
        }
    }

    #[test]
    fn the_next_end_of_the_day_is_waited_for() {
        let at = |not_after_unix_s| Dated {
            of: String::new(),
            kind: Expires::Staple,
            not_after_unix_s,
        };
        let seconds = |ends: &[i64], now| {
            let dated: Vec<_> = ends.iter().copied().map(at).collect();
            next_end(&dated, now).map(|it| it.as_secs())
        };
        assert_eq!(seconds(&[], 100), None);
        assert_eq!(seconds(&[99], 100), None);
        assert_eq!(seconds(&[99, 250, 130], 100), Some(31));
        assert_eq!(seconds(&[100], 100), Some(1));
        assert_eq!(seconds(&[100 + 86_400], 100), None);
    }
}
