//! Compares designs of n-grams.
use grep_matcher::Matcher;
use r2vfs_index::gram::{GAP, Need, fold, need};
use regex_syntax::ParserBuilder;
use std::collections::{HashMap, HashSet};

fn wide(c: char) -> bool {
    matches!(c as u32, 0x2E80..=0x2FDF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF | 0xAC00..=0xD7A3)
}
const NONE: u64 = 0x1FFFFF;
fn key(a: u64, b: u64, c: u64) -> u64 {
    a << 42 | b << 21 | c
}

fn tri(t: &[char], out: &mut Vec<u64>) {
    for w in t.windows(3) {
        if !w.contains(&GAP) {
            out.push(key(w[0] as u64, w[1] as u64, w[2] as u64));
        }
    }
}
fn tri_nonl(t: &[char], out: &mut Vec<u64>) {
    for w in t.windows(3) {
        if !w.contains(&GAP) && !w.contains(&'\n') {
            out.push(key(w[0] as u64, w[1] as u64, w[2] as u64));
        }
    }
}
fn bytes_of(t: &[char]) -> Vec<Vec<u8>> {
    t.split(|&c| c == GAP).map(|p| p.iter().collect::<String>().into_bytes()).collect()
}
fn btri(t: &[char], out: &mut Vec<u64>) {
    for p in bytes_of(t) {
        for w in p.windows(3) {
            out.push(key(w[0] as u64, w[1] as u64, w[2] as u64));
        }
    }
}
fn mixed(t: &[char], out: &mut Vec<u64>, uni: bool, nl: bool) {
    for i in 0..t.len() {
        let a = t[i];
        if a == GAP {
            continue;
        }
        if uni && !a.is_ascii() {
            out.push(key(a as u64, NONE, NONE));
        }
        let Some(&b) = t.get(i + 1) else { continue };
        if b == GAP {
            continue;
        }
        if wide(a) && wide(b) {
            out.push(key(a as u64, b as u64, NONE));
            continue;
        }
        let Some(&c) = t.get(i + 2) else { continue };
        if c == GAP || wide(b) && wide(c) {
            continue;
        }
        if !nl && (a == '\n' || b == '\n' || c == '\n') {
            continue;
        }
        out.push(key(a as u64, b as u64, c as u64));
    }
}
// sparse
fn weight(a: char, b: char, w: &HashMap<(char, char), u32>) -> u64 {
    let n = w.get(&(a, b)).copied().unwrap_or(0) as u64;
    // rarer pairs weigh more, ties by hash
    let h =
        (a as u64).wrapping_mul(0x9E3779B97F4A7C15) ^ (b as u64).wrapping_mul(0xC2B2AE3D27D4EB4F);
    (u64::from(u32::MAX) - n) << 20 | h >> 44
}
fn hash(p: &[char]) -> u64 {
    let s: String = p.iter().collect();
    s.bytes().fold(0xcbf29ce484222325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100000001b3))
        & (1 << 40) - 1
}
const LONGEST: usize = 16;
fn sparse_all(t: &[char], out: &mut Vec<u64>, w: &HashMap<(char, char), u32>) {
    for p in t.split(|&c| c == GAP) {
        if p.len() < 3 {
            continue;
        }
        let ws: Vec<u64> = p.windows(2).map(|x| weight(x[0], x[1], w)).collect();
        // gram from pair i to pair j when all between are lighter than both
        for i in 0..ws.len() {
            let mut max = 0;
            for j in i + 1..ws.len().min(i + LONGEST) {
                if max < ws[i].min(ws[j]) || j == i + 1 {
                    out.push(hash(&p[i..j + 2]));
                }
                max = max.max(ws[j]);
                if max > ws[i] {
                    break;
                }
            }
        }
    }
}
fn sparse_cover(p: &[char], out: &mut Vec<u64>, w: &HashMap<(char, char), u32>) {
    // all maximal grams of the piece
    if p.len() < 3 {
        return;
    }
    let ws: Vec<u64> = p.windows(2).map(|x| weight(x[0], x[1], w)).collect();
    let mut spans = vec![];
    for i in 0..ws.len() {
        let mut max = 0;
        for j in i + 1..ws.len().min(i + LONGEST) {
            if max < ws[i].min(ws[j]) || j == i + 1 {
                spans.push((i, j));
            }
            max = max.max(ws[j]);
            if max > ws[i] {
                break;
            }
        }
    }
    let keep: Vec<_> = spans
        .iter()
        .filter(|a| !spans.iter().any(|b| b != *a && b.0 <= a.0 && b.1 >= a.1))
        .collect();
    for &&(i, j) in &keep {
        out.push(hash(&p[i..j + 2]));
    }
}

