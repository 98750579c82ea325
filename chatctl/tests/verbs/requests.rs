//! Those who write and are not known are listed, and let in or not.

use chat_protocol::ids::Username;
use chat_protocol::rpc::types::{Request, RequestKind};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_listed_by_their_age_and_accepted_or_declined() {
    let served = serve();
    assert_eq!(says(&served, &["requests"]), "");
    for (name, since_ms, text) in [("carol", 2_000, None), ("mallory", 1_000, Some("buy\u{1b}[2J this"))] {
        let (user, text): (Username, _) = (name.parse().unwrap(), text.map(str::to_owned));
        let request = Request { user: user.clone(), kind: RequestKind::Messages, since_ms, messages: 3, text };
        served.fake.state().requests.insert(user, request);
    }
    assert_eq!(
        says(&served, &["requests"]),
        "@mallory  since 1970-01-01 00:00:01Z  messages: 3  buy\\u{1b}[2J this\n\
         @carol  since 1970-01-01 00:00:02Z  messages: 3\n"
    );
    let json: Value = serde_json::from_str(&says(&served, &["requests", "--json"])).unwrap();
    assert_eq!((&json["requests"][1]["user"], &json["requests"][1]["kind"]), (&json!("carol"), &json!("messages")));
    assert_eq!(says(&served, &["requests", "accept", "@carol"]), "@carol is heard from now on\n");
    let declined = says(&served, &["requests", "decline", "mallory"]);
    assert_eq!(declined, "@mallory is not heard until you write to them or accept\n");
    assert_eq!(says(&served, &["requests"]), "");
    assert_eq!(run(&served, &["requests", "decline", "mallory"]).0, 66);
    assert_eq!(run(&served, &["requests", "accept", "@nobody"]).0, 66);
    assert_eq!(says(&served, &["requests", "list"]), "");
    let settings = says(&served, &["settings", "--messages-from", "contacts_only"]);
    assert!(settings.contains("--messages-from contacts_only\n"), "{settings}");
    assert_eq!(run(&served, &["settings", "--messages-from", "friends"]).0, 64);
}
