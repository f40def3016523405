//! Which grams of a query to look up.

use super::{directory::Directory, query::Query};

/// Grams of one conjunction. On the corpus of the workload the two rarest leave 9 candidates where
/// all of them leave 8, and with four there is no difference left to see; the sketch mistakes the
/// order now and then.
const TOGETHER: usize = 4;

/// Grams of one query, each of which may be a request. Alternatives share them out; where there
/// are more alternatives, each has one, up to [`ALTERNATIVES`].
const LOOKED_UP: usize = 16;

/// More alternatives are looked up as little as they are narrow.
const ALTERNATIVES: usize = 64;

/// Blocks of one range of grams: 128 KiB. All ideographs are more, and nearly every document of
/// such a language has some.
const BLOCKS: usize = 16;

/// `query` without what would not pay. It is satisfied wherever `query` is.
pub(super) fn chosen(query: &Query, directory: &Directory) -> Query {
    Chooser { directory }.choose(query, LOOKED_UP)
}

struct Chooser<'a> {
    directory: &'a Directory,
}

impl Chooser<'_> {
    fn choose(&self, query: &Query, room: usize) -> Query {
        match query {
            Query::All | Query::None => query.clone(),
            Query::Gram(gram) if self.directory.sketch.most(*gram) == 0 => Query::None,
            Query::Range(first, last) => match self.directory.blocks_of(*first, *last).len() {
                0 => Query::None,
                blocks if blocks > BLOCKS => Query::All,
                _ => query.clone(),
            },
            Query::Gram(_) => query.clone(),
            Query::And(parts) => {
                let mut parts: Vec<(u64, &Query)> =
                    parts.iter().map(|part| (self.most(part), part)).collect();
                parts.sort_by_key(|part| part.0);
                let mut room = room;
                let mut kept = Vec::new();
                for (_, part) in parts.into_iter().take(TOGETHER) {
                    if room == 0 {
                        break;
                    }
                    let part = self.choose(part, room);
                    room = room.saturating_sub(part.size());
                    kept.push(part);
                }
                Query::and(kept)
            }
            Query::Or(parts) => {
                if parts.len() > ALTERNATIVES {
                    return Query::All;
                }
                let room = (room / parts.len()).max(1);
                Query::or(parts.iter().map(|part| self.choose(part, room)))
            }
        }
    }

    /// About how many documents satisfy it at most.
    fn most(&self, query: &Query) -> u64 {
        let all = u64::from(self.directory.universe);
        match query {
            Query::All => all,
            Query::None => 0,
            Query::Gram(gram) => u64::from(self.directory.sketch.most(*gram)).min(all),
            // Nothing is known; a gram is mostly better.
            Query::Range(..) => all / 2,
            Query::And(parts) => parts.iter().map(|part| self.most(part)).min().unwrap_or(all),
            Query::Or(parts) => parts.iter().map(|part| self.most(part)).sum::<u64>().min(all),
        }
    }
}
