//! The key that clients pin is changed in two steps.

use std::fs;

use chat_protocol::crypto::rsa::SigningKey;
use chat_protocol::invite::Invite;
use chat_protocol::offline_key::OfflineKey;

use super::operator::{Operator, mode};

#[test]
fn a_key_is_rotated_and_finished_with_an_invite_of_the_new_one() {
    let operator = Operator::set_up();
    let key = |name: &str| fs::read_to_string(operator.data().join(name)).ok();
    let (old, invite) = (key("server.key"), operator.run(&["invite"]).out);

    let rotated = operator.run(&["key", "rotate"]);
    assert_eq!(rotated.code, 0, "{}", rotated.err);
    assert_eq!(
        rotated.err,
        "Restart the server: it then answers under both keys, and everybody who connects learns the next one\n\
         Once they have all been here, end it: `chat-server key finish`\n"
    );
    assert_eq!((key("server.key"), mode(&operator.data().join("server.key.next"))), (old.clone(), 0o600));
    assert_eq!(operator.run(&["invite"]).out, invite, "the present key invites until the change is over");
    let next = key("server.key.next");

    let twice = operator.run(&["key", "rotate"]);
    assert_eq!(twice.code, 73);
    assert_eq!(
        twice.err,
        "Error: the key is being changed already\n\
         Hint: end that first: `chat-server key finish --data ROOT/data`\n"
    );
    assert_eq!(key("server.key.next"), next);

    let finished = operator.run(&["key", "finish"]);
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
fn atk_102_with_an_offline_key_invites_name_it_and_no_other_key_is_made_without_it() {
    let operator = Operator::new();
    let (file, other) = (operator.root.path().join("offline.pem"), operator.root.path().join("other.pem"));
    let set_up =
        |file: &std::path::Path| operator.run(&["init", "--public", "h:1", "--offline-key", file.to_str().unwrap()]);
    let made = set_up(&file);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(made.err.contains("off this machine"), "{}", made.err);
    assert_eq!(mode(&file), 0o600);
    let named = Invite::parse(&made.out).unwrap().offline_key.unwrap();
    let pem = |file: &std::path::Path| SigningKey::from_plain_pem(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(OfflineKey::of(&pem(&file).verifying_key()), named);
    let inside = fs::read_dir(operator.data()).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    assert!(
        inside.into_iter().all(|bytes| !bytes.windows(7).any(|part| part == b"PRIVATE")),
        "only its public half is there"
    );

    let refused = operator.run(&["key", "rotate"]);
    assert_eq!(refused.code, 64);
    assert!(refused.err.contains("--offline-key FILE"), "{}", refused.err);
    fs::write(&other, &*SigningKey::generate(&mut rand::rng()).to_plain_pem()).unwrap();
    fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let wrong = operator.run(&["key", "rotate", "--offline-key", other.to_str().unwrap()]);
    assert_eq!(wrong.code, 65, "{}", wrong.err);
    assert!(!operator.data().join("server.key.next").exists());
    let rotated = operator.run(&["key", "rotate", "--offline-key", file.to_str().unwrap()]);
    assert_eq!(rotated.code, 0, "{}", rotated.err);
    assert!(operator.data().join("server.key.next.proof").exists());
    let finished = operator.run(&["key", "finish"]);
    assert_eq!(Invite::parse(&finished.out).unwrap().offline_key, Some(named), "it stays the same for the next change");
    assert!(!operator.data().join("server.key.next.proof").exists());
}

#[test]
fn an_init_with_an_offline_key_that_was_interrupted_is_repeated_with_the_same_key() {
    let operator = Operator::new();
    let file = |name: &str| operator.root.path().join(name);
    let set_up = |name: &str| operator.run(&["init", "--public", "h:1", "--offline-key", file(name).to_str().unwrap()]);
    assert_eq!(set_up("offline.pem").code, 0);
    let pem = fs::read(file("offline.pem")).unwrap();
    let interrupted = |left: &[&str]| {
        for name in ["server.key", "offline.pub"].iter().filter(|name| !left.contains(name)) {
            fs::remove_file(operator.data().join(name)).unwrap();
        }
    };
    for left in [&["offline.pub"][..], &[]] {
        interrupted(left);
        let again = set_up("offline.pem");
        assert_eq!(again.code, 0, "{}", again.err);
        assert!(Invite::parse(&again.out).unwrap().offline_key.is_some());
        assert_eq!(fs::read(file("offline.pem")).unwrap(), pem);
    }
    interrupted(&["offline.pub"]);
    let other = set_up("other.pem");
    assert_eq!(other.code, 73, "{}", other.err);
    assert!(other.err.contains("of another key"), "{}", other.err);
}

#[test]
fn there_is_nothing_to_finish_before_a_key_was_rotated() {
    let operator = Operator::set_up();
    let finished = operator.run(&["key", "finish"]);
    assert_eq!(finished.code, 78);
    assert_eq!(
        finished.err,
        "Error: the key is not being changed\n\
         Hint: begin with `chat-server key rotate --data ROOT/data`\n"
    );
}
