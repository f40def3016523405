//! All keys below a prefix, listed in several ranges at once.
//!
//! Page N + 1 needs the token of page N, so a hundred thousand keys are a hundred rounds in a
//! row. Whoever has listed before knows where to start in the middle, but starting there has
//! lost keys (R2, geesefs #56), and what is between two ranges is nobody's promise. [`Ranges`]
//! trusts nothing of it: each range's keys lie past its bound and rise, and each goes on until it
//! meets the next, whose first keys must be the same (`lanes`). Where they are not, it asks once
//! more, for keys come and go meanwhile; and then falls back to ranges by prefix (`prefixes`), and
//! where these do not part the keys well, to one page after another. What was handed out until
//! then stays, and is not repeated.
//!
//! On a server that does not list in byte order no range means anything. Then the listing starts
//! again, one page after another, from its first key, and [`Ranges::restarted`] says so: who builds
//! on order has to sort, and drops what it has already.
//!
//! Where to start is what an earlier listing teaches ([`Milestones`]). It may be of any age: it
//! decides how evenly the work is shared and never what is listed.

use std::sync::Arc;

use super::{Bucket, Call, ListPage, ListRequest, ListingNotes, Pages};
use crate::{error::Result, platform::Platform};

mod lanes;
mod milestones;
mod prefixes;

use lanes::{Base, Lanes, Progress, Step};
pub use milestones::Milestones;

/// Keys of an S3 page, as it has them unless fewer are asked for.
const PAGE: u32 = 1000;

/// The pages of one listing, several at a time, in the order of their keys. A page may be shorter
/// than the server's, and its `next` means nothing.
#[derive(Debug)]
pub struct Ranges {
    base: Base,
    milestones: Milestones,
    phase: Phase,
    remarks: Vec<String>,
    restarted: bool,
    /// Of phases that are over.
    notes: ListingNotes,
}

#[derive(Debug)]
enum Phase {
    /// Ranges that start in the middle.
    Starts(Box<Lanes>),
    /// Ranges by prefix.
    Prefixes(Box<Lanes>),
    /// One page after another, without what was handed out.
    Rest {
        pages: Box<Pages>,
        progress: Progress,
    },
    /// One page after another, whatever it holds.
    Pages(Box<Pages>),
    Over,
}

impl Ranges {
    /// Lists what `request` asks for, a prefix and no start. Nothing is sent before the first
    /// [`next`](Self::next).
    pub fn new(
        bucket: Arc<dyn Bucket>,
        call: Call,
        platform: Platform,
        request: ListRequest,
        milestones: Milestones,
    ) -> Self {
        let page = u64::from(request.max_keys.unwrap_or(PAGE).clamp(1, PAGE));
        let bounds = milestones.bounds(&request.prefix, page);
        let overlap = milestones::overlap(page);
        let base = Base { bucket, call, platform, request, overlap };
        let after = std::iter::once(None).chain(bounds.iter().cloned().map(Some));
        let until = bounds.iter().cloned().map(Some).chain([None]);
        let lanes = after.zip(until).map(|(after, until)| base.between(after, until)).collect();
        let lanes = Lanes::new(base.clone(), lanes, Progress::default());
        Self {
            base,
            milestones,
            phase: Phase::Starts(Box::new(lanes)),
            remarks: Vec::new(),
            restarted: false,
            notes: ListingNotes::default(),
        }
    }

