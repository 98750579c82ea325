//! Tokens: what they open, what they are confined to, and how they end, over every transport.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_protocol::rpc::events::PresenceChanged;
use chat_protocol::rpc::{EventBody, Scope, openrpc};
use chatd::rpc::MAX_TOKEN_CONNECTIONS;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::fake::{Served, nothing_much, serve, user};
use crate::web::{bearer, dial, post, say, token};
use crate::{Script, kind};

/// A connection on the socket that has shown its token.
async fn with_token(served: &Served, token: &str) -> Script {
    let mut script = Script::connect(served).await;
    let hello = script.call("hello", json!({"api": "1", "client": "bot/1", "token": token})).await;
    assert_eq!(hello["result"]["api"], "1", "{hello}");
    script
}

/// Every method of the document, with the scopes that open it.
fn methods() -> Vec<(String, Vec<String>)> {
    let document = openrpc::document();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let method = |method: &Value| {
        (text(&method["name"]), method["x-scopes"].as_array().unwrap().iter().map(text).collect::<Vec<_>>())
    };
    document["methods"].as_array().unwrap().iter().map(method).collect()
}

/// Everything a token can be allowed but this.
fn without(scopes: &[String]) -> Vec<&'static str> {
    Scope::ALL.iter().map(|scope| scope.as_str()).filter(|scope| !scopes.iter().any(|named| named == scope)).collect()
}

fn line(method: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}).to_string()
}

#[tokio::test]
async fn atk_60_no_method_is_open_to_a_token_without_its_scope_on_any_transport() {
    let served = serve();
    for (number, (method, scopes)) in methods().into_iter().enumerate().filter(|(_, (_, scopes))| !scopes.is_empty()) {
        let token = token(&served, &format!("bot{number}"), json!({"scopes": without(&scopes)})).await;
        let mut script = with_token(&served, &token).await;
        assert_eq!(kind(&script.call(&method, json!({})).await), "forbidden_scope", "{method} on the socket");
        script.write(format!("[{}]\n", line(&method))).await;
        assert_eq!(kind(&script.line().await[0]), "forbidden_scope", "{method} in a batch");
        let reply = post(&served, &[&bearer(&token)], &line(&method)).await;
        assert_eq!(kind(&reply.body), "forbidden_scope", "{method} over HTTP");
        let stream = TcpStream::connect(served.port).await.unwrap();
        let mut socket = dial(stream, &[("authorization", &format!("Bearer {token}"))]).await.unwrap();
        assert_eq!(kind(&say(&mut socket, line(&method)).await), "forbidden_scope", "{method} over WebSocket");
    }
}

#[tokio::test]
async fn a_scope_opens_its_methods() {
    let served = serve();
    let ends = ["daemon.shutdown", "account.logout"];
    for (number, (method, scopes)) in methods().into_iter().enumerate() {
        if scopes.iter().any(|scope| scope == "owner") || ends.contains(&method.as_str()) {
            continue;
        }
        let token = token(&served, &format!("bot{number}"), json!({"scopes": scopes})).await;
        let answer = with_token(&served, &token).await.call(&method, json!({})).await;
        assert_ne!(kind(&answer), "forbidden_scope", "{method}: {answer}");
    }
}

