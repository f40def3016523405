//! Bytes that nobody wrote.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{bundle, index, open, query};
use crate::{
    Bundle, FaultKind, FileRef,
    bundle::{BundleWriter, Heat, Memory, at_once},
    gram::{Candidates, merge},
};

fn documents() -> Vec<String> {
    (0..300).map(|at| format!("article {at} of {} mentions {}", at % 50, at * at)).collect()
}

const PATTERNS: [&str; 6] = ["mentions", "article 7", "of 3", "40000", "é|x9|y", "(?i)MENT.*121"];

/// The parts of a bundle: name, heat, bytes.
fn parts(file: &FileRef, bytes: &[u8]) -> Vec<(String, Heat, Vec<u8>)> {
    let memory = std::sync::Arc::new(Memory::new());
    memory.put(&file.name, bytes.to_vec());
    let bundle = at_once(Bundle::open(memory, file.clone())).unwrap();
    let names: Vec<String> = bundle.names().map(str::to_owned).collect();
    let part = |name: String| {
        let part = bundle.need(&name).unwrap();
        let bytes = at_once(part.read(0..part.len())).unwrap().to_vec();
        (name, part.heat(), bytes)
    };
    names.into_iter().map(part).collect()
}

fn write(parts: &[(String, Heat, Vec<u8>)]) -> impl FnOnce(&mut BundleWriter) {
    |out| parts.iter().for_each(|(name, heat, bytes)| out.whole(name, *heat, bytes).unwrap())
}

/// Asks everything of it. Only that it comes back matters, and how.
fn use_it((file, bytes): (FileRef, Vec<u8>)) -> Result<(), FaultKind> {
    let (_, reader) = open((file, bytes)).map_err(|fault| fault.kind())?;
    for pattern in PATTERNS {
        if let Candidates::Docs(found) =
            at_once(reader.candidates(&query(pattern), 300)).map_err(|fault| fault.kind())?
        {
            assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(found.last().is_none_or(|last| *last < 300));
        }
    }
    let numbers = (0..300).map(Some).collect();
    let mut outcome = Ok(());
    bundle(|out| outcome = merge(&[(reader, numbers)], out));
    outcome.map_err(|fault| fault.kind())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A flipped bit on a disk: the checksums see it, or it lay where nobody looked.
    #[test]
    fn a_flipped_byte_is_a_fault_or_changes_nothing(at: Index, flip in 1..=255_u8) {
        let documents = documents();
        let (file, mut bytes) = index(&documents);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let Ok((_, reader)) = open((file, bytes)) else { return Ok(()) };
        for (pattern, holds) in [("mentions", "mentions"), ("article 7", "article 7")] {
            let Ok(found) = at_once(reader.candidates(&query(pattern), 300)) else { continue };
            let Candidates::Docs(found) = found else { continue };
            for (document, text) in (0..).zip(&documents) {
                prop_assert!(!text.contains(holds) || found.contains(&document));
            }
        }
    }

    /// Damage that the checksums were made for: whoever can write the file can do it.
    #[test]
    fn parts_with_other_bytes_are_faults_or_answers(
        edits in vec((any::<Index>(), any::<Index>(), any::<u8>()), 1..12),
        cut in prop::option::of((any::<Index>(), any::<Index>())),
    ) {
        let (file, bytes) = index(&documents());
        let mut parts = parts(&file, &bytes);
        for (part, at, byte) in edits {
            let bytes = &mut parts[part.index(3)].2;
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some((part, at)) = cut {
            let bytes = &mut parts[part.index(3)].2;
            bytes.truncate(at.index(bytes.len()));
        }
        let outcome = use_it(bundle(write(&parts)));
        prop_assert!(matches!(outcome, Ok(()) | Err(FaultKind::Damaged | FaultKind::Format)), "{outcome:?}");
    }

    #[test]
    fn parts_of_any_bytes_are_faults_or_answers(
        blocks: Vec<u8>, lists: Vec<u8>, mut directory: Vec<u8>, keep in 0..40_usize,
    ) {
        let (file, bytes) = index(&documents());
        let real = parts(&file, &bytes);
        let real = real.iter().find(|part| part.1 == Heat::Hot).unwrap();
        directory.splice(0..0, real.2[..keep].iter().copied());
        let parts = [
            ("gram.blocks".to_owned(), Heat::Cold, blocks),
            ("gram.lists".to_owned(), Heat::Cold, lists),
            ("gram.dir".to_owned(), Heat::Hot, directory),
        ];
        let outcome = use_it(bundle(write(&parts)));
        prop_assert!(matches!(outcome, Ok(()) | Err(FaultKind::Damaged | FaultKind::Format)), "{outcome:?}");
    }
}
