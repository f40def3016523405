//! Ranges by prefix, where a listing cannot be started in the middle.
//!
//! The prefixes of an earlier listing alone would miss what is new beside them. So each level is
//! asked for what is in it now, down to the first where there is more than one directory, and the
//! earlier listing only adds what a server may have left out of that.

use std::collections::{BTreeMap, BTreeSet};

use super::lanes::{Base, Lane};
use crate::{
    bucket::{ListRequest, Object},
    error::Result,
};

/// Levels that are gone down in search of a fork: each costs a request, in a row.
const LEVELS: usize = 4;

/// Pages of one level that are worth reading: a level of more entries has too many directories.
const PAGES: usize = 4;

/// The most directories that are listed side by side, where a listing has not as many pages.
const FEW: u64 = 16;

/// What is in one level.
struct Level {
    objects: Vec<Object>,
    prefixes: BTreeSet<String>,
}

/// Lanes for all keys after `handed`; `None` where directories do not part them well.
///
/// `known` are some keys of an earlier listing, and `pages` how many pages to expect.
pub(super) async fn lanes(
    base: &Base,
    known: &[String],
    handed: Option<&str>,
    pages: u64,
) -> Result<Option<Vec<Lane>>> {
    let mut scope = base.request.prefix.clone();
    // Keys that are objects, and prefixes that are to be listed, in order.
    let mut items: BTreeMap<String, Option<Object>> = BTreeMap::new();
    for level in 1..=LEVELS {
        let Some(mut found) = one_level(base, &scope).await? else { return Ok(None) };
        items.extend(found.objects.drain(..).map(|object| (object.key.clone(), Some(object))));
        found.prefixes.extend(known.iter().filter_map(|key| directory(&scope, key)));
        // All keys below one that sorts before a key outside of it do so too.
        let passed = |prefix: &str| {
            handed.is_some_and(|handed| prefix < handed && !handed.starts_with(prefix))
        };
        found.prefixes.retain(|prefix| !passed(prefix));
        if found.prefixes.len() == 1
            && level < LEVELS
            && let Some(only) = found.prefixes.pop_first()
        {
            scope = only;
            continue;
        }
        if found.prefixes.len() as u64 > pages.max(FEW) {
            return Ok(None);
        }
        items.extend(found.prefixes.into_iter().map(|prefix| (prefix, None)));
        break;
    }
    let mut lanes = Vec::new();
    let mut run = Vec::new();
    for (name, object) in items {
        match object {
            Some(object) => run.push(object),
            None => {
                lanes.push(Lane::ready(std::mem::take(&mut run)));
                lanes.push(base.below(name));
            }
        }
    }
    lanes.push(Lane::ready(run));
    Ok(Some(lanes))
}

async fn one_level(base: &Base, scope: &str) -> Result<Option<Level>> {
    let request = ListRequest { prefix: scope.to_owned(), one_level: true, ..base.request.clone() };
    let mut pages = base.pages(request);
    let mut level = Level { objects: Vec::new(), prefixes: BTreeSet::new() };
    for _ in 0..PAGES {
        let Some(page) = Box::pin(pages.next()).await? else { return Ok(Some(level)) };
        if !page.unaddressable.is_empty() {
            // Below a directory that cannot be named there are keys that would be missed.
            return Ok(None);
        }
        level.objects.extend(page.objects);
        level.prefixes.extend(page.prefixes);
    }
    let end = Box::pin(pages.next()).await?.is_none();
    Ok(end.then_some(level))
}

/// The directory right below `scope` that holds a key.
fn directory(scope: &str, key: &str) -> Option<String> {
    let rest = key.strip_prefix(scope)?;
    let slash = rest.find('/')?;
    Some(key[..scope.len() + slash + 1].to_owned())
}
