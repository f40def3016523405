//! Ranked search over judged collections: what a change of the ranking may not cost.
//!
//! The floors are those of issue 3, over what bm25s and SQLite's FTS5 give. Rankings come from the
//! program, as `search --batch` writes them; what they are worth is computed here from its
//! definition.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
};

use serde_json::Value;

use super::r2vfs;
use crate::support::kit::{otel, shared};

/// For each question its documents, best first.
type Run = HashMap<String, Vec<String>>;

fn rankings(text: &str) -> Run {
    let mut ranked: HashMap<String, Vec<(usize, String)>> = HashMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let rank = fields[2].parse().expect("a rank");
        ranked.entry(fields[0].to_owned()).or_default().push((rank, fields[1].to_owned()));
    }
    let sorted = |mut documents: Vec<(usize, String)>| {
        documents.sort();
        documents.into_iter().map(|(_, document)| document).collect()
    };
    ranked.into_iter().map(|(question, documents)| (question, sorted(documents))).collect()
}

/// Mean nDCG at 10 and recall at 100 over the questions that have a relevant document: gain is the
/// grade, discount the binary logarithm of one more than the rank.
fn worth(judged: &BTreeMap<String, BTreeMap<String, i64>>, run: &Run) -> (f64, f64) {
    let (mut gains, mut recalls, mut questions) = (0.0, 0.0, 0.0);
    for (question, grades) in judged {
        let mut ideal: Vec<i64> = grades.values().copied().filter(|grade| *grade > 0).collect();
        if ideal.is_empty() {
            continue;
        }
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        let gain = |grades: &mut dyn Iterator<Item = i64>| -> f64 {
            let mut sum = 0.0;
            for (rank, grade) in (1_u32..=10).zip(grades) {
                sum += grade.max(0) as f64 / f64::from(rank + 1).log2();
            }
            sum
        };
        let documents = run.get(question).map(Vec::as_slice).unwrap_or_default();
        let grade = |document: &String| grades.get(document).copied().unwrap_or(0);
        gains += gain(&mut documents.iter().map(grade)) / gain(&mut ideal.iter().copied());
        let found = documents.iter().take(100).filter(|document| grade(document) > 0).count();
        recalls += found as f64 / ideal.len() as f64;
        questions += 1.0;
    }
    (gains / questions, recalls / questions)
}

#[test]
fn the_arithmetic_is_that_of_the_definition() {
    let judged = [("q", [("a", 3), ("b", 1), ("c", 0), ("d", -1)])].map(|(question, grades)| {
        let grades = grades.map(|(document, grade)| (document.to_owned(), grade));
        (question.to_owned(), BTreeMap::from(grades))
    });
    let judged = BTreeMap::from(judged);
    let run = rankings("query\tdoc\trank\tscore\nq\ta\t3\t1\nq\td\t1\t3\nq\tx\t2\t2\n");
    let (ndcg, recall) = worth(&judged, &run);
    // 3 at the third rank, of 3 at the first and 1 at the second.
    assert!((ndcg - (3.0 / 2.0) / (3.0 + 1.0 / 3_f64.log2())).abs() < 1e-9, "{ndcg}");
    assert!((recall - 0.5).abs() < 1e-9, "{recall}");
}

fn collection(name: &str, floors: (f64, f64)) {
    let Some(folder) = shared(&format!("ir/{name}")) else { return };
    let home = tempfile::tempdir().expect("a directory");
    let out = home.path().join("run.tsv");
    let [corpus, queries] =
        ["corpus.jsonl", "queries.jsonl"].map(|file| folder.join(file).display().to_string());
    let run = out.display().to_string();
    // The bucket is not looked at.
    let bucket = home.path().display().to_string();
    let words =
        ["search", "--corpus", &corpus, "--batch", &queries, "--limit", "100", "--run", &run];
    r2vfs(home.path(), &bucket, &[], &words);
    let mut judged: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for line in fs::read_to_string(folder.join("qrels.tsv")).expect("readable").lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let grade = fields[2].parse().expect("a grade");
        judged.entry(fields[0].to_owned()).or_default().insert(fields[1].to_owned(), grade);
    }
    let (ndcg, recall) = worth(&judged, &rankings(&fs::read_to_string(out).expect("readable")));
    eprintln!("{name}: nDCG@10 {ndcg:.4}, R@100 {recall:.4}");
    assert!(ndcg >= floors.0, "{name}: nDCG@10 {ndcg:.4}, and not {}", floors.0);
    assert!(recall >= floors.1, "{name}: R@100 {recall:.4}, and not {}", floors.1);
}

#[test]
fn cranfield() {
    collection("cranfield", (0.535, 0.765));
}

#[test]
fn scifact() {
    collection("scifact", (0.70, 0.92));
}

#[test]
fn questions_of_customers() {
    let (Some(corpus), Some(asked)) = (otel(), shared("workloads/otel/questions.json")) else {
        return;
    };
    let home = tempfile::tempdir().expect("a directory");
    let asked: Value = serde_json::from_slice(&fs::read(asked).expect("readable")).expect("JSON");
    let asked = asked["questions"].as_array().expect("questions");
    assert_eq!(asked.len(), 60);
    let line = |question: &Value| {
        serde_json::json!({"id": question["id"], "text": question["question"]}).to_string()
    };
    let [queries, out] = ["queries.jsonl", "run.tsv"].map(|file| home.path().join(file));
    let lines: Vec<String> = asked.iter().map(line).collect();
    fs::write(&queries, lines.join("\n")).expect("written");
    let bucket = corpus.display().to_string();
    r2vfs(home.path(), &bucket, &[], &["index", "build"]);
    let [queries, run] = [&queries, &out].map(|path| path.display().to_string());
    r2vfs(
        home.path(),
        &bucket,
        &[],
        &["search", "--batch", &queries, "--limit", "10", "--run", &run],
    );
    let run = rankings(&fs::read_to_string(out).expect("readable"));
    let (mut reciprocal, mut hits) = (0.0, [0; 3]);
    for question in asked {
        let paths = |name: &str| question[name].as_array().cloned().unwrap_or_default();
        let right: BTreeSet<String> = [paths("relevant_paths"), paths("also_relevant")]
            .concat()
            .iter()
            .map(|path| path.as_str().expect("a path").to_owned())
            .collect();
        let id = question["id"].as_str().expect("an id");
        let documents = run.get(id).map(Vec::as_slice).unwrap_or_default();
        let is_right = |path: &String| right.contains(path.trim_start_matches('/'));
        let Some(at) = documents.iter().take(10).position(is_right) else { continue };
        reciprocal += 1.0 / (at + 1) as f64 / asked.len() as f64;
        for (count, within) in hits.iter_mut().zip([1, 5, 10]) {
            *count += i32::from(at < within);
        }
    }
    eprintln!("otel: MRR@10 {reciprocal:.3}, hits at 1, 5 and 10: {hits:?}");
    assert!(reciprocal >= 0.55, "MRR@10 {reciprocal:.3}");
    assert!(hits.iter().zip([27, 46, 50]).all(|(hits, floor)| *hits >= floor), "{hits:?}");
}
