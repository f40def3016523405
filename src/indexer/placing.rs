//! Where an index may be published: in the reserved place of its bucket, or outside of it.
//!
//! Anywhere else inside, its files are objects of the bucket like any others: listed, searched,
//! and indexed by the next run, which publishes an index of the index.

use std::path::{Path, PathBuf};

use crate::{
    bucket::RESERVED,
    config::Location,
    error::{Error, Kind, Result},
};

/// # Errors
/// [`Kind::Config`] where `to` is inside of `bucket`, but for the reserved place.
pub(super) fn outside(bucket: &Location, to: &Location) -> Result<()> {
    use Location::{Directory, R2, S3};
    let below = match (bucket, to) {
        (Directory { path: root }, Directory { path }) => {
            let path = real(path);
            path.strip_prefix(real(root)).ok().map(|below| {
                // As a prefix is written.
                let parts = below.iter().map(|part| part.to_string_lossy() + "/");
                parts.collect::<String>()
            })
        }
        (R2 { bucket: a, prefix: root, .. }, R2 { bucket: b, prefix, .. })
        | (S3 { bucket: a, prefix: root }, S3 { bucket: b, prefix }) => {
            prefix.strip_prefix(root.as_str()).filter(|_| a == b).map(str::to_owned)
        }
        _ => None,
    };
    if below.is_none_or(|below| below == RESERVED) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Config,
        "the place to publish to is inside the bucket that is indexed, where its files would be \
         listed and searched as objects",
    )
    .hint(format!(
        "leave --to out, which publishes under {RESERVED} of the bucket, or name a place outside"
    )))
}

/// The path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|dir| Some((dir, dir.canonicalize().ok()?)));
    match there.and_then(|(dir, real)| Some(real.join(path.strip_prefix(dir).ok()?))) {
        Some(real) => real,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_lies_outside_of_its_bucket_or_in_the_reserved_place() {
        let bucket = Location::parse("s3://kbs/docs/").expect("a location");
        for (to, fits) in [
            ("s3://kbs/docs", false),
            ("s3://kbs/docs/index/", false),
            ("s3://kbs/docs/.r2vfs/", true),
            ("s3://kbs/docs/.r2vfs/more/", false),
            ("s3://kbs/docs-index/", true),
            ("s3://kbs/", true),
            ("s3://other/docs/", true),
            ("r2://kbs/docs/", true),
            ("docs", true),
        ] {
            let to_place = Location::parse(to).expect("a location");
            assert_eq!(outside(&bucket, &to_place).is_ok(), fits, "{to}");
        }
    }
}