#[tokio::test]
async fn a_token_is_kept_to_its_chats() {
    let served = serve();
    let mut owner = Script::connect(&served).await;
    let bob = owner.call("msg.send", json!({"to": "@bob", "text": "for bob"})).await["result"]["id"].clone();
    let carol = owner.call("msg.send", json!({"to": "@carol", "text": "for carol"})).await["result"]["id"].clone();
    let scopes = ["read:events", "read:history", "send", "react", "contacts", "identity"];
    let scopes = json!({"scopes": scopes, "chats": ["@bob"]});
    let mut bot = with_token(&served, &token(&served, "bot", scopes).await).await;
    assert_eq!(bot.call("msg.get", json!({"id": bob})).await["result"]["text"], "for bob");
    for (method, params) in [
        ("msg.get", json!({"id": carol})),
        ("msg.status", json!({"id": carol})),
        ("msg.edit", json!({"id": carol, "text": "mine"})),
        ("msg.delete", json!({"id": carol, "scope": "self"})),
        ("msg.react", json!({"id": carol, "emoji": "👍"})),
        ("msg.cancel", json!({"id": carol})),
        ("msg.resend", json!({"id": carol})),
        ("msg.list", json!({"to": "@carol"})),
        ("msg.send", json!({"to": "@carol", "text": "hi"})),
        ("msg.search", json!({"query": "for"})),
        ("msg.outbox", json!({})),
        ("msg.export.page", json!({"format": "md"})),
        ("msg.export.page", json!({"format": "md", "to": "@carol"})),
        ("chat.get", json!({"to": "@carol"})),
        ("chat.unread", json!({})),
        ("chat.mark_read", json!({"to": "@carol"})),
        ("chat.open", json!({"to": "@carol"})),
        ("contact.list", json!({})),
        ("contact.get", json!({"user": "carol"})),
        ("contact.set", json!({"user": "carol", "note": "mine"})),
        ("contact.block", json!({"user": "carol"})),
        ("contact.unblock", json!({"user": "carol"})),
        ("profile.get", json!({"user": "carol"})),
        ("presence.list", json!({})),
        ("user.lookup", json!({"users": ["carol"]})),
        ("identity.get", json!({"user": "carol"})),
        ("identity.verify", json!({"user": "carol", "fingerprint": "04".repeat(32)})),
        ("identity.unverify", json!({"user": "carol"})),
        ("identity.policy.get", json!({"chat": "@carol"})),
        ("identity.policy.set", json!({"chat": "@carol", "policy": "tofu"})),
        ("identity.policy.set", json!({"policy": "tofu"})),
        (
            "identity.accept",
            json!({"user": "carol", "fingerprint": "0".repeat(64), "head": {"seq": 0, "hash": "0".repeat(64)}}),
        ),
    ] {
        let refused = bot.call(method, params.clone()).await;
        assert_eq!(kind(&refused), "forbidden_scope", "{method} {params}: {refused}");
        let told = refused.to_string();
        assert!(!told.contains("carol"), "whose message it is, is not for it to know: {told}");
    }
    for method in ["contact.get", "identity.get"] {
        assert!(bot.call(method, json!({"user": "bob"})).await["result"].is_object(), "{method}");
    }
    assert!(bot.call("msg.send", json!({"to": "@BOB", "text": "hi"})).await["result"].is_object());
}

#[tokio::test]
async fn a_token_kept_to_chats_hears_of_nothing_else() {
    let served = serve();
    let bound = json!({"scopes": ["read:events"], "chats": ["@bob"]});
    let mut bot = with_token(&served, &token(&served, "bot", bound).await).await;
    bot.call("events.subscribe", json!({"from": "start"})).await;
    let mut owner = Script::connect(&served).await;
    owner.call("msg.send", json!({"to": "@carol", "text": "secret"})).await;
    served.fake.say(&EventBody::Presence(PresenceChanged { online: vec![user("dave")], offline: vec![] }));
    owner.call("contact.set", json!({"user": "carol", "note": "secret"})).await;
    owner.call("msg.send", json!({"to": "@bob", "text": "for you"})).await;
    served.fake.append(None, &nothing_much(1));
    assert_eq!(bot.event().await["data"]["text"], "for you");
    assert_eq!(bot.event().await["type"], "sync.done");
    let pulled = bot.call("events.pull", json!({"consumer": "bot"})).await;
    let heard = pulled["result"]["events"].as_array().unwrap();
    assert!(heard.iter().all(|event| event["chat"] != "@carol"), "{pulled}");
}

#[tokio::test]
async fn what_was_written_is_in_no_answer_to_a_token_that_may_not_read() {
    let served = serve();
    let id = json!(served.fake.receive("bob", "secret"));
    let writer = json!({"scopes": ["send", "react"]});
    let mut bot = with_token(&served, &token(&served, "writer", writer).await).await;
    for (method, params) in
        [("chat.set", json!({"to": "@bob", "archived": true})), ("msg.react", json!({"id": id, "emoji": "👍"}))]
    {
        let answer = bot.call(method, params.clone()).await;
        assert!(answer["result"].is_object() && !answer.to_string().contains("secret"), "{method}: {answer}");
        let shown = Script::connect(&served).await.call(method, params).await;
        assert!(shown.to_string().contains("secret"), "the owner reads it: {shown}");
    }
}

#[tokio::test]
async fn no_file_is_read_or_written_for_a_token() {
    let served = serve();
    let mut bot = with_token(&served, &token(&served, "all", json!({"scopes": Scope::ALL})).await).await;
    let parts = json!({"user": "alice", "password": "x", "server": "h:1", "server_key": "k", "secret_key_file": "/f"});
    for (method, params) in [
        ("msg.export", json!({"format": "md", "out": "/tmp/never"})),
        ("account.login", json!({"user": "alice", "password_file": "/etc/shadow"})),
        ("account.register", parts.clone()),
        ("account.reset", json!({"user": "alice", "confirm": "alice", "password_file": "/etc/shadow"})),
    ] {
        assert_eq!(kind(&bot.call(method, params.clone()).await), "forbidden_scope", "{method} {params}");
    }
}

