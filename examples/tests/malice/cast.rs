//! Who is on the stage, and what the stories ask about them.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use chat_protocol::ids::DeviceId;
use chat_protocol::message::Envelope;
use chat_protocol::session::content::{Body, Content};
use chat_stories::{Person, Refused};
use serde_json::{Value, json};

use crate::operator::{Operator, now};
use crate::puppet::Puppet;

/// Alice and bob, real both, who have written to each other.
pub fn acquainted(operator: &Operator) -> (Person, Person) {
    let (mut alice, mut bob) = (operator.member("alice"), operator.member("bob"));
    let hello = alice.send("@bob", "hello");
    bob.hears("@alice", "alice", "hello");
    alice.sees(&hello, "delivered");
    (alice, bob)
}

/// A further machine of somebody's that asks to be let in: what its screen shows, and its device.
pub fn asks_in(operator: &Operator, name: &str, room: &str) -> (Person, String, DeviceId) {
    let mut person = operator.newcomer(name, room);
    let _waits = person.enter("login", &operator.invite());
    let status = person.call("account.status", json!({})).expect("a status");
    let digits = status["digits"].as_str().unwrap_or_else(|| panic!("digits to compare: {status}")).to_owned();
    (person, digits, status["device_id"].as_str().unwrap().parse().unwrap())
}

/// What somebody says on one of the two screens.
pub fn approve(person: &mut Person, device: DeviceId, digits: &str) -> Result<Value, Refused> {
    person.call("device.approve", json!({"device_id": device.to_string(), "digits": digits}))
}

/// A second machine of somebody's, let in as it should be.
pub fn second(operator: &Operator, first: &mut Person) -> (Person, DeviceId) {
    let (mut other, digits, device) = asks_in(operator, first.name(), &format!("{}-too", first.name()));
    let id = device.to_string();
    let asked =
        first.event("that a device waits", |event| is("device.waiting")(event) && event["data"]["device_id"] == id);
    assert_eq!(asked["data"]["digits"], digits);
    approve(first, device, &digits).expect("both screens show them");
    approve(&mut other, device, &digits).expect("both screens show them");
    other.turns("online");
    (other, device)
}

/// Has the server show this log as the one of its user, and take mail for the device that ends it.
pub fn impose(operator: &Operator, rival: &Puppet) {
    let mut lies = operator.lies();
    lies.show_log(rival.user.as_str(), rival.log.head(), rival.log.entries_from(0));
    lies.devices.insert(rival.device(), rival.stored());
    lies.bundles.insert(rival.device(), rival.bundle(1, now(), &rival.keys));
}

/// Recognises events of a type.
pub fn is(kind: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["type"] == kind
}

/// How many events of a type were read so far.
pub fn count(person: &Person, kind: &str) -> usize {
    person.events().iter().filter(|event| event["type"] == kind).count()
}

pub fn text_of(content: &Content) -> &str {
    match &content.body {
        Body::Text(text) => &text.text,
        other => panic!("{other:?}"),
    }
}

/// Waits until both can write to each other, and each sees that it arrived.
pub fn get_on(alice: &mut Person, bob: &mut Person) {
    tell(alice, bob);
    tell(bob, alice);
}

/// One says something that the other hears.
pub fn tell(from: &mut Person, to: &mut Person) {
    static WORDS: AtomicU32 = AtomicU32::new(0);
    let word = format!("word {}", WORDS.fetch_add(1, Ordering::Relaxed));
    let id = from.send(&to.at(), &word);
    to.hears(&from.at(), from.name(), &word);
    from.sees(&id, "delivered");
}

/// Lets time pass for somebody, as far as a clock can say: the daemon is started again, with another one.
pub fn later(person: &mut Person, clock: &str) {
    person.stop();
    person.set_clock(clock);
    person.start();
    person.turns("online");
}

/// Changes one bit of what is sealed.
pub fn flip(mut envelope: Envelope) -> Envelope {
    let last = envelope.token.0.len() - 1;
    envelope.token.0[last] ^= 1;
    envelope
}

/// Copies a directory, as a backup or a thief would.
pub fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "{} is copied", from.display());
}
