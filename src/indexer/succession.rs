//! What is published next: decided from what this machine has and what is there. Pure.
//!
//! Putting one's own manifest over another's forgets the shares of other machines; keeping whatever
//! is there keeps files that are long gone, and shares of a division that nobody makes any more,
//! whose objects then are counted twice. [`Next`] joins the two manifests, is compared with a
//! listing of the files, and says what it retires.

use std::collections::{HashMap, HashSet};

use r2vfs_index::manifest::{MAX_RETIRED, Manifest, Retired, SegmentRef};

use super::shard::Division;
use crate::{
    bucket::{Object, publish::Condition},
    error::{Error, Kind, Result},
};

/// The manifest that is to be published.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) manifest: Manifest,
    /// The segments of this machine.
    pub(super) ours: HashSet<String>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

impl Next {
    /// `local`, and of `remote` the shares that `local` has not. Those come first, because they
    /// are as old as the last time they were published.
    ///
    /// # Errors
    /// [`Kind::Config`] where `local` holds shares of several divisions.
    pub(super) fn of(local: &Manifest, remote: Option<&Manifest>) -> Result<Self> {
        let mut manifest = local.clone();
        manifest.generation = remote.map_or(0, |remote| remote.generation) + 1;
        let ours = local.segments.iter().map(|segment| segment.id.clone()).collect();
        for segment in &mut manifest.segments {
            let named =
                remote.and_then(|remote| remote.segments.iter().find(|s| s.id == segment.id));
            segment.file.etag = named.and_then(|named| named.file.etag.clone());
        }
        let mut next = Self { manifest, ours, notes: Vec::new() };
        let of = match Division::of(&local.segments) {
            // An index of all keys replaces everything.
            Division::Whole => return Ok(next),
            Division::Shares { of, .. } => of,
            Division::Mixed => {
                return Err(Error::new(
                    Kind::Config,
                    "the index holds shares of several divisions of the keys",
                )
                .hint("run `r2vfs index drop --yes`, and build it again"));
            }
        };
        let Some(remote) = remote else { return Ok(next) };
        let shares: HashSet<_> = local.segments.iter().map(|segment| segment.shard).collect();
        let (kept, other): (Vec<_>, Vec<_>) = remote
            .segments
            .iter()
            .filter(|segment| segment.shard.is_none() || !shares.contains(&segment.shard))
            .cloned()
            .partition(|segment| segment.shard.is_none_or(|(_, others)| others == of));
        if let Some((_, others)) = other.first().and_then(|segment| segment.shard) {
            next.notes.push(format!(
                "what was published was divided into {others} shares, and this is one of {of}: \
                 those are dropped, and their objects are covered again when all {of} are published"
            ));
        }
        let mut segments = kept;
        segments.append(&mut next.manifest.segments);
        // With the last share everything is covered that an index of all keys was kept for.
        let shared = |segment: &&SegmentRef| segment.shard.is_some();
        if matches!(Division::of(segments.iter().filter(shared)), Division::Whole) {
            segments.retain(|segment| segment.shard.is_some());
        }
        next.manifest.segments = segments;
        next.manifest.index.clone_from(&remote.index);
        // A listing of one share is none of the whole.
        next.manifest.listed_at = remote.listed_at;
        Ok(next)
    }

    /// Notes the versions of the files that are `listed`, and takes out the segments of others
    /// that are not; those of this machine that are to be put, each with the condition. A file
    /// counts as put if it is as long as it should be, and either in the version that is known or
    /// not older than `since`.
    pub(super) fn compare(
        &mut self,
        listed: &[Object],
        since: i64,
    ) -> Vec<(&mut SegmentRef, Condition)> {
        let listed: HashMap<&str, &Object> =
            listed.iter().map(|object| (object.key.as_str(), object)).collect();
        let before = self.manifest.segments.len();
        self.manifest.segments.retain_mut(|segment| {
            let ours = self.ours.contains(&segment.id);
            // A name is never given twice, so that a file as long is the one that was put.
            let found = listed
                .get(segment.file.name.as_str())
                .filter(|object| object.size == segment.file.bytes)
                .filter(|object| {
                    let known = segment.file.etag.as_deref() == Some(&*object.etag.0);
                    known || !ours || object.modified.is_some_and(|at| at >= since)
                });
            segment.file.etag = found.map(|object| object.etag.0.to_string());
            ours || found.is_some()
        });
        let lost = before - self.manifest.segments.len();
        if lost > 0 {
            self.manifest.listed_at = 0;
            self.notes.push(format!(
                "{lost} files of other shares are gone: what they covered is searched in the \
                 bucket until those shares are published again"
            ));
        }
        let missing = self.manifest.segments.iter_mut().filter(|s| s.file.etag.is_none());
        let missing = missing.map(|segment| {
            // One that is there is cut short, or so old that it may be deleted any moment.
            let condition = match listed.contains_key(segment.file.name.as_str()) {
                true => Condition::Always,
                false => Condition::Absent,
            };
            (segment, condition)
        });
        missing.collect()
    }

