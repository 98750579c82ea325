//! The server changes its key: who is there notices nothing, who was away is told what to do.

use chat_stories::Stage;

#[test]
fn a_server_changes_its_key_under_its_members_and_one_who_was_away_needs_the_new_invite() {
    let mut stage = Stage::open();
    let (mut alice, mut bob, mut carol) = (stage.member("alice"), stage.member("bob"), stage.member("carol"));
    carol.stop();

    let _ = stage.server.admin(&["key", "rotate"]).success();
    stage.server.stop();
    stage.server.start();
    for person in [&mut alice, &mut bob] {
        person.turns("online");
        // what a daemon learnt survives it
        person.stop();
        person.start();
        person.turns("online");
    }
    alice.send("@bob", "under the old key");
    bob.hears("@alice", "alice", "under the old key");

    let invite =
        stage.server.admin(&["key", "finish", "--set", &format!("public={}", stage.server.address())]).success();
    stage.server.stop();
    stage.server.start();
    alice.send("@bob", "under the new one");
    bob.hears("@alice", "alice", "under the new one");
    alice.send("@carol", "are you back?");

    carol.start();
    let refused = carol.event("to be told why", |event| {
        event["type"] == "connection"
            && event["data"]["reason"].as_str().is_some_and(|why| why.contains("chatctl login"))
    });
    let why = refused["data"]["reason"].as_str().unwrap().to_owned();
    assert!(why.contains("`chat-server invite` on the server"), "{why}");
    let _ = carol.enter("login", invite.trim()).success();
    carol.hears("@alice", "alice", "are you back?");
}
