//! A tool's arguments: described to the model by a JSON schema, and checked
//! against that same schema, so that the two cannot differ. The schemas keep to
//! the subset that every client's model API takes.

use awsso_proto::{Failure, Reason};
use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A closed object; `required` names the properties that must be there.
pub(crate) fn schema(properties: Value, required: &[&str]) -> JsonObject {
    let mut schema = JsonObject::new();
    schema.insert("type".into(), json!("object"));
    schema.insert("properties".into(), properties);
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    schema.insert("additionalProperties".into(), json!(false));
    schema
}

/// Checks the arguments and reads them; the failure is one line for a model.
pub(crate) fn read<T: DeserializeOwned>(
    schema: &JsonObject,
    mut arguments: JsonObject,
) -> Result<T, Failure> {
    // Models write null for what they leave out.
    arguments.retain(|_, value| !value.is_null());
    check(schema, &mut arguments)
        .and_then(|()| {
            serde_json::from_value(Value::Object(arguments)).map_err(|error| error.to_string())
        })
        .map_err(|line| Failure::new(Reason::InvalidArgument, line))
}

fn check(schema: &JsonObject, arguments: &mut JsonObject) -> Result<(), String> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    for (name, value) in arguments.iter_mut() {
        let Some(property) = properties.get(name) else {
            let known: Vec<_> = properties.keys().map(String::as_str).collect();
            return Err(format!(
                "unknown argument {name}; known are: {}",
                known.join(", ")
            ));
        };
        check_value(property, value).map_err(|what| format!("{name} must be {what}"))?;
    }
    let required = schema.get("required").and_then(Value::as_array);
    let missing: Vec<_> = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|name| !arguments.contains_key(*name))
        .collect();
    match missing.as_slice() {
        [] => Ok(()),
        names => Err(format!("missing: {}", names.join(", "))),
    }
}

fn check_value(property: &Value, value: &mut Value) -> Result<(), String> {
    match property["type"].as_str() {
        Some("boolean") if !value.is_boolean() => Err("true or false".into()),
        Some("string") => match value.as_str() {
            None => Err("a string".into()),
            Some("") if property["minLength"].is_u64() => Err("a non-empty string".into()),
            Some(text) => match property["enum"].as_array() {
                Some(words) if !words.iter().any(|word| word == text) => {
                    let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
                    Err(format!("one of: {}", words.join(", ")))
                }
                _ => Ok(()),
            },
        },
        Some("array") => check_array(property, value),
        Some("integer") => {
            let range = property["minimum"].as_i64().unwrap_or(i64::MIN)
                ..=property["maximum"].as_i64().unwrap_or(i64::MAX);
            match as_integer(value).filter(|number| range.contains(number)) {
                Some(number) => {
                    *value = json!(number);
                    Ok(())
                }
                None => Err(format!(
                    "an integer from {} to {}",
                    range.start(),
                    range.end()
                )),
            }
        }
        _ => Ok(()),
    }
}

fn check_array(property: &Value, value: &mut Value) -> Result<(), String> {
    let Some(items) = value.as_array_mut() else {
        return Err("an array".into());
    };
    if items.is_empty() && property["minItems"].is_u64() {
        return Err("an array that is not empty".into());
    }
    if let Some(most) = property["maxItems"].as_u64()
        && items.len() as u64 > most
    {
        return Err(format!("an array of at most {most}"));
    }
    let mut checked = items
        .iter_mut()
        .map(|item| check_value(&property["items"], item));
    checked
        .try_for_each(|item| item)
        .map_err(|what| format!("an array; each element {what}"))
}

/// `10.0` is an integer to JSON schema, though not to serde.
fn as_integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        format!("{number}").parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Args {
        account_id: String,
        wait_seconds: Option<u64>,
    }

    fn read_args(arguments: Value) -> Result<Args, String> {
        let schema = schema(
            json!({
                "accountId": {"type": "string", "minLength": 1},
                "waitSeconds": {"type": "integer", "minimum": 0, "maximum": 50},
            }),
            &["accountId"],
        );
        let Value::Object(arguments) = arguments else {
            panic!("an object")
        };
        read(&schema, arguments).map_err(|failure| failure.message)
    }

    #[test]
    fn good_arguments_are_read_and_null_means_left_out() {
        let expected = |wait_seconds| Args {
            account_id: "1".into(),
            wait_seconds,
        };
        let read = read_args(json!({"accountId": "1", "waitSeconds": 10.0}));
        assert_eq!(read, Ok(expected(Some(10))));
        let read = read_args(json!({"accountId": "1", "waitSeconds": null}));
        assert_eq!(read, Ok(expected(None)));
    }

    #[test]
    fn each_mistake_is_named_in_one_line() {
        let line = |arguments| read_args(arguments).unwrap_err();
        assert_eq!(line(json!({})), "missing: accountId");
        assert_eq!(line(json!({"accountId": null})), "missing: accountId");
        assert_eq!(
            line(json!({"accountId": 123})),
            "accountId must be a string"
        );
        assert_eq!(
            line(json!({"accountId": ""})),
            "accountId must be a non-empty string"
        );
        assert_eq!(
            line(json!({"accountId": "1", "waitSeconds": 51})),
            "waitSeconds must be an integer from 0 to 50"
        );
        assert_eq!(
            line(json!({"account": "1"})),
            "unknown argument account; known are: accountId, waitSeconds"
        );
    }
}