fn rice_bits(list: &[u32]) -> u64 {
    (0..24)
        .map(|k| {
            let mut last = -1i64;
            let mut bits = 0u64;
            for &d in list {
                let g = (i64::from(d) - last - 1) as u64;
                bits += (g >> k) + 1 + k;
                last = i64::from(d);
            }
            bits
        })
        .min()
        .unwrap()
}
fn interp_bits(list: &[u32], lo: u32, hi: u32) -> u64 {
    // values in lo..=hi
    if list.is_empty() {
        return 0;
    }
    let m = list.len() / 2;
    let v = list[m];
    let l = lo + m as u32;
    let h = hi - (list.len() - 1 - m) as u32;
    let n = u64::from(h - l) + 1; // choices
    let b = 64 - (n - 1).leading_zeros() as u64;
    let short = (1u64 << b) - n; // truncated binary
    let x = u64::from(v - l);
    let own = if n == 1 {
        0
    } else if x < short {
        b - 1
    } else {
        b
    };
    own + if m > 0 { interp_bits(&list[..m], lo, v - 1) } else { 0 }
        + if m + 1 < list.len() { interp_bits(&list[m + 1..], v + 1, hi) } else { 0 }
}
fn varint_len(x: u64) -> u64 {
    (64 - (x | 1).leading_zeros() as u64).div_ceil(7)
}
fn varint_bytes(list: &[u32]) -> u64 {
    let mut last = -1i64;
    let mut n = 0;
    for &d in list {
        n += varint_len((i64::from(d) - last - 1) as u64);
        last = i64::from(d);
    }
    n
}
fn packed_bits(list: &[u32]) -> u64 {
    let mut last = -1i64;
    let gaps: Vec<u64> = list
        .iter()
        .map(|&d| {
            let g = (i64::from(d) - last - 1) as u64;
            last = i64::from(d);
            g
        })
        .collect();
    gaps.chunks(128)
        .map(|c| {
            let b = 64 - c.iter().max().unwrap().leading_zeros() as u64;
            8 + b * c.len() as u64
        })
        .sum()
}

struct Doc {
    text: Vec<char>,
    raw: String,
}
#[derive(Clone)]
enum Q {
    All,
    None,
    Gram(u64),
    And(Vec<Q>),
    Or(Vec<Q>),
}
fn to_q(n: &Need, g: &dyn Fn(&[char]) -> Vec<u64>) -> Q {
    match n {
        Need::All => Q::All,
        Need::None => Q::None,
        Need::Piece(t) => {
            let v = g(t);
            if v.is_empty() { Q::All } else { Q::And(v.into_iter().map(Q::Gram).collect()) }
        }
        Need::And(v) => Q::And(v.iter().map(|n| to_q(n, g)).collect()),
        Need::Or(v) => Q::Or(v.iter().map(|n| to_q(n, g)).collect()),
    }
}
// evaluates; None = all. `top`: the number of rarest grams of an And that are used
fn eval(
    q: &Q,
    p: &HashMap<u64, Vec<u32>>,
    n: usize,
    top: usize,
    frequent: usize,
    used: &mut HashSet<u64>,
) -> Option<Vec<u32>> {
    match q {
        Q::All => None,
        Q::None => Some(vec![]),
        Q::Gram(g) => {
            used.insert(*g);
            match p.get(g) {
                None => Some(vec![]),
                Some(v) if v.len() > frequent => None,
                Some(v) => Some(v.clone()),
            }
        }
        Q::And(v) => {
            let mut grams: Vec<u64> =
                v.iter().filter_map(|q| if let Q::Gram(g) = q { Some(*g) } else { None }).collect();
            grams.sort();
            grams.dedup();
            grams.sort_by_key(|g| p.get(g).map_or(0, Vec::len));
            grams.truncate(top);
            let mut r: Option<Vec<u32>> = None;
            let mut and = |x: Option<Vec<u32>>| {
                if let Some(x) = x {
                    r = Some(match r.take() {
                        None => x,
                        Some(r) => {
                            let s: HashSet<u32> = x.into_iter().collect();
                            r.into_iter().filter(|d| s.contains(d)).collect()
                        }
                    });
                }
            };
            for g in grams {
                and(eval(&Q::Gram(g), p, n, top, frequent, used));
            }
            for q in v {
                if !matches!(q, Q::Gram(_)) {
                    and(eval(q, p, n, top, frequent, used));
                }
            }
            r
        }
        Q::Or(v) => {
            let mut s = std::collections::BTreeSet::new();
            for q in v {
                s.extend(eval(q, p, n, top, frequent, used)?);
            }
            Some(s.into_iter().collect())
        }
    }
}

