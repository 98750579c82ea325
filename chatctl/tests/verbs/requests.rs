//! Those who write and are not known are listed, and let in or not.

use chat_protocol::rpc::events::RequestClosed;
use chat_protocol::rpc::types::{Request, RequestKind};
use chat_protocol::rpc::{EventBody, Target};

use super::*;

fn asks(name: &str, since_ms: u64, text: Option<&str>) -> Request {
    let text = text.map(str::to_owned);
    Request { user: fake::user(name), kind: RequestKind::Messages, since_ms, messages: 3, text }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_listed_by_their_age_and_accepted_or_declined() {
    let served = serve();
    assert_eq!(says(&served, &["requests"]), "");
    for (name, since_ms, text) in [("carol", 2_000, None), ("mallory", 1_000, Some("buy\u{1b}[2J this"))] {
        served.fake.state().requests.insert(fake::user(name), asks(name, since_ms, text));
    }
    assert_eq!(
        says(&served, &["requests"]),
        "@mallory  since 1970-01-01 00:00:01Z  messages: 3  buy\\u{1b}[2J this\n\
         @carol  since 1970-01-01 00:00:02Z  messages: 3\n"
    );
    assert!(says(&served, &["status"]).contains("requests     2 users wait to be heard: see `chatctl requests`\n"));
    let json: Value = serde_json::from_str(&says(&served, &["status", "--json"])).unwrap();
    assert_eq!(json["account"]["requests"], 2);
    let json: Value = serde_json::from_str(&says(&served, &["requests", "--json"])).unwrap();
    assert_eq!((&json["requests"][1]["user"], &json["requests"][1]["kind"]), (&json!("carol"), &json!("messages")));
    assert_eq!(says(&served, &["requests", "accept", "@carol"]), "@carol is heard from now on\n");
    let declined = says(&served, &["requests", "decline", "mallory"]);
    assert_eq!(declined, "@mallory is not heard until you write to them or accept\n");
    assert_eq!(says(&served, &["requests"]), "");
    assert!(!says(&served, &["status"]).contains("requests"));
    assert_eq!(run(&served, &["requests", "decline", "mallory"]).0, 66);
    assert_eq!(run(&served, &["requests", "accept", "@nobody"]).0, 66);
    assert_eq!(says(&served, &["requests", "list"]), "");
    let settings = says(&served, &["settings", "--messages-from", "contacts_only"]);
    assert!(settings.contains("--messages-from contacts_only\n"), "{settings}");
    assert_eq!(run(&served, &["settings", "--messages-from", "friends"]).0, 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_listened_to_are_lines_that_count_and_commands_hear_whose_they_are() {
    let served = serve();
    let chat = |name| Some(Target::User(fake::user(name)));
    let closed = |name, accepted| RequestClosed { user: fake::user(name), kind: RequestKind::Messages, accepted };
    served.fake.receive("bob", "hello");
    served.fake.append(chat("mallory").as_ref(), &EventBody::RequestNew(asks("mallory", 1_000, None)));
    served.fake.append(chat("mallory").as_ref(), &EventBody::RequestClosed(closed("mallory", false)));
    served.fake.append(chat("carol").as_ref(), &EventBody::RequestClosed(closed("carol", true)));
    let listen = |count: &str, more: &[&str]| {
        let args = ["listen", "--since", "start", "--count", count];
        run(&served, &[&args[..], more].concat()).1
    };
    assert_eq!(
        listen("1", &["--type", "request.new"]),
        "2023-11-14 22:13:20Z  @mallory  mallory writes, whom you do not know: `chatctl requests` shows it, \
         `chatctl requests accept @mallory` lets them in\n"
    );
    assert_eq!(
        listen("2", &["--type", "request.closed"]),
        "2023-11-14 22:13:20Z  @mallory  what mallory wrote does not wait any more, and is gone\n\
         2023-11-14 22:13:20Z  @carol  carol does not wait any more, and is heard from now on\n"
    );
    assert_eq!(listen("1", &[]), "2023-11-14 22:13:20Z  @bob  bob: hello\n", "unasked they are talk");
    let whose = ["--type", "request.new", "--type", "request.closed", "--exec", "echo $CHAT_TYPE $CHAT_FROM"];
    assert_eq!(listen("3", &whose), "request.new mallory\nrequest.closed mallory\nrequest.closed carol\n");
}