    /// What `remote` named and this does not, with what it had retired, as far as that is still
    /// `listed`: the youngest, if they are too many.
    pub(super) fn retire(&mut self, remote: Option<&Manifest>, listed: &[Object], now: i64) {
        let Some(remote) = remote else { return };
        let named: HashSet<&str> =
            self.manifest.segments.iter().map(|segment| segment.id.as_str()).collect();
        let there: HashSet<&str> = listed.iter().map(|object| object.key.as_str()).collect();
        let now = remote.segments.iter().map(|s| Retired { id: s.id.clone(), at: now });
        let mut retired: Vec<Retired> = remote.retired.iter().cloned().chain(now).collect();
        retired.retain(|retired| {
            let name = r2vfs_index::manifest::file_name(&retired.id);
            !named.contains(retired.id.as_str()) && there.contains(name.as_str())
        });
        retired.sort_by_key(|retired| retired.at);
        let many = retired.len().saturating_sub(MAX_RETIRED);
        self.manifest.retired = retired.split_off(many);
    }
}

#[cfg(test)]
mod tests {
    use r2vfs_index::{manifest, manifest::Settings, source::FileRef};

    use super::*;

    fn manifest(segments: &[(char, Option<(u32, u32)>)]) -> Manifest {
        let segments = segments.iter().map(|(name, shard)| {
            let id = name.to_string().repeat(32);
            let name = manifest::file_name(&id);
            SegmentRef {
                file: FileRef { name, bytes: 9, hot: 4, check: 7, etag: None },
                id,
                docs: 1,
                gone: 0,
                text_bytes: 3,
                parts: Default::default(),
                shard: *shard,
            }
        });
        Manifest {
            format: manifest::FORMAT,
            index: "0".repeat(32),
            generation: 5,
            origin: None,
            written_at: 0,
            listed_at: 0,
            settings: Settings::default(),
            segments: segments.collect(),
            retired: Vec::new(),
        }
    }

    fn names(local: &Manifest, remote: &Manifest) -> String {
        let next = Next::of(local, Some(remote)).expect("they can be joined").manifest;
        assert_eq!(next.generation, remote.generation + 1);
        next.segments.iter().filter_map(|segment| segment.id.chars().next()).collect()
    }

    #[test]
    fn shares_of_others_stay_and_an_index_of_all_keys_replaces_everything() {
        let (one, two, three) = (Some((1, 3)), Some((2, 3)), Some((3, 3)));
        let remote = manifest(&[('a', one), ('b', two), ('c', two)]);
        assert_eq!(names(&manifest(&[('d', three)]), &remote), "abcd");
        assert_eq!(names(&manifest(&[('d', two)]), &remote), "ad");
        assert_eq!(names(&manifest(&[('d', one), ('e', two)]), &remote), "de");
        assert_eq!(names(&manifest(&[('d', None)]), &remote), "d");
        assert_eq!(names(&manifest(&[('d', two), ('e', None)]), &remote), "de");
        // What was joined of all shares is older than a new run over one of them.
        assert_eq!(names(&manifest(&[('d', two)]), &manifest(&[('a', None)])), "ad");
        // An index that holds nothing is of all keys.
        assert_eq!(names(&manifest(&[]), &remote), "");
    }

