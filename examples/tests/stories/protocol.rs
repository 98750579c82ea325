//! A client in another language, written from PROTOCOL.md alone: the document and the programs cannot drift apart.

use chat_stories::{Process, Stage, binaries};

/// What it reaches, one after the other.
const MILESTONES: [&str; 10] = [
    "handshake",
    "register",
    "room",
    "bundle",
    "INIT both ways",
    "20 messages each way",
    "what is not known yet",
    "a second device",
    "a device beside chatd's",
    "chatd beside ours",
];

#[test]
fn a_client_written_from_the_document_alone_talks_to_server_and_daemon() {
    let stage = Stage::open();
    let (bob, desk) = (stage.member("bob"), stage.newcomer("desk"));
    let mut client = binaries::python(&stage.room("tools"));
    client.arg("-B").arg(binaries::repository().join("examples/tests/client/milestones.py"));
    client.args([&bob, &desk].map(|person| person.data().join("chat.sock")));
    let secrets = format!("{}\n{}\n", stage.server.invite(), bob.password);
    let said = Process::run("milestones.py", client, &secrets).success();
    assert_eq!(said.lines().collect::<Vec<_>>(), MILESTONES);
}
