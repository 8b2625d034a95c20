//! Histograms with one writer, kept in whole numbers.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

use super::Count;

/// Upper bounds of buckets, ascending, and how many of the recorded unit make one of the exposition's.
#[derive(Debug)]
pub(super) struct Bounds<const N: usize> {
    upper: [u64; N],
    unit: f64,
}

/// In microseconds: nginx's bounds, and 1 ms below them.
pub(super) const DURATIONS: &Bounds<12> = &Bounds {
    upper: [
        1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
        5_000_000, 10_000_000,
    ],
    unit: 1e6,
};

/// In bytes: the bounds of ingress-nginx for sizes, from 10 to 10 MB.
pub(super) const SIZES: &Bounds<7> = &Bounds {
    upper: [10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000],
    unit: 1.0,
};

/// How often which values were seen.
#[derive(Debug)]
pub(crate) struct Histogram<const N: usize> {
    bounds: &'static Bounds<N>,
    buckets: [Count; N],
    above: Count,
    sum: Count,
}

/// How long something took.
pub(crate) type Durations = Histogram<12>;

/// How large something was.
pub(super) type Sizes = Histogram<7>;

impl<const N: usize> Histogram<N> {
    pub(super) fn new(bounds: &'static Bounds<N>) -> Self {
        Self {
            bounds,
            buckets: std::array::from_fn(|_| Count::default()),
            above: Count::default(),
            sum: Count::default(),
        }
    }

    pub(super) fn add(&self, value: u64) {
        let bucket = self.bounds.upper.iter().position(|bound| value <= *bound);
        let bucket = bucket.map_or(&self.above, |at| &self.buckets[at]);
        bucket.add(1);
        self.sum.add(value);
    }

    pub(super) fn fold(&self, other: &Self) {
        for (count, other) in self.buckets.iter().zip(&other.buckets) {
            count.add(other.get());
        }
        self.above.add(other.above.get());
        self.sum.add(other.sum.get());
    }
}

impl Durations {
    pub(crate) fn observe(&self, duration: Duration) {
        self.add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }
}

/// The histograms of several workers, added up.
#[derive(Clone, Debug)]
pub(super) struct Total<const N: usize> {
    bounds: &'static Bounds<N>,
    buckets: [u64; N],
    above: u64,
    sum: u64,
}

impl<const N: usize> Total<N> {
    pub(super) fn new(bounds: &'static Bounds<N>) -> Self {
        Self {
            bounds,
            buckets: [0; N],
            above: 0,
            sum: 0,
        }
    }

    pub(super) fn add(&mut self, histogram: &Histogram<N>) {
        for (sum, count) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += count.get();
        }
        self.above += histogram.above.get();
        self.sum = self.sum.saturating_add(histogram.sum.get());
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, count) in self.buckets.iter_mut().zip(other.buckets) {
            *sum += count;
        }
        self.above += other.above;
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many there were up to each bound and above the one before, and then above all.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().copied().chain([self.above])
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum::<u64>() + self.above
    }

    /// The sum in the unit of the exposition.
    pub(super) fn sum(&self) -> f64 {
        self.sum as f64 / self.bounds.unit
    }

    pub(super) fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = self.bounds.upper.iter();
        let buckets: Vec<(f64, u64)> = bounds
            .map(|bound| *bound as f64 / self.bounds.unit)
            .zip(self.buckets)
            .chain([(f64::INFINITY, self.above)])
            .collect();
        encoder.encode_histogram::<NoLabelSet>(self.sum(), self.count(), &buckets, None)
    }
}
