//! A list of documents.
//!
//! Gaps between documents in whole bytes take 23 % of a text, in packed blocks 20 %, in Rice codes
//! 14 %: that is the limit for documents that know nothing of each other. But neighbours in the
//! order of keys are alike, in language and subject, and binary interpolative coding (Moffat and
//! Stuiver, 2000) uses it: it writes the middle of a list, which bounds both halves, and where
//! bounds leave no choice it writes nothing. It is the slowest of them, at some ten nanoseconds a
//! document; what is not read from a bucket pays for it.

use super::bits::{BitReader, BitWriter};

/// Appends `documents`, which rise strictly and are all below `universe`.
pub(super) fn put(out: &mut BitWriter, documents: &[u32], universe: u32) {
    put_between(out, documents, 0, u64::from(universe));
}

/// Those of `documents` that lie in `low..high`.
fn put_between(out: &mut BitWriter, documents: &[u32], low: u64, high: u64) {
    let middle = documents.len() / 2;
    let Some((&document, after)) = documents[middle..].split_first() else { return };
    let before = &documents[..middle];
    let document = u64::from(document);
    let first = low + before.len() as u64;
    let choices = high - after.len() as u64 - first;
    let (width, short) = code(choices);
    let choice = document - first;
    // The upper bits first: they tell a short code from a long one.
    let upper = width.saturating_sub(1);
    if choice < short || width == 0 {
        out.put(choice, upper);
    } else {
        out.put((choice + short) >> 1, upper);
        out.put((choice + short) & 1, 1);
    }
    put_between(out, before, low, document);
    put_between(out, after, document + 1, high);
}

/// A number among `choices` takes `width` bits, or one less if it is below `short`.
fn code(choices: u64) -> (u32, u64) {
    let width = u64::BITS - (choices - 1).leading_zeros();
    (width, (1 << width) - choices)
}

/// Reads `count` documents below `universe`. None where the bits cannot be such a list.
pub(super) fn get(bits: &mut BitReader<'_>, count: u32, universe: u32) -> Option<Vec<u32>> {
    if count > universe {
        return None;
    }
    let mut documents = vec![0; count as usize];
    get_between(bits, &mut documents, 0, u64::from(universe))?;
    Some(documents)
}

fn get_between(bits: &mut BitReader<'_>, out: &mut [u32], low: u64, high: u64) -> Option<()> {
    let middle = out.len() / 2;
    let (before, rest) = out.split_at_mut(middle);
    let Some((document, after)) = rest.split_first_mut() else { return Some(()) };
    let first = low + before.len() as u64;
    let choices = high.checked_sub(after.len() as u64)?.checked_sub(first)?;
    if choices == 0 {
        return None;
    }
    let (width, short) = code(choices);
    let mut choice = bits.get(width.saturating_sub(1))?;
    if width > 0 && choice >= short {
        choice = (choice << 1 | bits.get(1)?) - short;
    }
    let value = first + choice;
    *document = u32::try_from(value).ok()?;
    get_between(bits, before, low, value)?;
    get_between(bits, after, value + 1, high)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn lists_come_back(documents in btree_set(0..2000_u32, 0..300), more in 0..5000_u32) {
            let documents: Vec<u32> = documents.into_iter().collect();
            let universe = documents.last().map_or(0, |last| last + 1) + more;
            let mut writer = BitWriter::default();
            put(&mut writer, &documents, universe);
            let bytes = writer.finish();
            let read = get(&mut BitReader::new(&bytes), documents.len() as u32, universe);
            prop_assert_eq!(read, Some(documents));
        }

        #[test]
        fn any_bits_are_a_list_or_none(bytes: Vec<u8>, count in 0..500_u32, universe in 0..1000_u32) {
            if let Some(read) = get(&mut BitReader::new(&bytes), count, universe) {
                prop_assert_eq!(read.len(), count as usize);
                prop_assert!(read.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(read.last().is_none_or(|last| *last < universe));
            }
        }
    }

    #[test]
    fn a_run_takes_a_bit_a_document_and_all_documents_nothing() {
        let mut writer = BitWriter::default();
        put(&mut writer, &(500..600).collect::<Vec<_>>(), 1000);
        assert!(writer.len() < 110, "{}", writer.len());
        let mut writer = BitWriter::default();
        put(&mut writer, &(0..u32::from(u16::MAX)).collect::<Vec<_>>(), u32::from(u16::MAX));
        assert_eq!(writer.len(), 0);
    }
}