#[tokio::test]
async fn atk_59_whoever_shows_a_bad_token_on_the_socket_is_not_taken_for_the_owner() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    for api in ["1", "2"] {
        let hello = script.call("hello", json!({"api": api, "client": "bot/1", "token": "chatd_revoked"})).await;
        assert_eq!(kind(&hello), "unauthenticated");
        assert_eq!(kind(&script.call("msg.list", json!({"to": "@bob"})).await), "unauthenticated");
    }
    let good = token(&served, "bot", json!({})).await;
    script.call("hello", json!({"api": "1", "client": "bot/1", "token": good})).await;
    assert!(script.call("msg.list", json!({"to": "@bob"})).await["result"].is_object());
}

#[tokio::test]
async fn calls_written_behind_a_token_have_its_rights_already() {
    let served = serve();
    let token = token(&served, "reader", json!({"scopes": ["read:history"]})).await;
    for _ in 0..20 {
        let mut script = Script::connect(&served).await;
        let hello = json!({"api": "1", "client": "bot/1", "token": token});
        let lines = [("hello", hello), ("msg.send", json!({"to": "@bob", "text": "hi"}))].map(|(method, params)| {
            json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params}).to_string() + "\n"
        });
        script.write(lines.concat()).await;
        assert_eq!(script.line().await["id"], "hello");
        assert_eq!(kind(&script.line().await), "forbidden_scope");
    }
    assert!(served.fake.state().messages.is_empty());
}

#[tokio::test]
async fn another_token_ends_what_was_begun_with_the_rights_before() {
    let served = serve();
    let second = token(&served, "second", json!({"chats": []})).await;
    let mut script = Script::connect(&served).await;
    for before in [None, Some(token(&served, "first", json!({})).await)] {
        if let Some(token) = before {
            script.call("hello", json!({"api": "1", "client": "bot/1", "token": token})).await;
        }
        let begun = script.call("events.subscribe", json!({})).await["result"]["subscription"].clone();
        script.call("hello", json!({"api": "1", "client": "bot/1", "token": second})).await;
        let ended = script.call("events.unsubscribe", json!({"subscription": begun})).await;
        assert_eq!(kind(&ended), "not_found", "it goes on with rights that are no more");
    }
}

#[tokio::test]
async fn a_pull_tells_nothing_once_its_token_is_revoked() {
    let served = serve();
    let token = token(&served, "bot", json!({})).await;
    let pull =
        json!({"jsonrpc": "2.0", "id": 1, "method": "events.pull", "params": {"consumer": "bot", "wait_ms": 60_000}});
    let (header, pull) = (bearer(&token), pull.to_string());
    let head = [header.as_str()];
    let revoked = async {
        served.fake.subscribed().await;
        Script::connect(&served).await.call("token.revoke", json!({"name": "bot"})).await;
        served.fake.receive("bob", "secret");
    };
    let (reply, ()) = tokio::join!(post(&served, &head, &pull), revoked);
    assert_eq!(kind(&reply.body), "unauthenticated", "{}", reply.body);
}

#[tokio::test]
async fn an_empty_list_means_nobody() {
    let served = serve();
    let silent = json!({"scopes": ["send", "read:history"], "allow_to": []});
    let mut bot = with_token(&served, &token(&served, "silent", silent).await).await;
    for to in ["@bob", "self", "room:public"] {
        assert_eq!(kind(&bot.call("msg.send", json!({"to": to, "text": "hi"})).await), "forbidden_scope", "{to}");
        assert!(bot.call("msg.list", json!({"to": to})).await["result"].is_object(), "reading {to} is another matter");
    }
    let blind = json!({"scopes": ["send", "read:history"], "chats": []});
    let mut bot = with_token(&served, &token(&served, "blind", blind).await).await;
    assert_eq!(kind(&bot.call("msg.list", json!({"to": "self"})).await), "forbidden_scope");
    let only_bob = json!({"scopes": ["send"], "allow_to": ["@bob"]});
    let mut bot = with_token(&served, &token(&served, "only", only_bob).await).await;
    assert!(bot.call("msg.send", json!({"to": "@bob", "text": "hi"})).await["result"].is_object());
    assert_eq!(kind(&bot.call("msg.send", json!({"to": "@carol", "text": "hi"})).await), "forbidden_scope");
}

