//! What the tools answer, as JSON Schema.
//!
//! A description beside the types that are serialised tells of last month's answers. These are
//! derived from the types themselves: the ones that [`VirtualSandbox::call`] writes.
//!
//! [`VirtualSandbox::call`]: super::VirtualSandbox::call

use schemars::{Schema, generate::SchemaSettings, transform::transform_subschemas};
use serde_json::{Map, Value, json};

use super::{
    Answer, GlobResult, GrepResult, ListResult, ReadResult, SearchResult, StatResult, Tool,
};

/// The schemas of all answers, for a document that holds them in one place.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerSchemas {
    /// By their names.
    pub definitions: Map<String, Value>,
    answers: Map<String, Value>,
}

impl AnswerSchemas {
    /// The schemas, referring to one another at `place`, a JSON pointer such as
    /// `/components/schemas`.
    pub fn at(place: &'static str) -> Self {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let settings = settings.with(|settings| settings.definitions_path = place.into());
        let mut generator = settings.with_transform(plain).into_generator();
        let list = generator.subschema_for::<Answer<ListResult>>();
        let answers = [
            ("list", json!(list)),
            ("stat", json!(generator.subschema_for::<Answer<StatResult>>())),
            // Of a directory its entries.
            ("read", json!({ "anyOf": [generator.subschema_for::<Answer<ReadResult>>(), list] })),
            ("glob", json!(generator.subschema_for::<Answer<GlobResult>>())),
            ("grep", json!(generator.subschema_for::<Answer<GrepResult>>())),
            ("search", json!(generator.subschema_for::<Answer<SearchResult>>())),
        ];
        let answers = answers.into_iter().map(|(tool, answer)| (tool.to_owned(), answer));
        Self { answers: answers.collect(), definitions: generator.take_definitions(true) }
    }

    /// The schema of what `tool` answers.
    pub fn of(&self, tool: &Tool) -> &Value {
        &self.answers[tool.name]
    }
}

/// Takes out what tells only Rust something: sizes of integers, and line breaks of comments.
fn plain(schema: &mut Schema) {
    transform_subschemas(&mut plain, schema);
    schema.remove("format");
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}
