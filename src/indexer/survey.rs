//! What the index lacks, and what a job would cost, before it is run.

use serde::Serialize;

use super::plan::Verdict;
use crate::bucket::MAX_GET;

/// R2's price in US dollars for a million Class A operations (lists and writes), standard storage,
/// by <https://developers.cloudflare.com/r2/pricing/> in 2026. The free tier is not taken off.
const CLASS_A: f64 = 4.50;
/// The same for Class B operations (gets).
const CLASS_B: f64 = 0.36;

/// An index beside a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Survey {
    /// Objects that the index covers as they are.
    pub indexed: u64,
    /// Objects that it covers in another version.
    pub changed: u64,
    /// Objects that it does not know.
    pub new: u64,
    /// Objects that it knows and could not read.
    pub unreadable: u64,
    /// Objects that it covers and that are no longer in the bucket.
    pub gone: u64,
    /// Segments that cannot be read to their ends, which a build makes again: what they hold counts
    /// as not known. A check that ends early has not found all.
    pub damaged: u64,
    /// Bytes of the objects that a run would fetch: those that are changed, new or unreadable.
    pub bytes: u64,
    /// List requests: those that this survey took, which a run takes again.
    pub list_requests: u64,
    /// Get requests of a run, without retries.
    pub get_requests: u64,
    /// What the requests of a run cost at R2's list price, in US dollars.
    pub dollars: f64,
}

impl Survey {
    /// Objects that a run would fetch.
    pub fn objects(&self) -> u64 {
        self.changed + self.new + self.unreadable
    }

    /// One more object of the listing.
    pub(super) fn add(&mut self, verdict: Verdict, size: u64) {
        match verdict {
            Verdict::Held => {
                self.indexed += 1;
                return;
            }
            Verdict::Changed => self.changed += 1,
            Verdict::New => self.new += 1,
            Verdict::Again => self.unreadable += 1,
            Verdict::Archived => {
                // Nearly all stay where they are, and the get is refused.
                self.indexed += 1;
                self.get_requests += 1;
                return;
            }
        }
        self.bytes += size;
        // An empty one is known from the listing; a long one comes in steps after the first get.
        let more = size.saturating_sub(MAX_GET).div_ceil(crate::vfs::STEP);
        self.get_requests += u64::from(size > 0) + more;
    }

    /// The same with its price.
    pub(super) fn priced(mut self, list_requests: u64) -> Self {
        self.list_requests = list_requests;
        self.dollars = dollars(list_requests, self.get_requests);
        self
    }
}

/// What so many requests cost at R2's list price.
fn dollars(class_a: u64, class_b: u64) -> f64 {
    (class_a as f64 * CLASS_A + class_b as f64 * CLASS_B) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_object_takes_a_get_for_each_step() {
        let mut survey = Survey::default();
        for size in [0, 1, MAX_GET, MAX_GET + 1, MAX_GET + (9 << 20)] {
            survey.add(Verdict::New, size);
        }
        survey.add(Verdict::Held, 1 << 30);
        // None, one, one, two, and one with three steps of 4 MiB.
        assert_eq!((survey.objects(), survey.get_requests), (5, 1 + 1 + 2 + 4));
    }

    #[test]
    fn the_price_is_that_of_a_million() {
        let priced = Survey { get_requests: 1_000_000, ..Survey::default() }.priced(1_000);
        assert!((priced.dollars - 0.3645).abs() < 1e-9, "{}", priced.dollars);
    }
}
