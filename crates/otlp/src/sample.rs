//! Owns which spans are sent: those of traces that their caller records, and a share of those that begin here.

use trace::Span;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampling {
    /// Of a million traces that begin here.
    pub(crate) ppm: u32,
    /// Those too that their caller doesn't record.
    pub(crate) unsampled: bool,
}

impl Sampling {
    pub(crate) fn takes(self, span: &Span) -> bool {
        match span.parent {
            Some(parent) => parent.is_sampled || self.unsampled,
            // The numbers of a trace that begins here are random.
            None => {
                let [.., a, b, c, d, e, f, g, h] = span.trace_id;
                let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                number % 1_000_000 < u64::from(self.ppm)
            }
        }
    }
}
