//! A directory as a bucket, so that everything works with no server at all.
