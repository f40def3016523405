//! A query with what the dictionary says of its grams in place of the grams.

use std::collections::BTreeMap;

use super::{block::List, query::Query};
use crate::fault::Result;

/// What leaving out one document is worth, in bytes of lists: fetching a document costs a share of
/// a block of text, some 4 KiB of it when many are fetched together.
const DOCUMENT: u64 = 4 << 10;

/// What a list costs beside its bytes: its page, and perhaps its request.
const FETCH: u64 = 16 << 10;

/// Bytes of lists for one gram or one range of grams.
const LISTS: u64 = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(super) enum Tree {
    /// Every document.
    All,
    /// What is in one of these lists.
    Lists(Vec<List>),
    /// What is in all of these.
    And(Vec<Tree>),
    /// What is in one of these.
    Or(Vec<Tree>),
}

impl Tree {
    /// `found` holds the entries of all grams of `query` that the dictionary has.
    pub(super) fn new(query: &Query, found: &BTreeMap<u64, List>) -> Self {
        let all = |parts: &[Query]| parts.iter().map(|part| Self::new(part, found)).collect();
        match query {
            Query::All => Self::All,
            Query::None => Self::Lists(Vec::new()),
            Query::Gram(gram) => Self::Lists(found.get(gram).cloned().into_iter().collect()),
            Query::Range(first, last) if first > last => Self::Lists(Vec::new()),
            Query::Range(first, last) => {
                Self::Lists(found.range(first..=last).map(|(_, list)| list.clone()).collect())
            }
            Query::And(parts) => Self::And(all(parts)),
            Query::Or(parts) => Self::Or(all(parts)),
        }
    }

    /// The same without what costs more than it leaves out of `universe` documents.
    pub(super) fn pruned(self, universe: u32) -> Self {
        let all = u64::from(universe);
        match self {
            Self::All => Self::All,
            Self::Lists(lists) => {
                let tree = Self::Lists(lists);
                let saved = (all - tree.about(all)).saturating_mul(DOCUMENT);
                let cost = tree.cost();
                if cost > LISTS || cost > saved { Self::All } else { tree }
            }
            Self::And(parts) => {
                let mut parts: Vec<Self> =
                    parts.into_iter().map(|part| part.pruned(universe)).collect();
                parts.sort_by_cached_key(|part| part.about(all));
                let mut left = all;
                parts.retain(|part| {
                    let about = part.about(all);
                    let after = (left * about).checked_div(all).unwrap_or(0);
                    let saved = (left - after).saturating_mul(DOCUMENT);
                    let pays = part.cost() == 0 || left == all || saved > part.cost() + FETCH;
                    if pays {
                        // Grams of one word come together more often than by chance.
                        left = after.isqrt().saturating_mul(left.min(about).isqrt());
                    }
                    pays
                });
                Self::And(parts)
            }
            Self::Or(parts) => {
                let parts: Vec<Self> =
                    parts.into_iter().map(|part| part.pruned(universe)).collect();
                if parts.iter().any(|part| matches!(part, Self::All)) {
                    return Self::All;
                }
                Self::Or(parts)
            }
        }
    }

    /// About how many of `all` documents satisfy it.
    fn about(&self, all: u64) -> u64 {
        // Taken for independent, alternatives are in more documents together than they are: they
        // come together, as all that is in a text does.
        let united = |counts: &mut dyn Iterator<Item = u64>| {
            let outside = counts.fold(all, |left, count| {
                let outside = u128::from(left) * u128::from(all - count.min(all));
                outside.checked_div(u128::from(all)).unwrap_or(0) as u64
            });
            all - outside
        };
        match self {
            Self::All => all,
            Self::Lists(lists) => united(&mut lists.iter().map(|list| u64::from(list.count()))),
            Self::And(parts) => parts.iter().map(|part| part.about(all)).min().unwrap_or(all),
            Self::Or(parts) => united(&mut parts.iter().map(|part| part.about(all))),
        }
    }

    /// Bytes to fetch for it.
    fn cost(&self) -> u64 {
        match self {
            Self::All => 0,
            Self::Lists(lists) => lists.iter().map(List::bytes).fold(0, u64::saturating_add),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().map(Self::cost).fold(0, u64::saturating_add)
            }
        }
    }

    /// Start and bytes of each list that is not here.
    pub(super) fn long_lists(&self, each: &mut impl FnMut(u64, u64)) {
        match self {
            Self::All => {}
            Self::Lists(lists) => {
                for list in lists {
                    if let List::Long { start, len, .. } = list {
                        each(*start, *len);
                    }
                }
            }
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().for_each(|part| part.long_lists(each));
            }
        }
    }

    /// The documents that satisfy it, sorted, or none where that is all. `long` reads a list by
    /// its start and count.
    pub(super) fn documents(
        &self,
        long: &impl Fn(u64, u32) -> Result<Vec<u32>>,
    ) -> Result<Option<Vec<u32>>> {
        match self {
            Self::All => Ok(None),
            Self::Lists(lists) => {
                let mut united = Vec::new();
                for list in lists {
                    match list {
                        List::Inline(documents) => united.extend(documents),
                        List::Long { count, start, .. } => united.extend(long(*start, *count)?),
                    }
                }
                Ok(Some(sorted(united)))
            }
            Self::And(parts) => {
                let mut left: Option<Vec<u32>> = None;
                for part in parts {
                    let Some(documents) = part.documents(long)? else { continue };
                    left = Some(match left {
                        None => documents,
                        Some(mut left) => {
                            let mut at = 0;
                            left.retain(|document| {
                                at += documents[at..].partition_point(|other| other < document);
                                documents.get(at) == Some(document)
                            });
                            left
                        }
                    });
                }
                Ok(left)
            }
            Self::Or(parts) => {
                let mut united = Vec::new();
                for part in parts {
                    let Some(documents) = part.documents(long)? else { return Ok(None) };
                    united.extend(documents);
                }
                Ok(Some(sorted(united)))
            }
        }
    }
}

fn sorted(mut documents: Vec<u32>) -> Vec<u32> {
    documents.sort_unstable();
    documents.dedup();
    documents
}
