//! One dispatch for every front end: a name and JSON in, text or JSON out.

use std::{borrow::Cow, sync::Arc};

use serde::Serialize;
use serde_json::Value;

use super::{
    Answer, Bill, DEFAULT_CHARS, Envelope, GlobResult, GrepResult, ListArgs, ListResult, MAX_CHARS,
    ReadArgs, ReadResult, SearchResult, Session, StatResult, VirtualSandbox, arguments::Given,
    least, room::Room, session::Share, text, tools::Format,
};
use crate::{
    error::{Error, Kind, Result},
    vfs::Budget,
};

/// What a front end allows one call.
#[derive(Clone, Debug)]
pub struct CallOptions {
    /// How the answer is given unless the call itself says so.
    pub format: Format,
    /// What it may cost; the sandbox's own bounds hold too.
    pub budget: Budget,
    /// The most results it may give.
    pub results: Option<u64>,
    /// The most characters it may give, within [`MIN_CHARS`](super::MIN_CHARS) and
    /// [`MAX_CHARS`].
    pub chars: usize,
    /// The session that the call belongs to, if not the sandbox's own.
    pub session: Option<Arc<Session>>,
}

impl Default for CallOptions {
    /// Text of [`DEFAULT_CHARS`] characters, without other bounds.
    fn default() -> Self {
        Self {
            format: Format::Text,
            budget: Budget::default(),
            results: None,
            chars: DEFAULT_CHARS,
            session: None,
        }
    }
}

/// What a call gives back: one of the two, never both.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Text made for models.
    Text(String),
    /// The typed answer.
    Structured(Value),
}

/// The end of a call.
#[derive(Clone, Debug)]
pub struct ToolOutput {
    /// The answer, or why there is none.
    pub body: Result<Body>,
    /// How an answer, or an error, is to be given.
    pub format: Format,
    /// What the answer is worth, and what an answer or an error cost.
    pub envelope: Envelope,
    /// Results: entries, paths, matches, lines, hits.
    pub results: u64,
}

impl ToolOutput {
    /// What a model reads, of an error too.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.body {
            Ok(Body::Text(text)) => Cow::Borrowed(text),
            Ok(Body::Structured(json)) => Cow::Owned(json.to_string()),
            Err(error) if self.format == Format::Text => Cow::Owned(text::of_error(error)),
            Err(error) => Cow::Owned(error_json(error).to_string()),
        }
    }

    /// Whether there is no answer.
    pub fn is_error(&self) -> bool {
        self.body.is_err()
    }
}

/// An error as JSON: `kind`, `message`, and where there are any `path` and `hint`.
pub fn error_json(error: &Error) -> Value {
    #[derive(Serialize)]
    struct Shown<'e> {
        kind: Kind,
        message: &'e str,
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<&'e str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'e str>,
    }
    let shown = Shown {
        kind: error.kind(),
        message: error.message(),
        path: error.path(),
        hint: error.advice(),
    };
    serde_json::to_value(shown).unwrap_or_else(|_| Value::String(error.to_string()))
}

/// The typed answer of any tool.
#[derive(Debug)]
pub(super) enum AnyAnswer {
    List(Answer<ListResult>),
    Stat(Answer<StatResult>),
    Read(Answer<ReadResult>),
    Glob(Answer<GlobResult>),
    Grep(Answer<GrepResult>),
    Search(Answer<SearchResult>),
}

impl AnyAnswer {
    pub(super) fn envelope(&self) -> &Envelope {
        match self {
            Self::List(answer) => &answer.envelope,
            Self::Stat(answer) => &answer.envelope,
            Self::Read(answer) => &answer.envelope,
            Self::Glob(answer) => &answer.envelope,
            Self::Grep(answer) => &answer.envelope,
            Self::Search(answer) => &answer.envelope,
        }
    }

    fn results(&self) -> u64 {
        let results = match self {
            Self::List(answer) => answer.result.entries.len(),
            Self::Stat(_) => 1,
            Self::Read(answer) => answer.result.lines.len(),
            Self::Glob(answer) => answer.result.paths.len(),
            Self::Grep(answer) => answer.result.len(),
            Self::Search(answer) => answer.result.hits.len(),
        };
        results as u64
    }

    fn into_json(self) -> Result<Value> {
        match self {
            Self::List(answer) => to_json(answer),
            Self::Stat(answer) => to_json(answer),
            Self::Read(answer) => to_json(answer),
            Self::Glob(answer) => to_json(answer),
            Self::Grep(answer) => to_json(answer),
            Self::Search(answer) => to_json(answer),
        }
    }
}

impl VirtualSandbox {
    /// Runs the tool `name` with `arguments`, a JSON object, and gives the typed answer whole:
    /// for programs, which have room.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for an unknown tool or argument, and what the tool fails with.
    pub async fn call(&self, name: &str, arguments: Value) -> Result<Value> {
        let given = Given::read(name, arguments)?;
        let Some(session) = &self.session else { return self.answer(&given).await?.into_json() };
        let share = session.begin(self.results, MAX_CHARS as u64)?;
        let mut sandbox = self.clone();
        sandbox.results = least(self.results, share.results);
        let answer = sandbox.answer(&given).await?;
        let results = answer.results();
        let json = answer.into_json()?;
        share.pay(results, json.to_string().chars().count() as u64);
        Ok(json)
    }

