//! The examples of the document, carried out: each by a daemon that is logged in to a server, with somebody to write to.

use std::collections::HashMap;
use std::time::Duration;

use chat_protocol::rpc::contract::Contract;
use chat_protocol::rpc::types::{AccountLogin, DeviceApprove, DeviceList, MessagesFrom, MsgSend, SettingsSet};
use chat_protocol::rpc::{EventBody, Handle};
use chatd::rpc::Server;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio_util::sync::CancellationToken;

use crate::house::{Home, House};

/// These come first, each after those that make what it needs.
const FIRST: &[&str] = &[
    "account.register",
    "msg.send",
    "msg.wait",
    "msg.edit",
    "msg.outbox",
    "msg.cancel",
    "msg.resend",
    "contact.set",
    "profile.set",
    "identity.get",
    "events.subscribe",
    "events.pull",
    "kv.set",
    "token.create",
];
/// These come last, since they end something. All others come in between.
const LAST: &[&str] = &[
    "msg.delete",
    "identity.policy.set",
    "kv.delete",
    "token.revoke",
    "device.approve",
    "device.revoke",
    "account.reset",
    "account.reset.cancel",
    "account.logout",
    "account.login",
    "account.password",
    "daemon.shutdown",
];

/// A caller of a daemon, as its parent would be.
struct Caller {
    output: WriteHalf<DuplexStream>,
    input: BufReader<ReadHalf<DuplexStream>>,
    /// Events that came in between.
    heard: Vec<Value>,
}

impl Caller {
    fn of(home: &Home) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (input, output) = tokio::io::split(theirs);
        let server = Server::new(home.daemon.clone(), CancellationToken::new());
        tokio::spawn(server.pipes(input, output));
        let (input, output) = tokio::io::split(ours);
        Self { output, input: BufReader::new(input), heard: Vec::new() }
    }

    /// The answer.
    async fn call(&mut self, method: &str, params: &Value) -> Value {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.output.write_all(format!("{call}\n").as_bytes()).await.unwrap();
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(Duration::from_secs(60), self.input.read_line(&mut line));
            assert_ne!(read.await.expect("an answer").unwrap(), 0, "{method}: the connection was closed");
            let mut said: Value = serde_json::from_str(&line).unwrap();
            if said.get("id").is_some() {
                return said;
            }
            self.heard.push(said["params"].take());
        }
    }
}

/// The daemons, and what their answers said that later calls name.
struct Stage {
    house: House,
    alice: Home,
    /// Of alice too, once it is let in.
    phone: Home,
    told: HashMap<&'static str, Value>,
    files: tempfile::TempDir,
}

impl Stage {
    /// The example's parameters, naming what is there.
    async fn fill(&mut self, method: &str, mut params: Value) -> Value {
        match method {
            "account.register" => params["invite"] = json!(self.house.invite()),
            "account.reset" => params["invite"] = json!(self.house.invite()),
            "msg.outbox" => {
                let later = self.send_later().await;
                self.told.insert("later", later);
            }
            "msg.cancel" | "msg.resend" => params["id"] = self.told["later"].clone(),
            "msg.export" => params["out"] = json!(self.files.path().join("history")),
            "identity.verify" => params["safety_number"] = self.told["bob"]["safety_number"].clone(),
            "identity.accept" => {
                let seen = &self.told["bob"]["seen"][0];
                params["fingerprint"] = seen["fingerprint"].clone();
                params["head"] = seen["head"].clone();
            }
            "request.decline" => self.have_dave_ask().await,
            "events.unsubscribe" => params["subscription"] = self.told["subscription"].clone(),
            "events.ack" => params["seq"] = self.told["seq"].clone(),
            "audit.list" => self.use_token().await,
            "device.approve" => {
                let [id, digits] = self.log_in_on_the_phone().await;
                self.told.insert("phone", id.clone());
                params = json!({"device_id": id, "digits": digits});
            }
            "device.revoke" => {
                self.phone.until(|event| matches!(event, EventBody::SyncDone(_))).await;
                params["device_ids"] = json!([self.told["phone"]]);
            }
            _ if params.get("id").is_some() => params["id"] = self.told["sent"].clone(),
            _ => {}
        }
        params
    }

    /// Keeps what later calls name, and waits for what they need.
    async fn keep(&mut self, method: &str, result: &Value) {
        let (name, value) = match method {
            "account.register" => {
                self.alice.until(|event| matches!(event, EventBody::SyncDone(_))).await;
                return;
            }
            "msg.send" => ("sent", &result["id"]),
            "identity.get" => ("bob", result),
            "events.subscribe" => ("subscription", &result["subscription"]),
            "events.pull" => ("seq", &result["events"][0]["seq"]),
            "token.create" => ("token", &result["token"]),
            "device.approve" => return self.speak_on_the_phone().await,
            _ => return,
        };
        self.told.insert(name, value.clone());
    }