fn main() {
    let mut paths = vec![];
    let mut dirs = vec![std::path::PathBuf::from("/work/data/otel")];
    while let Some(d) = dirs.pop() {
        for e in std::fs::read_dir(d).unwrap() {
            let p = e.unwrap().path();
            if p.is_dir() { dirs.push(p) } else { paths.push(p) }
        }
    }
    paths.sort();
    let docs: Vec<Doc> = paths
        .iter()
        .map(|p| {
            let raw = String::from_utf8_lossy(&std::fs::read(p).unwrap()).into_owned();
            Doc { text: raw.chars().map(fold).collect(), raw }
        })
        .collect();
    let bytes: usize = docs.iter().map(|d| d.raw.len()).sum();
    println!("{} docs {} bytes", docs.len(), bytes);
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read("/work/shared/workloads/otel/queries.json").unwrap())
            .unwrap();
    struct Query {
        id: String,
        pattern: String,
        need: Need,
        files: usize,
        truth: Vec<u32>,
    }
    let mut queries = vec![];
    for q in json["queries"].as_array().unwrap() {
        let (mut pattern, i, ml) = (
            q["pattern"].as_str().unwrap().to_owned(),
            q["case_insensitive"].as_bool().unwrap(),
            q["multiline"].as_bool().unwrap(),
        );
        if q["fixed"].as_bool().unwrap() {
            pattern = regex_syntax::escape(&pattern);
        }
        let hir = ParserBuilder::new()
            .multi_line(true)
            .case_insensitive(i)
            .utf8(false)
            .build()
            .parse(&pattern)
            .unwrap();
        let m = {
            let mut b = grep_regex::RegexMatcherBuilder::new();
            b.multi_line(true).case_insensitive(i);
            if !ml {
                b.line_terminator(Some(b'\n'));
            }
            b.build(&pattern).unwrap()
        };
        let truth: Vec<u32> = docs
            .iter()
            .enumerate()
            .filter(|(_, d)| {
                if ml {
                    m.is_match(d.raw.as_bytes()).unwrap()
                } else {
                    d.raw.lines().any(|l| m.is_match(l.as_bytes()).unwrap())
                }
            })
            .map(|(i, _)| i as u32)
            .collect();
        let files = q["files"].as_u64().unwrap() as usize;
        if files != truth.len() {
            println!("{} {pattern:?} {} {}", q["id"], files, truth.len());
        }
        queries.push(Query {
            id: q["id"].as_str().unwrap()[5..].to_owned(),
            pattern,
            need: need(&hir),
            files,
            truth,
        });
    }
    let mut pairs: HashMap<(char, char), u32> = HashMap::new();
    for d in &docs {
        for w in d.text.windows(2) {
            *pairs.entry((w[0], w[1])).or_default() += 1;
        }
    }
    type G<'a> = Box<dyn Fn(&[char]) -> Vec<u64> + 'a>;
    fn g<'a>(f: impl Fn(&[char], &mut Vec<u64>) + 'a) -> G<'a> {
        Box::new(move |t| {
            let mut v = vec![];
            f(t, &mut v);
            v
        })
    }
    let designs: Vec<(&str, G<'_>, G<'_>)> = vec![
        ("char tri", g(tri), g(tri)),
        ("char tri no nl", g(tri_nonl), g(tri_nonl)),
        ("byte tri", g(btri), g(btri)),
        ("mixed", g(|t, o| mixed(t, o, false, true)), g(|t, o| mixed(t, o, false, true))),
        ("mixed+uni", g(|t, o| mixed(t, o, true, true)), g(|t, o| mixed(t, o, true, true))),
        ("mixed+uni no nl", g(|t, o| mixed(t, o, true, false)), g(|t, o| mixed(t, o, true, false))),
        ("sparse", g(|t, o| sparse_all(t, o, &pairs)), g(|t, o| sparse_cover(t, o, &pairs))),
    ];
    for (name, doc, piece) in designs {
        let mut p: HashMap<u64, Vec<u32>> = HashMap::new();
        for (i, d) in docs.iter().enumerate() {
            let mut v = doc(&d.text);
            v.sort_unstable();
            v.dedup();
            for x in v {
                p.entry(x).or_default().push(i as u32);
            }
        }
        let n = docs.len() as u32;
        let postings: usize = p.values().map(Vec::len).sum();
        let pct = |b: u64| b as f64 / bytes as f64 * 100.0;
        let mut keys: Vec<u64> = p.keys().copied().collect();
        keys.sort();
        let mut last = 0;
        let dict: u64 = keys
            .iter()
            .map(|k| {
                let l = varint_len(k - last) + 1;
                last = *k;
                l
            })
            .sum();
        let (mut vi, mut ri, mut it, mut pk, mut best, mut besth, mut single, mut itb, mut itbh) =
            (0, 0, 0, 0, 0, 0, 0, 0, 0);
        for l in p.values() {
            let (r, i, b) = (rice_bits(l), interp_bits(l, 0, n - 1), u64::from(n));
            vi += varint_bytes(l);
            ri += r.div_ceil(8);
            it += i.div_ceil(8);
            pk += packed_bits(l).div_ceil(8);
            let m = r.min(b).div_ceil(8);
            best += m;
            itb += i.min(b).div_ceil(8);
            if l.len() <= n as usize / 2 {
                besth += m;
                itbh += i.min(b).div_ceil(8);
            }
            if l.len() == 1 {
                single += 1;
            }
        }
        println!(
            "\n== {name}: {} grams ({single} in one doc), {postings} postings, dict {:.2}% ; varint {:.1}% packed {:.1}% rice {:.1}% rice|bitmap {:.1}% -half {:.1}% interp {:.1}% |bitmap {:.1}% -half {:.1}%",
            p.len(),
            pct(dict),
            pct(vi),
            pct(pk),
            pct(ri),
            pct(best),
            pct(besth),
            pct(it),
            pct(itb),
            pct(itbh)
        );
        for (label, top, freq) in [
            ("all", 999, usize::MAX),
            ("half", 999, n as usize / 2),
            ("top8", 8, usize::MAX),
            ("top4", 4, usize::MAX),
            ("top3", 3, usize::MAX),
            ("top2", 2, usize::MAX),
            ("top1", 1, usize::MAX),
        ] {
            let mut ratios = vec![];
            let mut lits = vec![];
            let mut line = String::new();
            let mut narrowed = 0;
            let mut cand = 0;
            let mut lookups = vec![];
            for q in &queries {
                let qq = to_q(&q.need, &*piece);
                let mut used = HashSet::new();
                let r = eval(&qq, &p, n as usize, top, freq, &mut used);
                let c = r.as_ref().map_or(docs.len(), Vec::len);
                if let Some(r) = &r {
                    let s: HashSet<u32> = r.iter().copied().collect();
                    for t in &q.truth {
                        assert!(s.contains(t), "{name} {} {}", q.id, q.pattern);
                    }
                    narrowed += 1;
                    lookups.push(used.len());
                }
                cand += c;
                if q.files > 0 {
                    let x = c as f64 / q.files as f64;
                    if r.is_some() {
                        ratios.push(x);
                    }
                    if need_has_literal(&q.need) {
                        lits.push(x);
                    }
                    line += &format!("{} {:.2}{} ", q.id, x, if r.is_some() { "" } else { "A" });
                } else {
                    line += &format!("{} {c}/0 ", q.id);
                }
            }
            ratios.sort_by(f64::total_cmp);
            lits.sort_by(f64::total_cmp);
            lookups.sort();
            println!(
                "{label}: narrowed {narrowed}, median ratio of narrowed {:.3}, of with-literal ({}) {:.3}, mean {:.2}; sum cand {cand}; lookups median {} max {}",
                ratios[ratios.len() / 2],
                lits.len(),
                lits[lits.len() / 2],
                lits.iter().sum::<f64>() / lits.len() as f64,
                lookups[lookups.len() / 2],
                lookups.last().unwrap()
            );
            if label == "all" {
                println!("  {line}");
            }
        }
    }
}
fn need_has_literal(n: &Need) -> bool {
    match n {
        Need::All | Need::None => false,
        Need::Piece(_) => true,
        Need::And(v) => v.iter().any(need_has_literal),
        Need::Or(v) => v.iter().all(need_has_literal),
    }
}
