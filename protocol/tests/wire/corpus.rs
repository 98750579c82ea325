//! Replays the corpora of the fuzz targets in fuzz/, so that what was found once stays fixed.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests ask other programs")]

use std::path::Path;

use chat_protocol::fixtures::inputs;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        let input = std::fs::read(file).unwrap();
        run(&input);
        // what begins alike and ends early is the commonest malformed input
        (0..input.len().min(600)).for_each(|len| run(input.split_at(len).0));
    }
}

#[test]
fn corpus_of_records() {
    replay("records", inputs::records);
}

#[test]
fn corpus_of_frames() {
    replay("frames", inputs::frames);
}

#[test]
fn corpus_of_messages() {
    replay("messages", inputs::messages);
}

#[test]
fn corpus_of_handshakes() {
    replay("handshake", inputs::handshake);
}

#[test]
fn corpus_of_invites() {
    replay("invite", inputs::invite);
}

#[test]
fn corpus_of_identities() {
    replay("identity", inputs::identity);
}

#[test]
fn corpus_of_groups() {
    replay("groups", inputs::groups);
}

#[test]
fn corpus_of_sessions() {
    replay("sessions", inputs::sessions);
}

#[test]
fn corpus_of_ratchet_messages() {
    replay("ratchet", inputs::ratchet);
}
