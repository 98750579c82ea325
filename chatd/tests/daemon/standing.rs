//! How the daemon stands with its account and its server, and what others see of it.

use chat_protocol::rpc::types::{
    AccountLogout, AccountReset, AccountResetCancel, AccountStatus, ConnectionState, ConnectionTrouble, IdentityGet,
    KvDelete, MessagesFrom, MsgSend, PresenceList, RequestDecline, ResetProgress, SettingsSet, UserLookup,
};
use chat_protocol::rpc::{EventBody, Handle, Kind, Target};
use chat_server::config::Rates;
use chatd::api::Backend;

use crate::house::{Home, House};

#[tokio::test]
async fn a_daemon_without_account_says_so() {
    let home = Home::new();
    let params = MsgSend::text(Target::Room, "hello");
    assert_eq!(home.daemon.handle(params).await.unwrap_err().kind, Kind::Unauthenticated);
    assert_eq!(home.daemon.health().await.unwrap().connection.state, ConnectionState::Idle);
}

#[tokio::test]
async fn who_is_logged_out_hears_that_and_never_that_there_is_no_account() {
    let house = House::open().await;
    let mut home = Home::registered(&house, "alice").await;
    home.daemon.handle(AccountLogout { forget_keys: None }).await.unwrap();
    for _ in 0..2 {
        let refusal = home.daemon.handle(MsgSend::text(Target::Room, "hello")).await.unwrap_err();
        assert_eq!(refusal.kind, Kind::Unauthenticated);
        assert_eq!(refusal.message, "alice is logged out on this device");
        assert_eq!(refusal.hint.as_deref(), Some("log in again with `chatctl login alice`"));
        let health = home.daemon.health().await.unwrap();
        assert_eq!(health.reason, Some(refusal.message));
        home.restart().await;
    }
}

#[tokio::test]
async fn what_is_asked_of_the_server_while_logged_out_is_no_matter_of_the_connection() {
    let house = House::open().await;
    let home = Home::registered(&house, "alice").await;
    home.daemon.handle(AccountLogout { forget_keys: None }).await.unwrap();
    let online = MsgSend { require_online: Some(true), ..MsgSend::text(Target::Room, "hello") };
    for refusal in [
        home.daemon.handle(PresenceList {}).await.unwrap_err(),
        home.daemon.handle(UserLookup { users: vec!["bob".parse().unwrap()] }).await.unwrap_err(),
        home.daemon.handle(AccountResetCancel {}).await.unwrap_err(),
        home.daemon.handle(online).await.unwrap_err(),
    ] {
        assert_eq!(refusal.kind, Kind::Unauthenticated, "{refusal:?}");
        assert_eq!(refusal.message, "alice is logged out on this device");
    }
}

#[tokio::test]
async fn who_asked_for_a_reset_reads_who_can_cancel_it_and_where() {
    let house = House::open().await;
    let _first = Home::registered(&house, "alice").await;
    let other = Home::new();
    let nobody = other.daemon.handle(AccountResetCancel {}).await.unwrap_err();
    assert_eq!(nobody.message, "this daemon has no account yet");
    let params = AccountReset {
        invite: Some(house.invite()),
        server: None,
        server_key: None,
        secret_key_file: None,
        user: "alice".parse().unwrap(),
        password: Some(serde_json::from_str("\"correct horse\"").unwrap()),
        password_file: None,
        confirm: "alice".to_owned(),
    };
    assert_eq!(other.daemon.handle(params).await.unwrap().state, ResetProgress::Waiting);
    let refusal = other.daemon.handle(AccountResetCancel {}).await.unwrap_err();
    assert_eq!(refusal.kind.exit_code(), 77, "{refusal:?}");
    assert!(refusal.message.contains("only a device that alice is logged in on"), "{refusal:?}");
    assert!(refusal.hint.unwrap().contains("`chatctl reset --cancel` on a device of alice"));
}

#[tokio::test]
async fn a_value_and_a_token_that_are_not_there_are_called_by_their_names() {
    let house = House::open().await;
    let home = Home::registered(&house, "alice").await;
    let (scope, key) = ("bot".parse().unwrap(), "state".to_owned());
    let value = home.daemon.handle(KvDelete { scope, key, if_version: None }).await.unwrap_err();
    assert_eq!((value.kind, value.message.as_str()), (Kind::NotFound, "there is no such value"));
    let token = home.daemon.token_revoke(&"ci".parse().unwrap()).await.unwrap_err();
    assert_eq!((token.kind, token.message.as_str()), (Kind::NotFound, "there is no token ci"));
}

#[tokio::test]
async fn what_keeps_the_server_away_is_told_by_its_kind() {
    let mut house = House::open().await;
    let home = Home::registered(&house, "alice").await;
    assert_eq!(home.daemon.health().await.unwrap().connection.trouble, None);
    house.stop().await;
    home.until_trouble(ConnectionTrouble::Unreachable).await;
    house.key = 3;
    house.start().await;
    home.until_trouble(ConnectionTrouble::Keys).await;
}

#[tokio::test]
async fn who_does_not_want_to_be_seen_is_not() {
    let house = House::open().await;
    let (alice, bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);
    let hide = SettingsSet { presence: Some(false), ..SettingsSet::default() };
    alice.daemon.handle(hide.clone()).await.unwrap();
    let seen = bob.daemon.handle(PresenceList {}).await.unwrap().users;
    assert_eq!(seen.iter().map(|present| present.user.as_str()).collect::<Vec<_>>(), ["bob"]);
    let bad = SettingsSet { event_days: Some(0), ..hide };
    let refused = alice.daemon.handle(bad).await.unwrap_err();
    assert_eq!(refused.path.as_deref(), Some("event_days"));
}

#[tokio::test]
async fn while_the_server_limits_lookups_nobody_is_said_not_to_exist() {
    let house = House::with(Rates { lookups_per_minute: 20, ..Rates::default() }).await;
    let (alice, _bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);
    let who = |name: &str| IdentityGet { user: name.parse().unwrap() };
    assert_eq!(alice.daemon.handle(who("nobody")).await.unwrap_err().kind, Kind::NotFound);
    let lookup = || alice.daemon.handle(UserLookup { users: vec!["bob".parse().unwrap()] });
    while lookup().await.is_ok() {}
    let refused = alice.daemon.handle(who("bob")).await.unwrap_err();
    assert!(refused.kind == Kind::RateLimited && refused.data().retryable, "{refused:?}");
    assert!(refused.retry_after_ms.is_some_and(|millis| millis > 0), "{refused:?}");
    assert_eq!(refused.message, "the user is not known here, and the server refused: it limits how often it is asked");
}

#[tokio::test]
async fn the_account_says_how_many_wait_to_be_heard() {
    let house = House::open().await;
    let (alice, bob) = (Home::registered(&house, "alice").await, Home::registered(&house, "bob").await);
    let contacts_only = SettingsSet { messages_from: Some(MessagesFrom::ContactsOnly), ..SettingsSet::default() };
    alice.daemon.handle(contacts_only).await.unwrap();
    let waiting = async || alice.daemon.handle(AccountStatus {}).await.unwrap().requests;
    assert_eq!(waiting().await, 0);
    bob.send("@alice", "hello", None).await;
    alice.until(|event| matches!(event, EventBody::RequestNew(_))).await;
    assert_eq!(waiting().await, 1);
    alice.daemon.handle(RequestDecline { user: "bob".parse().unwrap() }).await.unwrap();
    assert_eq!(waiting().await, 0);
}
