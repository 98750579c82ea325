//! The API's own description: an OpenRPC document made from the types that serve the calls.
//!
//! The methods are those of the list ([`methods`](super::methods)).
//! Beyond OpenRPC it says of each method `x-concurrency` (see [`Concurrency`](super::Concurrency)), `x-scopes` (see
//! [`Method::SCOPES`]) and `x-network` (see [`Method::NEEDS_NETWORK`]), and under `components` the types of events
//! (`x-events`).

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::method::Visitor;
use super::methods::every_method;
use super::{API_VERSION, EVENT_NOTIFICATION, EventBody, Kind, MAX_BATCH, MAX_LINE_BYTES, Method, Notified};

/// Version of the OpenRPC specification the document follows.
const OPENRPC: &str = "1.3.2";

/// The document; always the same text for the same version.
#[must_use]
pub fn document() -> Value {
    let mut writer = Writer::new();
    every_method(&mut writer);
    writer.finish()
}

/// What has been written so far.
struct Writer {
    schemas: SchemaGenerator,
    methods: Vec<Value>,
}

impl Writer {
    fn new() -> Self {
        let settings = SchemaSettings::draft07().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self { schemas: settings.into_generator(), methods: Vec::new() }
    }
}

impl Visitor for Writer {
    fn method<M: Method>(&mut self) {
        let asked = M::json_schema(&mut self.schemas).to_value();
        let answer = self.schemas.subschema_for::<M::Answer>();
        let said = asked.get("description").and_then(Value::as_str).unwrap_or_default();
        let (summary, more) = said.split_once("\n\n").unwrap_or((said, ""));
        let errors = M::kinds().into_iter().map(|kind| json!({ "$ref": format!("#/components/errors/{kind}") }));
        let mut method = json!({
            "name": M::NAME,
            "summary": one_line(summary),
            "paramStructure": "by-name",
            "params": params(&asked),
            "result": { "name": "result", "schema": answer },
            "errors": errors.collect::<Vec<_>>(),
            "examples": [example::<M>()],
            "x-concurrency": M::CONCURRENCY.as_str(),
            "x-scopes": M::SCOPES,
            "x-network": M::NEEDS_NETWORK,
        });
        if let Some(method) = method.as_object_mut().filter(|_| !more.is_empty()) {
            method.insert("description".to_owned(), one_line(more).into());
        }
        self.methods.push(method);
    }
}

impl Writer {
    fn finish(mut self) -> Value {
        let notified = self.schemas.subschema_for::<Notified>();
        let events = events(&EventBody::json_schema(&mut self.schemas).to_value());
        let mut document = json!({
            "openrpc": OPENRPC,
            "info": {
                "title": "chatd",
                "version": API_VERSION,
                "description": format!(
                    "JSON-RPC 2.0 with named parameters. A line, message or body has at most {MAX_LINE_BYTES} bytes, a batch \
                     at most {MAX_BATCH} calls. Unknown keys of parameters are refused; answers and events grow, so readers \
                     ignore keys they do not know. Times are milliseconds since the Unix epoch (`_ms`)."
                ),
            },
            "methods": self.methods,
            "components": {
                "schemas": self.schemas.take_definitions(true),
                "errors": errors(),
                "x-events": events,
                "x-notifications": { EVENT_NOTIFICATION: notified },
            },
        });
        tidy(&mut document);
        document
    }
}

/// Each parameter by its name.
fn params(asked: &Value) -> Vec<Value> {
    let names = asked.get("required").and_then(Value::as_array);
    let required = |name: &String| names.is_some_and(|names| names.contains(&json!(name)));
    let each = asked.get("properties").and_then(Value::as_object).into_iter().flatten();
    each.map(|(name, schema)| json!({ "name": name, "required": required(name), "schema": schema })).collect()
}

/// Type of event to what its `data` is.
fn events(bodies: &Value) -> Map<String, Value> {
    let each = bodies.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    each.filter_map(|body| {
        let name = body.pointer("/properties/type/const")?.as_str()?;
        let schema = body.pointer("/properties/data")?;
        Some((name.to_owned(), json!({ "description": body.get("description"), "schema": schema })))
    })
    .collect()
}

fn errors() -> Map<String, Value> {
    let error = |kind: &Kind| {
        let data = json!({ "kind": kind, "retryable": kind.retryable() });
        let message = kind.as_str().replace('_', " ");
        (kind.to_string(), json!({ "code": kind.code(), "message": message, "data": data }))
    };
    Kind::ALL.iter().map(error).collect()
}

/// A call and its answer, each value by its name.
fn example<M: Method>() -> Value {
    // a test holds every example to its types
    let read = |json: &str| serde_json::from_str::<Value>(json).unwrap_or_default();
    let params = read(M::EXAMPLE.params);
    let each = params.as_object().into_iter().flatten().map(|(name, value)| json!({ "name": name, "value": value }));
    json!({
        "name": "example",
        "params": each.collect::<Vec<_>>(),
        "result": { "name": "result", "value": read(M::EXAMPLE.result) },
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Takes the brackets of Rust's own links out of every description.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if matches!(key.as_str(), "description" | "summary") => {
                        *text = text.replace("[`crate::rpc::", "`").replace("[`", "`").replace("`]", "`");
                    }
                    value => tidy(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(tidy),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::Example;
    use super::*;

    /// Holds examples to their types.
    struct Examples;

    impl Visitor for Examples {
        fn method<M: Method>(&mut self) {
            let Example { params, result } = M::EXAMPLE;
            let call = serde_json::from_str::<M>(params);
            let call = call.unwrap_or_else(|error| panic!("{}: {error}: {params}", M::NAME));
            let said = |json: &str| serde_json::from_str::<Value>(json).unwrap();
            assert_eq!(serde_json::to_value(call).unwrap(), said(params), "{}", M::NAME);
            let answer = serde_json::from_str::<M::Answer>(result);
            let answer = answer.unwrap_or_else(|error| panic!("{}: {error}: {result}", M::NAME));
            assert_eq!(serde_json::to_value(answer).unwrap(), said(result), "{}", M::NAME);
        }
    }

    /// Every `$ref` of the document.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100, "{}", found.len());
        for reference in found {
            let place = document.pointer(reference.strip_prefix('#').unwrap());
            assert!(place.is_some(), "{reference}");
        }
    }

    #[test]
    fn every_method_and_parameter_says_what_it_is_for() {
        for method in document()["methods"].as_array().unwrap() {
            let name = method["name"].as_str().unwrap();
            assert!(!method["summary"].as_str().unwrap().is_empty(), "{name}");
            for param in method["params"].as_array().unwrap() {
                let schema = &param["schema"];
                assert!(schema["description"].is_string() || schema["allOf"].is_array(), "{name}: {param}");
            }
        }
    }

    #[test]
    fn every_example_is_a_call_and_an_answer_of_its_method() {
        every_method(&mut Examples);
    }

    #[test]
    fn every_type_of_event_is_described() {
        let document = document();
        let described: Vec<_> = document["components"]["x-events"].as_object().unwrap().keys().cloned().collect();
        let mut known: Vec<_> = EventBody::TYPES.iter().map(|name| (*name).to_owned()).collect();
        known.sort();
        assert_eq!(described, known);
    }
}