    #[test]
    fn shares_of_another_division_go_and_the_last_share_replaces_what_was_of_all_keys() {
        let remote = manifest(&[('a', Some((1, 3))), ('b', Some((2, 3))), ('c', None)]);
        let half = manifest(&[('d', Some((1, 2)))]);
        assert_eq!(names(&half, &remote), "cd");
        let next = Next::of(&half, Some(&remote)).expect("they can be joined");
        assert_eq!(next.notes.len(), 1, "{:?}", next.notes);
        let mut remote = next.manifest;
        assert_eq!(names(&manifest(&[('e', Some((2, 2)))]), &remote), "de");
        remote.segments[0].shard = Some((1, 2));
        let local = manifest(&[('d', Some((1, 2))), ('e', Some((2, 2)))]);
        assert_eq!(names(&local, &remote), "de", "two of two are all keys");
        let mixed = manifest(&[('d', Some((1, 2))), ('e', Some((1, 3)))]);
        let error = Next::of(&mixed, None).expect_err("who knows what it covers");
        assert_eq!(error.kind(), Kind::Config);
    }

    fn object(name: char, size: u64, etag: &str, modified: i64) -> Object {
        let key = manifest::file_name(&name.to_string().repeat(32));
        let modified = Some(modified);
        Object { key, size, etag: crate::bucket::ETag(etag.into()), modified, archived: false }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_put_and_of_others_taken_out() {
        let three = |name, share| (name, Some((share, 3)));
        let mut remote = manifest(&[three('a', 1), three('b', 1), three('c', 2), three('f', 3)]);
        for segment in &mut remote.segments {
            segment.file.etag = Some("v1".into());
        }
        let local = manifest(&[three('c', 2), three('d', 2), three('e', 2), three('9', 2)]);
        let mut next = Next::of(&local, Some(&remote)).expect("they can be joined");
        let listed = [
            object('a', 9, "v2", 0),
            object('c', 9, "v1", 0),
            object('d', 9, "x", 499),
            object('e', 9, "x", 500),
            object('f', 8, "v1", 0),
        ];
        let put: Vec<_> = next
            .compare(&listed, 500)
            .into_iter()
            .map(|(s, c)| (s.id[..1].to_owned(), c))
            .collect();
        let expected = [("d", Condition::Always), ("9", Condition::Absent)];
        assert_eq!(put, expected.map(|(name, condition)| (name.to_owned(), condition)));
        let ids: String = next.manifest.segments.iter().map(|s| &s.id[..1]).collect();
        assert_eq!(ids, "acde9", "b is gone and f is cut short");
        assert_eq!(
            (next.manifest.segments[0].file.etag.as_deref(), next.notes.len()),
            (Some("v2"), 1)
        );
    }

    #[test]
    fn what_is_named_no_more_is_retired_until_it_is_gone() {
        let mut remote = manifest(&[('a', None), ('b', None)]);
        remote.retired =
            ['c', 'd', 'e'].map(|c| Retired { id: c.to_string().repeat(32), at: 7 }).into();
        let mut next =
            Next::of(&manifest(&[('b', None), ('e', None)]), Some(&remote)).expect("joined");
        let listed = ['a', 'b', 'c', 'e', 'f'].map(|name| object(name, 9, "v", 0));
        next.retire(Some(&remote), &listed, 50);
        let retired: Vec<_> = next.manifest.retired.iter().map(|r| (&r.id[..1], r.at)).collect();
        assert_eq!(retired, [("c", 7), ("a", 50)]);
        // The oldest fall out.
        let id = |n: usize| format!("{n:032x}");
        remote.retired = (0..MAX_RETIRED).map(|n| Retired { id: id(n), at: n as i64 }).collect();
        let mut listed: Vec<_> = (0..MAX_RETIRED)
            .map(|n| Object { key: manifest::file_name(&id(n)), ..object('0', 9, "v", 0) })
            .collect();
        listed.push(object('a', 9, "v", 0));
        next.retire(Some(&remote), &listed, 5000);
        assert_eq!(next.manifest.retired.len(), MAX_RETIRED);
        assert_eq!(next.manifest.retired[0].at, 1);
        next.manifest.to_bytes().expect("it can be read again");
    }
}
