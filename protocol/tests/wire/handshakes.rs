use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::handshake::{HandshakeError, ServerKey, client::Hello, server};
use chat_protocol::message::server::Welcome;
use proptest::prelude::*;

use super::connection::*;

#[test]
fn both_ends_agree_and_talk() {
    let (mut client, mut server) = connect();
    assert_eq!(client.channel_binding, server.channel_binding);
    assert_eq!((client.server_key, client.version), (server_key().public(), 1));
    assert_eq!(server.server_key, client.server_key);

    server.opener.feed(&sealed(&mut client, &[data("hello")]));
    client.opener.feed(&sealed(&mut server, &[data("welcome")]));

    assert_eq!(server.opener.next(NOW), Ok(Some(data("hello"))));
    assert_eq!(client.opener.next(NOW), Ok(Some(data("welcome"))));
}

#[test]
fn the_server_knows_how_much_to_read_at_every_byte() {
    let (_, first) = Hello::start(&server_key().public(), &secret());
    assert_eq!(first.len(), 7 + 2 + 48);
    for have in 0..first.len() {
        let wanted = server::wanted(&first[..have]).unwrap();
        assert!(wanted > have && wanted <= first.len(), "{have} bytes want {wanted}");
        assert!(listening().read(&first[..have]).is_err());
    }
    assert_eq!(server::wanted(&first), Ok(first.len()));
}

#[test]
fn the_client_learns_what_the_server_allows() {
    let (hello, first) = Hello::start(&server_key().public(), &secret());
    let (second, _) = listening().read(&first).unwrap().reply(&welcome(), NOW).unwrap();
    assert_eq!(Hello::message2_len([second[0], second[1]]), Ok(second.len() - 2));
    assert_eq!(hello.finish(&second[2..], NOW).unwrap().1, welcome());
}

#[test]
fn no_common_version_is_said_and_nothing_else_follows() {
    let (hello, first) = Hello::start(&server_key().public(), &secret());
    let greeting = listening().read(&first).unwrap();
    assert_eq!((greeting.version(), greeting.versions.clone()), (Some(1), 1..=1));
    let newer = Welcome { lowest: 2, highest: 3, ..welcome() };
    let second = greeting.refuse(&newer).unwrap();
    assert_eq!(finish_with(hello, &second), Err(HandshakeError::Unsupported { lowest: 2, highest: 3 }));
}

#[test]
fn a_server_never_speaks_a_version_the_client_did_not_offer() {
    let (_, first) = Hello::start(&server_key().public(), &secret());
    let wrong = Welcome { version: Some(2), ..welcome() };
    let refused = listening().read(&first).unwrap().reply(&wrong, NOW);
    assert!(matches!(refused, Err(HandshakeError::Unsupported { lowest: 1, highest: 1 })));
}

#[test]
fn during_a_key_change_both_server_keys_answer() {
    let (old, new) = (server_key(), ServerKey::from_bytes([0x22; 32]));
    let both = listening().and_next(&new);
    for pinned in [old.public(), new.public()] {
        let (hello, first) = Hello::start(&pinned, &secret());
        let greeting = both.read(&first).unwrap();
        assert_eq!(greeting.server_key, pinned);
        let (second, _) = greeting.reply(&welcome(), NOW).unwrap();
        assert_eq!(hello.finish(&second[2..], NOW).unwrap().0.server_key, pinned);
    }
}

#[test]
fn a_wrong_secret_and_a_wrong_server_key_look_the_same() {
    let other_secret = FernetKey::from_bytes([0x5f; 32]);
    let other_key = ServerKey::from_bytes([0x12; 32]).public();
    for (key, secret) in [(server_key().public(), other_secret), (other_key, secret())] {
        let (_, first) = Hello::start(&key, &secret);
        assert_eq!(listening().read(&first).unwrap_err(), HandshakeError::Failed);
    }
}

proptest! {
    #[test]
    fn any_first_words_are_judged_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(listening().read(&bytes).is_err());
        prop_assert!(listening().read(&[b"CHAT\x01\x01\x01", &bytes[..]].concat()).is_err());
        let (hello, _) = Hello::start(&server_key().public(), &secret());
        prop_assert!(hello.finish(&bytes, NOW).is_err());
    }
}
