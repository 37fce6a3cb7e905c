//! Medians and spread of a few samples.

/// The middle of the samples; the mean of both middles of an even number. NaN of none.
pub fn median(samples: &[f64]) -> f64 {
    percentile(samples, 0.5)
}

/// The value below which this share of the samples lies, linearly between two of them.
pub fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted: Vec<f64> = samples.iter().copied().filter(|s| !s.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * place.fract()
}

/// The smallest and the largest sample.
pub fn spread(samples: &[f64]) -> (f64, f64) {
    (percentile(samples, 0.0), percentile(samples, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (samples, wanted) in [
            (&[3.0][..], 3.0),
            (&[5.0, 1.0, 2.0], 2.0),
            (&[4.0, 1.0, 2.0, 3.0], 2.5),
            (&[f64::NAN, 7.0], 7.0),
        ] {
            assert_eq!(median(samples), wanted, "{samples:?}");
        }
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn percentiles_and_spread() {
        let samples: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&samples, 0.99), 99.0);
        assert_eq!(spread(&samples), (0.0, 100.0));
    }
}