    /// Somebody writes to alice whom she does not know, and does not want to hear.
    async fn have_dave_ask(&self) {
        let contacts_only = SettingsSet { messages_from: Some(MessagesFrom::ContactsOnly), ..SettingsSet::default() };
        self.alice.daemon.handle(contacts_only).await.unwrap();
        let dave = Home::registered(&self.house, "dave").await;
        dave.daemon.handle(MsgSend::text("@alice".parse().unwrap(), "hello")).await.unwrap();
        self.alice.until(|event| matches!(event, EventBody::RequestNew(_))).await;
    }

    /// A message that does not leave yet.
    async fn send_later(&self) -> Value {
        let far = chatd::clock::now().as_millis() + 86_400_000;
        let params = MsgSend { at_ms: Some(far), ..MsgSend::text("@bob".parse().unwrap(), "later") };
        json!(self.alice.daemon.handle(params).await.unwrap().id)
    }

    /// Writes with the token, which is in the journal then.
    async fn use_token(&self) {
        let mut bot = Caller::of(&self.alice);
        bot.call("hello", &json!({"api": "1", "client": "deploy", "token": self.told["token"]})).await;
        let sent = bot.call("msg.send", &json!({"to": "@bob", "text": "deployed"})).await;
        assert!(sent["result"].is_object(), "{sent}");
    }

    /// Its device and the digits on its screen, once alice's device knows of it.
    async fn log_in_on_the_phone(&self) -> [Value; 2] {
        let params = json!({"invite": self.house.invite(), "user": "alice", "password": "correct horse battery"});
        let params: AccountLogin = serde_json::from_value(params).unwrap();
        let entered = self.phone.daemon.handle(params).await.unwrap();
        self.alice.until(|event| matches!(event, EventBody::DeviceWaiting(_))).await;
        [json!(entered.device_id), json!(entered.digits.unwrap())]
    }

    async fn speak_on_the_phone(&self) {
        let shown = self.phone.daemon.handle(DeviceList {}).await.unwrap().devices.remove(0);
        let params = DeviceApprove { device_id: shown.device_id, digits: shown.digits.unwrap() };
        self.phone.daemon.handle(params).await.unwrap();
    }
}

/// What the example has and the answer has not; of a list one element has to be like the example's first.
fn missing(example: &Value, answer: &Value) -> Option<String> {
    match (example, answer) {
        (Value::Object(example), Value::Object(answer)) => example.iter().find_map(|(key, example)| {
            let found = answer.get(key).map_or(Some(String::new()), |answer| missing(example, answer));
            found.map(|within| format!(".{key}{within}"))
        }),
        (Value::Array(example), Value::Array(answer)) => {
            let first = example.first()?;
            let all: Vec<_> = answer.iter().map(|answer| missing(first, answer)).collect();
            if all.iter().any(Option::is_none) {
                None
            } else {
                Some(format!("[]{}", all.into_iter().flatten().next().unwrap_or_default()))
            }
        }
        _ => None,
    }
}

#[tokio::test]
async fn every_method_does_what_its_example_in_the_document_says() {
    let house = House::open().await;
    let bob = Home::registered(&house, "bob").await;
    let (alice, phone, stranger) = (Home::new(), Home::new(), Home::new());
    let mut caller = Caller::of(&alice);
    let mut other = Caller::of(&stranger);
    let document = caller.call("rpc.discover", &json!({})).await["result"].take();
    let mut contract = Contract::of(&document);
    let methods = document["methods"].as_array().unwrap();
    let named = |name: &&str| methods.iter().find(|method| method["name"] == *name).unwrap();
    let placed = |method: &&Value| FIRST.iter().chain(LAST).any(|name| method["name"] == *name);
    let others = methods.iter().filter(|method| !placed(method));

    let mut stage = Stage { house, alice, phone, told: HashMap::new(), files: tempfile::tempdir().unwrap() };
    for method in FIRST.iter().map(named).chain(others).chain(LAST.iter().map(named)) {
        let name = method["name"].as_str().unwrap();
        let example = &method["examples"][0];
        let params = example["params"].as_array().unwrap_or_else(|| panic!("{name} has no example"));
        let params = params.iter().map(|param| (param["name"].as_str().unwrap().to_owned(), param["value"].clone()));
        let params = stage.fill(name, Value::Object(params.collect())).await;
        let caller = if name == "account.reset" { &mut other } else { &mut caller };
        let answer = caller.call(name, &params).await;
        contract.call(name, &params, &answer);
        let result = answer.get("result").unwrap_or_else(|| panic!("{name} {params}: {answer}"));
        let missing = missing(&example["result"]["value"], result);
        assert_eq!(missing, None, "{name}: the example has what the answer has not: {result}");
        stage.keep(name, result).await;
    }
    drop(bob);
    assert!(!caller.heard.is_empty());
    caller.heard.iter().for_each(|event| contract.event(event));
}
