//! Why an index, or some of it, was not used for an answer.

/// Something that was not used, once for all places where it failed in the same way: a damaged
/// file has a message for each page that is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unused {
    /// What was done without.
    what: &'static str,
    /// How it failed first.
    detail: String,
    /// How often it failed in other words after that.
    others: u64,
    /// What somebody can do who keeps the index.
    next: Option<&'static str>,
}

impl Unused {
    pub(super) fn new(what: &'static str, detail: &str, next: Option<&'static str>) -> Self {
        Self { what, detail: detail.to_owned(), others: 0, next }
    }

    /// Adds `one` to those that are known, as one more of its kind where there is one.
    pub(super) fn add_to(self, known: &mut Vec<Self>) {
        match known.iter_mut().find(|one| one.what == self.what) {
            Some(one) => one.others += u64::from(one.detail != self.detail),
            None => known.push(self),
        }
    }

    /// As a note of the answer.
    pub(crate) fn note(&self) -> String {
        let Self { what, detail, others, .. } = self;
        match others {
            0 => format!("{what}: {detail}"),
            _ => format!("{what}: {detail}, and {others} more"),
        }
    }

    /// What somebody can do who keeps the index.
    #[cfg(feature = "cli")]
    pub(crate) fn next(&self) -> Option<&'static str> {
        self.next
    }
}
