//! What a JSON document must look like: the exact set of its fields, and a type for
//! each. A shape is written as the document itself, with types in the place of values.
//!
//! - `"string"`, `"number"`, `"bool"`, `"instant"` (RFC 3339, UTC, whole seconds); with `?` also null;
//! - `"a|b"`: one of these words; null, true, a number: itself;
//! - `[shape]`: at least one element, each of this shape; `[]`: an empty array;
//! - `{"name": shape}`: these fields and no others; a name that ends in `?` may be missing.

use serde_json::{Map, Value};

/// Fails on the first difference, and says where it is.
#[track_caller]
pub fn assert_shape(document: &Value, shape: &Value) {
    if let Err(difference) = compare(document, shape, "$") {
        panic!("{difference} in {document:#}");
    }
}

fn compare(value: &Value, shape: &Value, at: &str) -> Result<(), String> {
    match (value, shape) {
        (Value::Object(fields), Value::Object(wanted)) => compare_fields(fields, wanted, at),
        (Value::Array(elements), Value::Array(wanted)) => match wanted.as_slice() {
            [] if elements.is_empty() => Ok(()),
            [wanted] if !elements.is_empty() => {
                let mut indexed = elements.iter().enumerate();
                indexed.try_for_each(|(n, element)| compare(element, wanted, &format!("{at}[{n}]")))
            }
            _ => Err(format!("{at}: {} elements, not {shape}", elements.len())),
        },
        (value, Value::String(kind)) if is(value, kind) => Ok(()),
        (value, itself) if value == itself && !value.is_string() => Ok(()),
        (value, shape) => Err(format!("{at}: {value} is not {shape}")),
    }
}

fn compare_fields(
    fields: &Map<String, Value>,
    wanted: &Map<String, Value>,
    at: &str,
) -> Result<(), String> {
    for (key, shape) in wanted {
        let name = key.trim_end_matches('?');
        match fields.get(name) {
            Some(value) => compare(value, shape, &format!("{at}.{name}"))?,
            None if key.ends_with('?') => {}
            None => return Err(format!("{at}: no {name}")),
        }
    }
    let is_wanted =
        |name: &str| wanted.contains_key(name) || wanted.contains_key(&(name.to_owned() + "?"));
    match fields.keys().find(|name| !is_wanted(name)) {
        Some(name) => Err(format!("{at}: nobody has promised {name}")),
        None => Ok(()),
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match (kind, value) {
        ("string", Value::String(_)) | ("number", Value::Number(_)) | ("bool", Value::Bool(_)) => {
            true
        }
        ("instant", Value::String(text)) => {
            text.replace(|c: char| c.is_ascii_digit(), "0") == "0000-00-00T00:00:00Z"
        }
        (kind, value) => match kind.strip_suffix('?') {
            Some(kind) => value.is_null() || is(value, kind),
            None => kind.split('|').any(|word| value == word),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits(document: &Value, shape: &Value) -> bool {
        compare(document, shape, "$").is_ok()
    }

    #[test]
    fn a_missing_field_and_one_too_many_are_differences() {
        let shape = json!({"a": "number", "b?": "string"});
        assert!(fits(&json!({"a": 1}), &shape));
        assert!(fits(&json!({"a": 1, "b": ""}), &shape));
        assert!(!fits(&json!({"b": ""}), &shape));
        assert!(!fits(&json!({"a": 1, "b": 1}), &shape));
        assert!(!fits(&json!({"a": 1, "c": 1}), &shape));
    }

    #[test]
    fn null_is_a_value_only_where_it_is_promised() {
        for kind in ["string", "number", "bool", "instant", "on|off"] {
            assert!(!fits(&Value::Null, &json!(kind)), "{kind}");
            assert!(fits(&Value::Null, &json!(format!("{kind}?"))), "{kind}");
        }
    }

    #[test]
    fn a_value_of_another_type_or_none_of_the_words_is_a_difference() {
        assert!(!fits(&json!("1"), &json!("number")));
        assert!(!fits(&json!(1), &json!("string")));
        assert!(fits(&json!("2026-11-23T10:00:00Z"), &json!("instant?")));
        assert!(!fits(&json!("2026-11-23T10:00:00.5Z"), &json!("instant")));
        assert!(!fits(
            &json!("2026-11-23T10:00:00+01:00"),
            &json!("instant")
        ));
        assert!(fits(&json!("off"), &json!("on|off")));
        assert!(!fits(&json!("of"), &json!("on|off")));
        assert!(!fits(&json!({}), &json!("string")));
    }

    #[test]
    fn every_element_counts_and_an_empty_array_proves_nothing() {
        let shape = json!([{"a": "bool"}]);
        assert!(fits(&json!([{"a": true}, {"a": false}]), &shape));
        assert!(!fits(&json!([{"a": true}, {"a": null}]), &shape));
        assert!(!fits(&json!([]), &shape));
        assert!(fits(&json!([]), &json!([])));
        assert!(!fits(&json!([1]), &json!([])));
    }
}
