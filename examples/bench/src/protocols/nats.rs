//! NATS, with JetStream where something is kept.

use memchr::{memchr, memrchr};

use super::{Event, To};
use crate::Fallible;
use crate::connection::Connection;

/// Where the server says that it keeps what was published.
const KEPT: &str = "kept";

pub(super) async fn login(connection: &mut Connection) -> Fallible<()> {
    connection.send(b"CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false}\r\nPING\r\n").await?;
    connection.until(b"PONG\r\n").await.map(drop)
}

fn subject(to: To<'_>) -> String {
    match to {
        To::User(user) => format!("u.{user}"),
        To::Room(room) => format!("r.{room}"),
    }
}

async fn subscribe(connection: &mut Connection, subject: &str) -> Fallible<()> {
    connection.send(format!("SUB {subject} 1\r\nPING\r\n").as_bytes()).await?;
    connection.until(b"PONG\r\n").await.map(drop)
}

pub(super) async fn listen(connection: &mut Connection, to: To<'_>) -> Fallible<()> {
    subscribe(connection, &subject(to)).await
}

/// Has the server keep what is said to users, in files.
pub(super) async fn keep(connection: &mut Connection) -> Fallible<()> {
    subscribe(connection, "made").await?;
    let stream = r#"{"name":"USERS","subjects":["u.*"],"storage":"file","retention":"limits"}"#;
    let ask = format!("PUB $JS.API.STREAM.CREATE.USERS made {}\r\n{stream}\r\n", stream.len());
    connection.send(ask.as_bytes()).await?;
    let answer = connection.until(b"}\r\n").await?;
    let answer = String::from_utf8_lossy(&answer);
    if answer.contains("\"error\"") { Err(answer.into()) } else { Ok(()) }
}

/// From now on the connection hears what is kept of what it says.
pub(super) async fn hear_what_is_kept(connection: &mut Connection) -> Fallible<()> {
    subscribe(connection, KEPT).await
}

pub(super) fn say(out: &mut Vec<u8>, to: To<'_>, text: &[u8], acknowledge: bool) {
    let answer = if acknowledge { KEPT } else { "" };
    out.extend_from_slice(format!("PUB {} {answer} {}\r\n", subject(to), text.len()).as_bytes());
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn take(read: &[u8], out: &mut Vec<u8>, hear: &mut dyn FnMut(Event<'_>)) -> usize {
    let mut used = 0;
    while let Some(end) = memchr(b'\n', &read[used..]) {
        let line = &read[used..used + end];
        let behind = used + end + 1;
        if let Some(bytes) = line.strip_prefix(b"MSG ").and_then(payload_bytes) {
            let Some(payload) = read.get(behind..behind + bytes + 2) else { break };
            let payload = &payload[..bytes];
            hear(if payload.starts_with(b"{") { Event::Accepted } else { Event::Message(payload) });
            used = behind + bytes + 2;
            continue;
        }
        if line.starts_with(b"PING") {
            out.extend_from_slice(b"PONG\r\n");
        } else if line.starts_with(b"-ERR") {
            hear(Event::Refused);
        }
        used = behind;
    }
    used
}

/// The number at the end of `MSG subject sid [reply] bytes`.
fn payload_bytes(line: &[u8]) -> Option<usize> {
    let digits = line.strip_suffix(b"\r")?;
    std::str::from_utf8(digits.get(memrchr(b' ', digits)? + 1..)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_from_what_is_kept() {
        let (mut out, mut heard) = (Vec::new(), Vec::new());
        let read = b"MSG u.7 1 3\r\nT12\r\nMSG kept 1 2\r\n{}\r\nPING\r\nMSG u.7 1 9\r\nT1";
        let used = take(read, &mut out, &mut |event| match event {
            Event::Message(text) => heard.push(text.len()),
            Event::Accepted => heard.push(0),
            Event::Refused => {}
        });
        assert_eq!((heard, &out[..], &read[used..]), (vec![3, 0], &b"PONG\r\n"[..], &b"MSG u.7 1 9\r\nT1"[..]));
    }
}
