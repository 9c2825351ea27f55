//! Reading objects as JSON, by pointers ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)). What is absent, or of another
//! type, is empty: the API server has checked the types of what it gives.

use serde_json::Value;

/// The text at a pointer.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at a pointer.
pub fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// The items of the list at a pointer.
pub fn items<'a>(value: &'a Value, pointer: &str) -> impl DoubleEndedIterator<Item = &'a Value> + use<'a> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}
