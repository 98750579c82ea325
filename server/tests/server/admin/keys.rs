//! The key that clients pin is changed in two steps.

use std::fs;

use chat_protocol::invite::Invite;

use super::desk::{Desk, mode};

#[test]
fn a_key_is_rotated_and_finished_with_an_invite_of_the_new_one() {
    let desk = Desk::set_up();
    let key = |name: &str| fs::read_to_string(desk.data().join(name)).ok();
    let (old, invite) = (key("server.key"), desk.run(&["invite"]).out);

    let rotated = desk.run(&["key", "rotate"]);
    assert_eq!(rotated.code, 0, "{}", rotated.err);
    assert_eq!(
        rotated.err,
        "Restart the server: it then answers under both keys, and everybody who connects learns the next one\n\
         Once they have all been here, end it: `chat-server key finish`\n"
    );
    assert_eq!((key("server.key"), mode(&desk.data().join("server.key.next"))), (old.clone(), 0o600));
    assert_eq!(desk.run(&["invite"]).out, invite, "the present key invites until the change is over");
    let next = key("server.key.next");

    let twice = desk.run(&["key", "rotate"]);
    assert_eq!(twice.code, 73);
    assert_eq!(
        twice.err,
        "Error: the key is being changed already\n\
         Hint: end that first: `chat-server key finish --data ROOT/data`\n"
    );
    assert_eq!(key("server.key.next"), next);

    let finished = desk.run(&["key", "finish"]);
    assert_eq!(finished.code, 0, "{}", finished.err);
    assert!(
        finished.err.contains("Whoever has not been here since the change began needs this one:"),
        "{}",
        finished.err
    );
    assert_eq!((key("server.key"), key("server.key.next")), (next, None));
    let (before, after) = (Invite::parse(&invite).unwrap(), Invite::parse(&finished.out).unwrap());
    assert_eq!(after.server_key.to_string(), rotated.out.trim());
    assert_ne!(after.server_key, before.server_key);
    assert_eq!(after.secret.to_base64(), before.secret.to_base64());
}

#[test]
fn there_is_nothing_to_finish_before_a_key_was_rotated() {
    let desk = Desk::set_up();
    let finished = desk.run(&["key", "finish"]);
    assert_eq!(finished.code, 78);
    assert_eq!(
        finished.err,
        "Error: the key is not being changed\n\
         Hint: begin with `chat-server key rotate --data ROOT/data`\n"
    );
}
