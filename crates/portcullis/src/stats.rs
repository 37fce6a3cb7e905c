//! Owns the line of statistics: who is there, and what was counted since the line before.

use observe::Counters;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

/// What the counters stood at in the line before.
#[derive(Default)]
pub(crate) struct Stats(HashMap<&'static str, u64>);

impl Stats {
    /// Writes a line.
    pub(crate) fn tell(&mut self, clients: usize, counters: &Counters, period: Duration) {
        let counted = self.since(counters);
        let period_s = period.as_secs();
        tracing::info!(target: "portcullis::stats", clients, period_s, counted, "statistics");
    }

    /// `name=increase` of each counter that has moved.
    fn since(&mut self, counters: &Counters) -> String {
        let mut text = String::new();
        counters.each(|reading| {
            let before = self.0.insert(reading.name, reading.value).unwrap_or(0);
            let increase = reading.value.saturating_sub(before);
            if increase > 0 {
                let space = if text.is_empty() { "" } else { " " };
                let _ = write!(text, "{space}{}={increase}", reading.name);
            }
        });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_moved_is_told_and_by_how_much() {
        let counters = Counters::default();
        let mut stats = Stats::default();
        assert_eq!(stats.since(&counters), "");
        counters.reload.failed.add(2);
        counters.tls.key_updates_sent.add(1);
        assert_eq!(
            stats.since(&counters),
            "tls_key_updates_sent=1 reload_failed=2"
        );
        counters.reload.failed.add(1);
        assert_eq!(stats.since(&counters), "reload_failed=1");
        assert_eq!(stats.since(&counters), "");
    }
}
