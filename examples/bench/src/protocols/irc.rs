//! IRC, for ngircd.

use memchr::{memchr, memmem};

use super::{Event, To};
use crate::Fallible;
use crate::connection::Connection;

pub(super) async fn login(connection: &mut Connection, user: usize) -> Fallible<()> {
    connection.send(format!("NICK u{user}\r\nUSER u{user} 0 * :u{user}\r\n").as_bytes()).await?;
    loop {
        let line = connection.until(b"\n").await?;
        if let Some(token) = line.strip_prefix(b"PING") {
            connection.send(&[b"PONG", token].concat()).await?;
        } else if memmem::find(&line, b" 001 ").is_some() {
            return Ok(());
        } else if line.starts_with(b"ERROR") {
            return Err(String::from_utf8_lossy(&line).into());
        }
    }
}

pub(super) async fn listen(connection: &mut Connection, to: To<'_>) -> Fallible<()> {
    if let To::Room(room) = to {
        connection.send(format!("JOIN #{room}\r\n").as_bytes()).await?;
        // 366: the end of the list of names
        connection.until(b" 366 ").await?;
        connection.until(b"\n").await?;
    }
    Ok(())
}

pub(super) fn say(out: &mut Vec<u8>, to: To<'_>, text: &[u8]) {
    let target = match to {
        To::User(user) => format!("PRIVMSG u{user} :"),
        To::Room(room) => format!("PRIVMSG #{room} :"),
    };
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn take(read: &[u8], out: &mut Vec<u8>, hear: &mut dyn FnMut(Event<'_>)) -> usize {
    let mut used = 0;
    while let Some(end) = memchr(b'\n', &read[used..]) {
        let line = &read[used..used + end];
        used += end + 1;
        if let Some(token) = line.strip_prefix(b"PING") {
            out.extend_from_slice(&[b"PONG", token, b"\n"].concat());
        } else if let Some(text) = said(line) {
            hear(Event::Message(text));
        } else if line.starts_with(b"ERROR") {
            hear(Event::Refused);
        }
    }
    used
}

/// The text of `:author PRIVMSG target :text`.
fn said(line: &[u8]) -> Option<&[u8]> {
    let behind = &line[memchr(b' ', line.strip_prefix(b":")?)? + 2..];
    let behind = behind.strip_prefix(b"PRIVMSG ")?;
    behind.get(memmem::find(behind, b" :")? + 2..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_and_pings_answered() {
        let (mut out, mut heard) = (Vec::new(), Vec::new());
        let read = b":u1!~u1@host PRIVMSG #room :T17 x\r\nPING :host\r\n:u2 NOTICE u1 :no\r\n:u1 PRIV";
        let used = take(read, &mut out, &mut |event| {
            if let Event::Message(text) = event {
                heard.push(text.to_vec());
            }
        });
        assert_eq!((heard, out), (vec![b"T17 x\r".to_vec()], b"PONG :host\r\n".to_vec()));
        assert_eq!(&read[used..], b":u1 PRIV");
    }
}