    /// The next page, or `None` after the last one.
    ///
    /// # Errors
    /// As [`Pages::next`]. After an error the listing is over.
    pub async fn next(&mut self) -> Result<Option<ListPage>> {
        loop {
            let step = match &mut self.phase {
                Phase::Starts(lanes) | Phase::Prefixes(lanes) => lanes.next().await,
                Phase::Rest { pages, progress } => {
                    let page = Box::pin(pages.next()).await;
                    match page {
                        Ok(Some(_)) if pages.notes().out_of_order > 0 => Step::Disorder,
                        Ok(Some(page)) => match progress.trim(page) {
                            Some(page) => Step::Page(page),
                            None => continue,
                        },
                        Ok(None) => Step::End,
                        Err(error) => Step::Failed(error),
                    }
                }
                Phase::Pages(pages) => match Box::pin(pages.next()).await {
                    Ok(Some(page)) => Step::Page(page),
                    Ok(None) => Step::End,
                    Err(error) => Step::Failed(error),
                },
                Phase::Over => return Ok(None),
            };
            match step {
                Step::Page(page) => return Ok(Some(page)),
                Step::End => {
                    self.leave();
                    return Ok(None);
                }
                Step::Failed(error) => {
                    self.leave();
                    return Err(error);
                }
                Step::Unmet => self.fall_back().await?,
                Step::Disorder => self.restart(),
            }
        }
    }

    /// Ends the phase, and tells what was handed out.
    fn leave(&mut self) -> Progress {
        let noted = self.noted();
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        self.notes = noted;
        let progress = match phase {
            Phase::Starts(lanes) | Phase::Prefixes(lanes) => lanes.into_progress(),
            Phase::Rest { progress, .. } => progress,
            Phase::Pages(_) | Phase::Over => Progress::default(),
        };
        Progress { pages: 0, ..progress }
    }

    async fn fall_back(&mut self) -> Result<()> {
        let by_prefix = matches!(self.phase, Phase::Starts(_));
        let progress = self.leave();
        let pages = self.milestones.count() / u64::from(PAGE);
        let (known, last) = (self.milestones.keys(), progress.last.as_deref());
        let lanes = match by_prefix {
            true => prefixes::lanes(&self.base, known, last, pages).await?,
            false => None,
        };
        let how = match lanes {
            Some(lanes) => {
                let lanes = Lanes::new(self.base.clone(), lanes, progress);
                self.phase = Phase::Prefixes(Box::new(lanes));
                "directory by directory"
            }
            None => {
                let pages = Box::new(self.base.pages(self.base.request.clone()));
                self.phase = Phase::Rest { pages, progress };
                "one page after another"
            }
        };
        self.remarks.push(format!(
            "the server's listings from the middle on cannot be trusted (they leave keys out, or \
             start elsewhere): it was listed {how}"
        ));
        Ok(())
    }

    /// Begins again with the first key.
    fn restart(&mut self) {
        let progress = self.leave();
        self.restarted |= progress.any();
        self.phase = Phase::Pages(Box::new(self.base.pages(self.base.request.clone())));
        self.remarks.push(
            "the server lists some range of keys out of byte order: it was listed one page after \
             another"
                .to_owned(),
        );
    }

    /// Whether the listing began again after something had been handed out: what is handed out
    /// from then on is all of it, in whatever order the server gives.
    pub fn restarted(&self) -> bool {
        self.restarted
    }

    /// What was seen so far. Keys out of order are counted only where that was the end of ranges.
    pub fn notes(&self) -> ListingNotes {
        self.noted()
    }

    fn noted(&self) -> ListingNotes {
        let now = match &self.phase {
            Phase::Starts(lanes) | Phase::Prefixes(lanes) => {
                ListingNotes { pages: lanes.progress().pages, out_of_order: 0 }
            }
            Phase::Rest { pages, .. } => ListingNotes { out_of_order: 0, ..pages.notes() },
            Phase::Pages(pages) => pages.notes(),
            Phase::Over => ListingNotes::default(),
        };
        ListingNotes {
            pages: self.notes.pages + now.pages,
            out_of_order: self.notes.out_of_order + now.out_of_order,
        }
    }

    /// Bytes of the pages that were fetched and not handed out, about.
    pub fn waiting(&self) -> usize {
        match &self.phase {
            Phase::Starts(lanes) | Phase::Prefixes(lanes) => lanes.waiting(),
            Phase::Rest { .. } | Phase::Pages(_) | Phase::Over => 0,
        }
    }

    /// What a person should know about how it was listed.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }
}
