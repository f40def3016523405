//! What every path that a glob matches begins with.
//!
//! Listing a bucket costs a request for each thousand keys, so a glob must not list what it
//! cannot match. Cutting the pattern at its first special character would be wrong for an escape
//! (`\*` is a star) and wasteful for braces (`{docs,kb}/**` needs two listings, not all). [`of`]
//! walks the glob as globset parses it and yields the literal beginnings.

/// Past this many beginnings a brace group is not followed: each is a listing of its own.
const MAX_HEADS: usize = 64;

/// Braces within braces, at most. Whatever reads a glob goes down with them, and a stack ends.
pub(super) const MAX_DEPTH: usize = 64;

/// One beginning; `open` while the literal part goes on.
#[derive(Clone, Debug)]
struct Head {
    text: String,
    open: bool,
}

/// The literal beginnings of a valid glob, possibly with repeats and extensions of each other.
/// With `caseless` a beginning stops before the first ASCII letter, the only characters globset
/// folds.
pub(super) fn of(glob: &str, caseless: bool) -> Vec<String> {
    let chars: Vec<char> = glob.chars().collect();
    let mut walk = Walk { chars: &chars, at: 0, caseless };
    let heads = walk.sequence(vec![Head { text: String::new(), open: true }], 0);
    heads.into_iter().map(|h| h.text).collect()
}

struct Walk<'a> {
    chars: &'a [char],
    at: usize,
    caseless: bool,
}

impl Walk<'_> {
    /// Follows the glob to its end, or to the `,` or `}` that ends a branch of a brace group.
    fn sequence(&mut self, mut heads: Vec<Head>, depth: usize) -> Vec<Head> {
        while let Some(&c) = self.chars.get(self.at) {
            match c {
                ',' | '}' if depth > 0 => break,
                '{' => {
                    self.at += 1;
                    heads = self.braces(heads, depth + 1);
                }
                '?' | '*' => {
                    self.at += 1;
                    close(&mut heads);
                }
                '[' => {
                    self.skip_class();
                    close(&mut heads);
                }
                '\\' => {
                    let literal = self.chars.get(self.at + 1).copied();
                    self.at += 2;
                    if let Some(c) = literal {
                        self.push(&mut heads, c);
                    }
                }
                c => {
                    self.at += 1;
                    self.push(&mut heads, c);
                }
            }
        }
        heads
    }

    /// Follows a brace group whose `{` was passed, `}` included.
    fn braces(&mut self, heads: Vec<Head>, depth: usize) -> Vec<Head> {
        let mut all = Vec::new();
        let mut empty = false;
        loop {
            let start = self.at;
            let branch = self.sequence(heads.clone(), depth);
            // globset drops a branch without content, unless there is no other.
            if self.at == start {
                empty = true;
            } else if all.len() <= MAX_HEADS {
                all.extend(branch);
            }
            let end = self.chars.get(self.at);
            self.at += 1;
            if end != Some(&',') {
                break;
            }
        }
        if all.is_empty() && empty {
            return heads;
        }
        if all.len() > MAX_HEADS {
            all = heads;
            close(&mut all);
        }
        all
    }

    fn push(&self, heads: &mut [Head], c: char) {
        if self.caseless && c.is_ascii_alphabetic() {
            close(heads);
        }
        for head in heads.iter_mut().filter(|h| h.open) {
            head.text.push(c);
        }
    }

    /// Passes a class: `]` is a member where it comes first.
    fn skip_class(&mut self) {
        self.at += 1;
        if matches!(self.chars.get(self.at), Some('!' | '^')) {
            self.at += 1;
        }
        self.at += 1;
        while let Some(&c) = self.chars.get(self.at) {
            self.at += 1;
            if c == ']' {
                break;
            }
        }
    }
}

fn close(heads: &mut [Head]) {
    for head in heads {
        head.open = false;
    }
}

/// The smallest set with the same reach: no member begins with another.
pub(super) fn minimal(mut heads: Vec<String>) -> Vec<String> {
    heads.sort_unstable();
    heads.dedup_by(|next, kept| next.starts_with(kept.as_str()));
    heads
}

/// The column (in characters from 1) of the first thing in `glob` that globset refuses.
pub(super) fn fault_column(glob: &str) -> usize {
    let chars: Vec<char> = glob.chars().collect();
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        match c {
            '\\' if at + 1 == chars.len() => return at + 1,
            '\\' => at += 1,
            '{' => open.push(at),
            '}' if open.pop().is_none() => return at + 1,
            '[' => match class_end(&chars, at) {
                Ok(end) => at = end,
                Err(fault) => return fault + 1,
            },
            _ => {}
        }
        at += 1;
    }
    open.pop().map_or(1, |at| at + 1)
}

/// The column (in characters from 1) of the first brace that is nested too deeply.
pub(super) fn too_deep(glob: &str) -> Option<usize> {
    let chars: Vec<char> = glob.chars().collect();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&c) = chars.get(at) {
        match c {
            '\\' => at += 1,
            '{' if depth == MAX_DEPTH => return Some(at + 1),
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            // One that does not end is refused elsewhere; here what follows only counts as more.
            '[' => at = class_end(&chars, at).unwrap_or(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The index of the `]` that ends the class at `start`, or of what is wrong with it.
fn class_end(chars: &[char], start: usize) -> Result<usize, usize> {
    let mut at = start + 1;
    if matches!(chars.get(at), Some('!' | '^')) {
        at += 1;
    }
    let first = at;
    let mut last: Option<char> = None;
    let mut range = false;
    while let Some(&c) = chars.get(at) {
        match c {
            ']' if at > first => return Ok(at),
            '-' if at > first && !range => range = true,
            c => {
                if range && last.is_some_and(|low| c < low) {
                    return Err(at);
                }
                // The end of a range stays the last member, as in globset.
                last = Some(c);
                range = false;
            }
        }
        at += 1;
    }
    Err(start)
}
