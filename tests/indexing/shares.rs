//! One bucket indexed by many machines, and divided anew.

use tempfile::TempDir;

use super::{
    program::Bucket,
    publishing::{at, published, segments_of_the_manifest},
};

fn shards(bucket: &Bucket) -> Vec<String> {
    let standing = bucket.index("status --no-list");
    let shards = standing["shards"].as_array().expect("shares").iter();
    shards.map(|shard| shard.as_str().expect("a share").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_of_several_machines_are_joined_by_publishing() {
    let bucket = Bucket::with(30).await;
    let machines = [(); 3].map(|()| TempDir::new().expect("a temporary directory"));
    for (share, home) in (1..).zip(&machines) {
        let built = at(&bucket, home, &format!("build --shard {share}/3"));
        assert_eq!(built.code, Some(0), "{built}");
        let ran = at(&bucket, home, "publish");
        assert_eq!(ran.code, Some(0), "{ran}");
        assert_eq!(ran.json()["others"].as_u64(), Some(share - 1), "{ran}");
    }
    assert_eq!(segments_of_the_manifest(&bucket).len(), 3);
    // One of them again: its share is replaced, the others stay.
    bucket.server.store().put("docs/000.md", "changed\n");
    at(&bucket, &machines[0], "update");
    at(&bucket, &machines[0], "compact");
    let ran = at(&bucket, &machines[0], "publish");
    let numbers = ["segments", "others", "put"].map(|name| ran.json()[name].as_u64());
    assert_eq!(numbers, [3, 2, 1].map(Some), "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_division_takes_the_place_of_the_old_one() {
    let bucket = Bucket::with(24).await;
    let machines = [(); 3].map(|()| TempDir::new().expect("a temporary directory"));
    for (share, home) in (1..).zip(&machines) {
        assert_eq!(at(&bucket, home, &format!("build --shard {share}/3")).code, Some(0));
        assert_eq!(at(&bucket, home, "publish").code, Some(0));
    }
    // Over shares of another division it would hold only what those lack.
    let refused = at(&bucket, &machines[0], "build --shard 1/2");
    refused.fails(&["holds share 1/3", "1/2 divides the keys otherwise", "index drop"]);

    let halves = [(); 2].map(|()| TempDir::new().expect("a temporary directory"));
    for (share, home) in (1..).zip(&halves) {
        assert_eq!(at(&bucket, home, &format!("build --shard {share}/2")).code, Some(0));
        let ran = at(&bucket, home, "publish");
        assert_eq!(ran.code, Some(0), "{ran}");
        let notes = ran.json()["notes"].as_array().map_or(0, Vec::len);
        assert_eq!(notes, if share == 1 { 1 } else { 0 }, "{ran}");
        assert_eq!(ran.json()["segments"].as_u64(), Some(share), "{ran}");
    }
    assert_eq!(segments_of_the_manifest(&bucket).len(), 2);
    assert_eq!(published(&bucket).len(), 2 + 3 + 1, "the old ones wait for gc");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_is_lost_is_taken_out_and_told() {
    let bucket = Bucket::with(12).await;
    let machines = [(); 2].map(|()| TempDir::new().expect("a temporary directory"));
    for (share, home) in (1..).zip(&machines) {
        at(&bucket, home, &format!("build --shard {share}/2"));
        assert_eq!(at(&bucket, home, "publish").code, Some(0));
    }
    let lost = segments_of_the_manifest(&bucket).remove(0);
    assert!(bucket.server.store().delete(format!(".r2vfs/{lost}")));
    let ran = at(&bucket, &machines[1], "publish");
    assert_eq!(ran.code, Some(0), "{ran}");
    let note = ran.json()["notes"][0].as_str().unwrap_or_default().to_owned();
    assert!(note.contains("files of other shares are gone"), "{ran}");
    assert_eq!(segments_of_the_manifest(&bucket).len(), 1);
    assert_eq!(at(&bucket, &machines[0], "publish").json()["put"].as_u64(), Some(1));
    assert_eq!(segments_of_the_manifest(&bucket).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_become_one_index_only_when_all_are_there() {
    let bucket = Bucket::with(24).await;
    for share in 1..=2 {
        bucket.index(&format!("build --shard {share}/3"));
    }
    bucket.index("compact");
    assert_eq!(shards(&bucket), ["1/3", "2/3"], "of some keys, and not of all");
    bucket.server.store().put("docs/000.md", "changed\n");
    assert_eq!(
        bucket.index("update")["committed"].as_u64(),
        Some(1),
        "the third share is not ours"
    );
    bucket.index("build --shard 3/3");
    bucket.index("compact");
    assert_eq!(shards(&bucket), [""; 0]);
    let standing = bucket.index("status --no-list");
    let numbers = ["segments", "documents", "dead"].map(|name| standing[name].as_u64());
    assert_eq!(numbers, [1, 24, 0].map(Some), "{standing}");
    bucket.is_sound();
}