    /// Runs the tool `name` with `arguments`, a JSON object, within `options`, and gives an answer
    /// that fits a model's context, as text or as JSON.
    pub async fn call_text(
        &self,
        name: &str,
        arguments: Value,
        options: &CallOptions,
    ) -> ToolOutput {
        let started = self.vfs.platform().monotonic();
        let mut format = options.format;
        let bill = self.bill.clone().unwrap_or_default();
        let mut share = None;
        let asked = (name, arguments);
        let done = self.within_room(asked, options, &mut format, &bill, &mut share).await;
        let (body, envelope, results) = match done {
            Ok((body, envelope, results)) => (Ok(body), envelope, results),
            Err(error) => {
                let mut envelope = Envelope { cost: bill.cost(), ..Envelope::default() };
                envelope.failed(&error);
                let elapsed = self.vfs.platform().monotonic().saturating_sub(started);
                envelope.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
                (Err(error), envelope, 0)
            }
        };
        let output = ToolOutput { body, format, envelope, results };
        if let Some(share) = &share {
            share.pay(results, output.text().chars().count() as u64);
        }
        output
    }

    async fn within_room(
        &self,
        (name, arguments): (&str, Value),
        options: &CallOptions,
        format: &mut Format,
        bill: &Arc<Bill>,
        share: &mut Option<Share>,
    ) -> Result<(Body, Envelope, u64)> {
        let given = Given::read(name, arguments)?;
        *format = given.format.unwrap_or(*format);
        let mut sandbox = self.clone();
        sandbox.session = options.session.clone().or(sandbox.session);
        sandbox.budget = self.within(options.budget);
        sandbox.results = least(self.results, options.results);
        let mut chars = options.chars;
        if let Some(session) = &sandbox.session {
            let taken = share.insert(session.begin(sandbox.results, chars as u64)?);
            sandbox.results = least(sandbox.results, taken.results);
            chars = taken.chars.map_or(chars, |left| usize::try_from(left).unwrap_or(chars));
        }
        sandbox.room = Some(Room::new(*format, chars));
        sandbox.bill = Some(bill.clone());
        let answer = sandbox.answer(&given).await?;
        let (envelope, results) = (answer.envelope().clone(), answer.results());
        let body = match format {
            Format::Text => Body::Text(text::of_answer(&answer, &given)),
            Format::Structured => {
                let read = matches!(answer, AnyAnswer::Read(_));
                let most = sandbox.room.map_or(MAX_CHARS, |room| room.answer(read));
                Body::Structured(fitted(answer.into_json()?, most))
            }
        };
        Ok((body, envelope, results))
    }

    /// Runs a tool whose arguments are read.
    async fn answer(&self, given: &Given) -> Result<AnyAnswer> {
        match self.dispatch(given).await {
            Err(error) if error.kind() == Kind::NotFound => match given.literally() {
                Some(again) => self.dispatch(&again).await.map_err(|_| error),
                None => Err(error),
            },
            done => done,
        }
    }

    async fn dispatch(&self, given: &Given) -> Result<AnyAnswer> {
        Ok(match given.tool.name {
            "list" => AnyAnswer::List(Box::pin(self.list(given.typed()?)).await?),
            "stat" => AnyAnswer::Stat(Box::pin(self.stat(given.typed()?)).await?),
            "read" => {
                let args: ReadArgs = given.typed()?;
                let path = args.path.clone();
                match Box::pin(self.read(args)).await {
                    Ok(answer) => AnyAnswer::Read(answer),
                    Err(error) if error.kind() == Kind::WrongType => {
                        let args = ListArgs { path, ..ListArgs::default() };
                        AnyAnswer::List(Box::pin(self.list(args)).await?)
                    }
                    Err(error) => return Err(error),
                }
            }
            "glob" => AnyAnswer::Glob(Box::pin(self.glob(given.typed()?)).await?),
            "grep" => AnyAnswer::Grep(Box::pin(self.grep(given.typed()?)).await?),
            _ => AnyAnswer::Search(Box::pin(self.search(given.typed()?)).await?),
        })
    }
}

/// `answer` within `most` characters: results have left room for an envelope, and not for all that
/// one may hold. Of what was skipped the counts stay, and as many names as fit.
fn fitted(mut answer: Value, most: usize) -> Value {
    let chars = |value: &Value| value.to_string().chars().count();
    let mut over = chars(&answer).saturating_sub(most);
    for list in ["skipped", "notes"] {
        let Some(named) = answer.pointer_mut(&format!("/envelope/{list}")) else { continue };
        while over > 0
            && let Some(last) = named.as_array_mut().and_then(Vec::pop)
        {
            over = over.saturating_sub(chars(&last) + 1);
        }
    }
    answer
}

fn to_json<T: Serialize>(answer: T) -> Result<Value> {
    serde_json::to_value(answer).map_err(|error| {
        Error::new(Kind::Io, "the answer cannot be written as JSON").because(error)
    })
}
