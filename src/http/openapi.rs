//! doc
use axum::Json;
use serde_json::{Value, json};
/// The document.
pub fn document() -> Value { json!({}) }
/// Gives it.
pub(super) async fn get() -> Json<Value> { Json(document()) }
