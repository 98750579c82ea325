//! Latencies by their size.

/// Parts of each power of two: quantiles are within three percent.
const PARTS: usize = 32;
const BITS: usize = 5;

/// How often which time was seen, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Histogram {
    seen: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { seen: vec![0; 64 * PARTS], count: 0 }
    }

    pub(crate) fn add(&mut self, nanoseconds: u64) {
        let value = nanoseconds.max(PARTS as u64);
        let power = 63 - value.leading_zeros() as usize;
        let part = (value >> (power - BITS)) as usize & (PARTS - 1);
        self.seen[power * PARTS + part] += 1;
        self.count += 1;
    }

    /// The time below which the part `quantile` of all lie, in microseconds; 0 if none were seen.
    pub(crate) fn microseconds(&self, quantile: f64) -> f64 {
        let wanted = (self.count as f64 * quantile).ceil().max(1.0) as u64;
        let mut below = 0;
        for (at, seen) in self.seen.iter().enumerate() {
            below += seen;
            if below >= wanted {
                let (power, part) = (at / PARTS, at % PARTS);
                return 2_f64.powi(power as i32) * (1.0 + (part as f64 + 0.5) / PARTS as f64) / 1000.0;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_three_percent() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|microseconds| histogram.add(microseconds * 1000));
        for (quantile, expected) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.microseconds(quantile);
            assert!((found / expected - 1.0_f64).abs() < 0.03, "{quantile}: {found}");
        }
        assert!(Histogram::new().microseconds(0.5) < f64::EPSILON, "nothing was seen");
    }
}
