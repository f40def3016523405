//! Why an index, or some of it, was not used for an answer.

/// Different messages that are kept of one kind.
const DETAILS: usize = 32;

/// Something that was not used, once for all places where it failed in the same way: a damaged
/// file has a message for each page that is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unused {
    /// What was done without.
    what: &'static str,
    /// How it failed, in the words of each place.
    details: Vec<String>,
    /// What somebody can do who keeps the index.
    next: Option<&'static str>,
}

impl Unused {
    pub(super) fn new(what: &'static str, detail: &str, next: Option<&'static str>) -> Self {
        Self { what, details: vec![detail.to_owned()], next }
    }

    /// Adds `one` to those that are known, as one more of its kind where there is one.
    pub(super) fn add_to(self, known: &mut Vec<Self>) {
        let alike = |one: &&mut Self| (one.what, one.next) == (self.what, self.next);
        let Some(one) = known.iter_mut().find(alike) else {
            known.push(self);
            return;
        };
        for detail in self.details {
            if one.details.len() < DETAILS && !one.details.contains(&detail) {
                one.details.push(detail);
            }
        }
    }

    /// As a note of the answer.
    pub(crate) fn note(&self) -> String {
        let first = self.details.first().map_or("", String::as_str);
        match self.details.len() {
            0 | 1 => format!("{}: {first}", self.what),
            all => format!("{}: {first}, and {} more", self.what, all - 1),
        }
    }

    /// What somebody can do who keeps the index.
    pub(crate) fn next(&self) -> Option<&'static str> {
        self.next
    }
}