#[tokio::test]
async fn a_token_touches_no_names_but_its_own() {
    let served = serve();
    let mut owner = Script::connect(&served).await;
    owner.call("events.pull", json!({"consumer": "deploy"})).await;
    let mut bot = with_token(&served, &token(&served, "bot", json!({})).await).await;
    for (method, params) in [
        ("events.subscribe", json!({"consumer": "deploy"})),
        ("events.pull", json!({"consumer": "deploy"})),
        ("events.ack", json!({"consumer": "deploy", "seq": 0})),
        ("events.forget", json!({"consumer": "deploy"})),
        ("events.forget", json!({"consumer": "bot2"})),
        ("kv.get", json!({"scope": "deploy", "key": "a"})),
        ("kv.set", json!({"scope": "deploy", "key": "a", "value": 1})),
        ("kv.delete", json!({"scope": "deploy", "key": "a"})),
        ("kv.list", json!({"scope": "deploy"})),
    ] {
        assert_eq!(kind(&bot.call(method, params.clone()).await), "forbidden_scope", "{method} {params}");
    }
    assert!(bot.call("events.subscribe", json!({"consumer": "bot"})).await["result"].is_object());
    assert!(bot.call("events.pull", json!({"consumer": "bot.second"})).await["result"].is_object());
    assert!(bot.call("kv.set", json!({"scope": "bot", "key": "a", "value": 1})).await["result"].is_object());
    let known = bot.call("events.consumers", json!({})).await["result"]["consumers"].clone();
    let names: Vec<_> = known.as_array().unwrap().iter().map(|consumer| consumer["name"].clone()).collect();
    assert_eq!(names, ["bot", "bot.second"]);
}

#[tokio::test]
async fn a_token_writes_no_more_than_its_rate() {
    let served = serve();
    let mut bot = with_token(&served, &token(&served, "bot", json!({"rate": 2})).await).await;
    for _ in 0..2 {
        assert!(bot.call("msg.send", json!({"to": "@bob", "text": "hi"})).await["result"].is_object());
    }
    let refused = bot.call("msg.send", json!({"to": "@bob", "text": "hi"})).await;
    assert_eq!(kind(&refused), "rate_limited");
    assert!(refused["error"]["data"]["retry_after_ms"].as_u64().is_some_and(|wait| wait <= 30_001), "{refused}");
    assert!(bot.call("msg.list", json!({"to": "@bob"})).await["result"].is_object(), "reading goes on");
}

#[tokio::test]
async fn a_revoked_token_ends_its_connections_and_opens_no_more() {
    let served = serve();
    let token = token(&served, "bot", json!({})).await;
    let mut bot = with_token(&served, &token).await;
    bot.call("events.subscribe", json!({})).await;
    let revoked = Script::connect(&served).await.call("token.revoke", json!({"name": "bot"})).await;
    assert_eq!(revoked["result"], json!({}));
    assert_eq!(bot.rest().await, "", "the connection is closed without a word more");
    let again = Script::connect(&served).await.call("hello", json!({"api": "1", "client": "x", "token": token})).await;
    assert_eq!(kind(&again), "unauthenticated");
    assert_eq!(post(&served, &[&bearer(&token)], &line("daemon.info")).await.status, 401);
}

#[tokio::test]
async fn atk_91_a_token_takes_its_own_share_of_the_connections() {
    let served = serve();
    let (bot, other) = (token(&served, "bot", json!({})).await, token(&served, "other", json!({})).await);
    let greeting = |token: &str| json!({"api": "1", "client": "x", "token": token});
    let mut connections = Vec::new();
    for _ in 0..MAX_TOKEN_CONNECTIONS {
        connections.push(with_token(&served, &bot).await);
    }
    let mut one_more = Script::connect(&served).await;
    assert_eq!(kind(&one_more.call("hello", greeting(&bot)).await), "quota_exceeded");
    assert_eq!(kind(&one_more.call("msg.list", json!({"to": "@bob"})).await), "unauthenticated", "it has no rights");
    assert_eq!(post(&served, &[&bearer(&bot)], &line("daemon.info")).await.status, 429);
    assert!(with_token(&served, &other).await.call("daemon.info", json!({})).await["result"].is_object());
    assert!(Script::connect(&served).await.call("daemon.info", json!({})).await["result"].is_object());
    let mut last = connections.pop().unwrap();
    assert!(last.call("hello", greeting(&bot)).await["result"].is_object(), "it has a place already");
    assert!(last.call("hello", greeting(&other)).await["result"].is_object());
    assert!(one_more.call("hello", greeting(&bot)).await["result"].is_object(), "there is a place again");
    let wrong = one_more.call("hello", greeting("chatd_wrong")).await;
    assert_eq!(kind(&wrong), "unauthenticated");
    let mut another = Script::connect(&served).await;
    assert_eq!(
        kind(&another.call("hello", greeting(&bot)).await),
        "quota_exceeded",
        "who gave up its rights has its place"
    );
}

