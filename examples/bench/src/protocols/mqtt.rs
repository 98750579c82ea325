//! MQTT 3.1.1 with quality of service 1, for mosquitto.

use super::{Event, To};
use crate::Fallible;
use crate::connection::Connection;

const CONNECT: u8 = 0x10;
const PUBLISH: u8 = 0x32;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const QUALITY: u8 = 1;

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn packet(out: &mut Vec<u8>, head: u8, body: &[&[u8]]) {
    out.push(head);
    let mut left: usize = body.iter().map(|part| part.len()).sum();
    loop {
        let more = if left < 128 { 0 } else { 128 };
        out.push((left % 128) as u8 | more);
        left /= 128;
        if left == 0 {
            break;
        }
    }
    body.iter().for_each(|part| out.extend_from_slice(part));
}

fn topic(to: To<'_>) -> String {
    match to {
        To::User(user) => format!("u/{user}"),
        To::Room(room) => format!("r/{room}"),
    }
}

/// `clean` is the flag of that name: without it the session goes on, and what waited is delivered.
pub(super) async fn login(connection: &mut Connection, user: usize, clean: bool) -> Fallible<()> {
    let (mut out, mut body) = (Vec::new(), Vec::new());
    string(&mut body, "MQTT");
    body.extend_from_slice(&[4, if clean { 2 } else { 0 }, 0, 0]);
    string(&mut body, &format!("u{user}"));
    packet(&mut out, CONNECT, &[&body]);
    connection.send(&out).await?;
    match connection.exactly(4).await?[3] {
        0 => Ok(()),
        code => Err(format!("the broker refused the connection: {code}").into()),
    }
}

pub(super) async fn listen(connection: &mut Connection, to: To<'_>) -> Fallible<()> {
    let (mut out, mut body) = (Vec::new(), vec![0, 1]);
    string(&mut body, &topic(to));
    body.push(QUALITY);
    packet(&mut out, SUBSCRIBE, &[&body]);
    connection.send(&out).await?;
    connection.exactly(5).await.map(drop)
}

/// Leaves, so that the session waits.
pub(super) const DISCONNECT: &[u8] = &[0xe0, 0];

pub(super) fn say(out: &mut Vec<u8>, to: To<'_>, text: &[u8], count: u64) {
    let topic = topic(to);
    let number = ((count % 60_000) as u16 + 1).to_be_bytes();
    packet(out, PUBLISH, &[&(topic.len() as u16).to_be_bytes(), topic.as_bytes(), &number, text]);
}

pub(super) fn take(read: &[u8], out: &mut Vec<u8>, hear: &mut dyn FnMut(Event<'_>)) -> usize {
    let mut used = 0;
    while let Some((head, body, bytes)) = first(&read[used..]) {
        used += bytes;
        match head & 0xf0 {
            0x30 => {
                let behind = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                if head & 6 == 0 {
                    hear(Event::Message(&body[behind..]));
                } else {
                    out.extend_from_slice(&[PUBACK, 2, body[behind], body[behind + 1]]);
                    hear(Event::Message(&body[behind + 2..]));
                }
            }
            PUBACK => hear(Event::Accepted),
            _ => {}
        }
    }
    used
}

/// Head, body and bytes of the first packet, if it is whole.
fn first(read: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (mut length, mut at) = (0, 1);
    loop {
        let byte = *read.get(at)?;
        length |= usize::from(byte & 127) << (7 * (at - 1));
        at += 1;
        if byte & 128 == 0 {
            break;
        }
    }
    Some((*read.first()?, read.get(at..at + length)?, at + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_found_again() {
        let (mut wire, mut out, mut heard) = (Vec::new(), Vec::new(), Vec::new());
        say(&mut wire, To::User(7), &[b'x'; 200], 4);
        wire.extend_from_slice(&[PUBACK, 2, 0, 1, PUBLISH]);
        let used = take(&wire, &mut out, &mut |event| match event {
            Event::Message(text) => heard.push(text.len()),
            Event::Accepted => heard.push(0),
            Event::Refused => {}
        });
        assert_eq!((heard, out, wire.len() - used), (vec![200, 0], vec![PUBACK, 2, 0, 5], 1));
    }
}
