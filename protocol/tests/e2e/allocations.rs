//! What the ratchet allocates for a message, so that no copy creeps in.

use allocation_counter::measure;

use crate::common::session_pair;

/// To seal one and to open one: nearly all of it is the `fernet` crate's.
const MOST: [u64; 2] = [11, 11];

#[test]
fn a_warm_message_allocates_no_more_than_it_did() {
    let (mut alice, mut bob) = session_pair(true);
    let hello = alice.seal("hello");
    bob.open(&hello).unwrap();
    let (mut sealed, mut opened) = (None, None);
    let sealing = measure(|| sealed = alice.session.seal(&[1; 256]).ok());
    let (sealed, rng) = (sealed.unwrap(), &mut rand::rng());
    let opening = measure(|| opened = bob.session.open(&sealed.header, &sealed.token, None, rng).ok());
    assert_eq!(*opened.unwrap().plaintext, [1; 256]);
    let found = [sealing.count_total, opening.count_total];
    let within = found.iter().zip(&MOST).all(|(found, most)| found <= most);
    assert!(within, "{found:?} allocations to seal and open a message, {MOST:?} were reached");
}
