//! Holds what is really said on the socket against the OpenRPC document.
//!
//! A call that succeeds had parameters the document allows, and an answer it describes; one that fails says a kind of
//! error the document lists for it; an event carries what the document says of its type. Never part of the default
//! features.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests use it, of chatd and the stories: what does not hold fails them"
)]

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// The document, with its schemas ready to use.
pub struct Contract {
    components: Value,
    calls: HashMap<String, Call>,
    event: Validator,
    data: HashMap<String, Value>,
    checked: HashMap<String, Validator>,
}

struct Call {
    params: Validator,
    answer: Validator,
    kinds: Vec<String>,
}

impl Contract {
    /// Reads the document.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn of(document: &Value) -> Self {
        let components = document["components"].clone();
        let calls = document["methods"].as_array().expect("methods").iter();
        let calls = calls.map(|method| (text(&method["name"]), Call::of(method, &components))).collect();
        let event = compile(&components["x-notifications"]["event"], &components);
        let events = components["x-events"].as_object().expect("events").iter();
        let data = events.map(|(name, event)| (name.clone(), event["schema"].clone())).collect();
        Self { components, calls, event, data, checked: HashMap::new() }
    }

    /// Checks a call and what it was answered; methods the document does not know are refused in words.
    ///
    /// # Panics
    /// If the document says otherwise.
    pub fn call(&self, method: &str, params: &Value, answer: &Value) {
        let Some(call) = self.calls.get(method) else {
            assert_eq!(answer["error"]["data"]["kind"], "unknown_method", "{method} is not in the document: {answer}");
            return;
        };
        if let Some(result) = answer.get("result") {
            holds(&call.params, params, &format!("parameters of {method}"));
            holds(&call.answer, result, &format!("answer of {method}"));
        } else {
            let kind = text(&answer["error"]["data"]["kind"]);
            assert!(call.kinds.contains(&kind), "{method} has no error {kind}, says the document: {answer}");
        }
    }

    /// Checks `params` of a notification `event`.
    ///
    /// # Panics
    /// If the document says otherwise.
    pub fn event(&mut self, notified: &Value) {
        holds(&self.event, notified, "an event");
        let name = text(&notified["type"]);
        let schema = self.data.get(&name).unwrap_or_else(|| panic!("the event {name} is not in the document"));
        let checked = self.checked.entry(name.clone()).or_insert_with(|| compile(schema, &self.components));
        holds(checked, &notified["data"], &format!("data of {name}"));
    }
}

impl Call {
    fn of(method: &Value, components: &Value) -> Self {
        let params = method["params"].as_array().expect("params");
        let each = params.iter().map(|param| (text(&param["name"]), param["schema"].clone()));
        let required: Vec<_> = params.iter().filter(|param| param["required"] == true).map(|p| &p["name"]).collect();
        let object = json!({
            "type": "object",
            "properties": each.collect::<Map<_, _>>(),
            "required": required,
            "additionalProperties": false,
        });
        let named = |error: &Value| text(&error["$ref"]).rsplit('/').next().unwrap_or_default().to_owned();
        Self {
            params: compile(&object, components),
            answer: compile(&method["result"]["schema"], components),
            kinds: method["errors"].as_array().expect("errors").iter().map(named).collect(),
        }
    }
}

/// A schema whose references lead into the document.
fn compile(schema: &Value, components: &Value) -> Validator {
    let whole = json!({ "allOf": [schema], "components": components });
    jsonschema::draft7::new(&whole).unwrap_or_else(|error| panic!("{error}: {schema}"))
}

fn holds(validator: &Validator, value: &Value, what: &str) {
    if let Some(error) = validator.iter_errors(value).next() {
        panic!("{what}: {error} at {}, says the document: {value}", error.instance_path());
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