#[tokio::test]
async fn atk_91_a_token_is_refused_where_the_rest_of_the_line_is_the_users() {
    let served = serve();
    let mut bot = with_token(&served, &token(&served, "bot", json!({})).await).await;
    served.fake.state().queue_full = true;
    assert_eq!(kind(&bot.call("msg.send", json!({"to": "@bob", "text": "hello"})).await), "quota_exceeded");
    assert!(bot.call("msg.list", json!({"to": "@bob"})).await["result"].is_object(), "reading goes on");
    let mut user = Script::connect(&served).await;
    assert!(user.call("msg.send", json!({"to": "@bob", "text": "hello"})).await["result"].is_object());
}

#[tokio::test]
async fn a_token_ends_at_its_time() {
    let served = serve();
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let token = token(&served, "bot", json!({"expires_ms": now + 700})).await;
    let bot = with_token(&served, &token).await;
    let rest = tokio::time::timeout(Duration::from_secs(20), bot.rest()).await.expect("it ends by itself");
    assert_eq!(rest, "");
    let again = Script::connect(&served).await.call("hello", json!({"api": "1", "client": "x", "token": token})).await;
    assert_eq!(kind(&again), "token_expired");
}

#[tokio::test]
async fn a_token_makes_no_token_and_none_is_made_that_makes_no_sense() {
    let served = serve();
    let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    let mut bot = with_token(&served, &token(&served, "bot", json!({"scopes": all})).await).await;
    let more = json!({"name": "more", "scopes": []});
    assert_eq!(kind(&bot.call("token.create", more).await), "forbidden_scope");
    assert_eq!(bot.call("token.list", json!({})).await["result"]["tokens"].as_array().unwrap().len(), 1);
    let mut owner = Script::connect(&served).await;
    for (params, path) in [
        (json!({"name": "a.b", "scopes": []}), "name"),
        (json!({"name": "a", "scopes": ["owner"]}), "scopes[0]"),
        (json!({"name": "a", "scopes": ["sned"]}), "scopes[0]"),
        (json!({"name": "a", "scopes": [], "rate": 0}), "rate"),
        (json!({"name": "a", "scopes": [], "expires_ms": 1000}), "expires_ms"),
        (json!({"name": "a", "scopes": [], "allow_to": ["bob"]}), "allow_to[0]"),
    ] {
        assert_eq!(owner.call("token.create", params.clone()).await["error"]["data"]["path"], path, "{params}");
    }
    assert_eq!(kind(&owner.call("token.create", json!({"name": "bot", "scopes": []})).await), "already_exists");
}

#[tokio::test]
async fn the_journal_has_what_a_token_changed_and_what_it_was_refused() {
    let served = serve();
    let bound = json!({"scopes": ["send", "read:history", "read:events"], "chats": ["@bob"]});
    let mut bot = with_token(&served, &token(&served, "bot", bound).await).await;
    bot.call("msg.list", json!({"to": "@bob"})).await;
    bot.call("msg.send", json!({"to": "@bob", "text": "hi"})).await;
    bot.call("msg.send", json!({"to": "@carol", "text": "hi"})).await;
    bot.call("account.password", json!({})).await;
    bot.call("events.pull", json!({"consumer": "bot"})).await;
    bot.call("events.ack", json!({"consumer": "bot", "seq": 0})).await;
    let page = Script::connect(&served).await.call("audit.list", json!({})).await["result"]["entries"].take();
    let short = |entry: &Value| json!([entry["token"], entry["method"], entry["chat"], entry["refused"]]);
    let entries: Vec<_> = page.as_array().unwrap().iter().map(short).collect();
    assert_eq!(
        entries,
        [
            json!(["bot", "account.password", null, "forbidden_scope"]),
            json!(["bot", "msg.send", "@carol", "forbidden_scope"]),
            json!(["bot", "msg.send", "@bob", null]),
        ]
    );
}

#[test]
fn atk_62_the_text_of_a_token_does_not_print() {
    let text = "chatd_0123456789";
    let made = json!({"token": text, "info": {"name": "a", "scopes": [], "created_ms": 1}});
    let made: chat_protocol::rpc::types::TokenMade = serde_json::from_value(made).unwrap();
    assert!(!format!("{made:?}").contains(text));
}
