//! An invite: everything a client needs to reach a server and to know it again, in one line.
//!
//! `chat://host:port/#` and base64url, unpadded, of `0x01 ‖ server key 32 ‖ secret key 32 [‖ offline key 32] [‖ token 16]`.
//! It contains secret.key: read it from a prompt, standard input or a file, never from the command line.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::fernet::FernetKey;
use crate::handshake::ServerPublicKey;
use crate::offline_key::OfflineKey;

const SCHEME: &str = "chat://";
const VERSION: u8 = 1;
/// Longest name the DNS knows.
const MAX_HOST_BYTES: usize = 253;

/// Text that is not an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InviteError {
    /// It does not read `chat://host:port/#…`.
    #[error("not an invite: expected chat://host:port/#…")]
    Form,
    /// No host name, IPv4 address or bracketed IPv6 address, or no port from 1 to 65535.
    #[error("the invite's host or port is malformed")]
    Address,
    /// The part after `#` is damaged, or of a later version.
    #[error("the invite's key part is damaged, or made for a newer version")]
    Keys,
}

/// What an invite says.
#[derive(Clone)]
pub struct Invite {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Key the server must prove to hold.
    pub server_key: ServerPublicKey,
    /// Contents of secret.key.
    pub secret: FernetKey,
    /// Without whose signature no other key of this server is believed.
    pub offline_key: Option<OfflineKey>,
    /// Good for one registration, where the server asks for it.
    pub token: Option<[u8; 16]>,
}

impl Invite {
    /// Reads an invite; white space around it is ignored.
    ///
    /// # Errors
    /// [`InviteError`] for anything but the exact form.
    pub fn parse(text: &str) -> Result<Self, InviteError> {
        let rest = text.trim().strip_prefix(SCHEME).ok_or(InviteError::Form)?;
        let (address, keys) = rest.split_once("/#").ok_or(InviteError::Form)?;
        let (host, port) = parse_address(address).ok_or(InviteError::Address)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(keys).map_err(|_| InviteError::Keys)?);
        let (server_key, secret, offline_key, token) = split_keys(&bytes).ok_or(InviteError::Keys)?;
        Ok(Self { host, port, server_key, secret, offline_key, token })
    }

    /// The one line. It is a secret.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(vec![VERSION]);
        bytes.extend_from_slice(self.server_key.as_bytes());
        bytes.extend_from_slice(self.secret.bytes().expose());
        bytes.extend_from_slice(self.offline_key.as_ref().map_or(&[], |key| &key.as_bytes()[..]));
        bytes.extend_from_slice(self.token.as_ref().map_or(&[], |token| &token[..]));
        let keys = Zeroizing::new(URL_SAFE_NO_PAD.encode(&*bytes));
        Zeroizing::new(format!("{SCHEME}{}/#{}", self.address(), &*keys))
    }

    /// `host:port`, with brackets around an IPv6 address.
    #[must_use]
    pub fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invite({}, {:?}, ..)", self.address(), self.server_key)
    }
}

fn parse_address(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let digits = port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
    let port = port.parse().ok().filter(|_| digits)?;
    if let Some(bracketed) = host.strip_prefix('[') {
        let host = bracketed.strip_suffix(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return Some((host.to_owned(), port));
    }
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    (plain && (1..=MAX_HOST_BYTES).contains(&host.len()) && !host.starts_with(['-', '.']))
        .then(|| (host.to_owned(), port))
}

type Keys = (ServerPublicKey, FernetKey, Option<OfflineKey>, Option<[u8; 16]>);

/// `0x01 ‖ server key 32 ‖ secret key 32 [‖ offline key 32] [‖ token 16]`: the length tells which are there.
fn split_keys(bytes: &[u8]) -> Option<Keys> {
    let rest = bytes.strip_prefix(&[VERSION])?;
    let (server_key, rest) = rest.split_first_chunk()?;
    let (secret, rest) = rest.split_first_chunk()?;
    let (offline_key, rest) = match rest.split_first_chunk() {
        Some((key, rest)) => (Some(OfflineKey::new(*key)), rest),
        None => (None, rest),
    };
    let token = match rest {
        [] => None,
        token => Some(token.try_into().ok()?),
    };
    Some((ServerPublicKey::new(*server_key), FernetKey::from_bytes(*secret), offline_key, token))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn invite(host: &str, token: Option<[u8; 16]>) -> Invite {
        Invite {
            host: host.into(),
            port: 8897,
            server_key: ServerPublicKey::new([1; 32]),
            secret: FernetKey::from_bytes([2; 32]),
            offline_key: None,
            token,
        }
    }

    fn same(a: &Invite, b: &Invite) -> bool {
        (&a.host, a.port, a.server_key, a.secret.bytes(), a.offline_key, a.token)
            == (&b.host, b.port, b.server_key, b.secret.bytes(), b.offline_key, b.token)
    }

    #[test]
    fn invites_read_back_as_written() {
        for host in ["localhost", "chat.example.org", "192.0.2.7", "2001:db8::1"] {
            for (token, key) in
                [(None, None), (Some([3; 16]), None), (None, Some([4; 32])), (Some([3; 16]), Some([4; 32]))]
            {
                let invite = Invite { offline_key: key.map(OfflineKey::new), ..invite(host, token) };
                let text = format!("\n{}\r\n", &*invite.to_text());
                assert!(same(&Invite::parse(&text).unwrap(), &invite), "{text}");
            }
        }
    }

    #[test]
    fn the_form_is_frozen() {
        let text = invite("::1", None).to_text();
        let keys = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
        assert_eq!(*text, format!("chat://[::1]:8897/#{keys}"));
    }

    #[test]
    fn what_is_not_an_invite_is_refused_with_its_reason() {
        let good = invite("host", None).to_text();
        let keys = good.split_once('#').unwrap().1;
        for (bad, why) in [
            (String::new(), InviteError::Form),
            (format!("http://host:1/#{keys}"), InviteError::Form),
            (format!("chat://host:1#{keys}"), InviteError::Form),
            (format!("chat://host/#{keys}"), InviteError::Address),
            (format!("chat://host:0/#{keys}"), InviteError::Address),
            (format!("chat://host:+1/#{keys}"), InviteError::Address),
            (format!("chat://host:65536/#{keys}"), InviteError::Address),
            (format!("chat://:1/#{keys}"), InviteError::Address),
            (format!("chat://-o:1/#{keys}"), InviteError::Address),
            (format!("chat://user@host:1/#{keys}"), InviteError::Address),
            (format!("chat://[::1:1/#{keys}"), InviteError::Address),
            (format!("chat://2001:db8::1:1/#{keys}"), InviteError::Address),
            (format!("chat://host:1/#{keys}="), InviteError::Keys),
            (format!("chat://host:1/#{keys}AA"), InviteError::Keys),
            (format!("chat://host:1/#{}", &keys[1..]), InviteError::Keys),
            (format!("chat://host:1/#Ag{}", &keys[2..]), InviteError::Keys),
        ] {
            assert_eq!(Invite::parse(&bad).unwrap_err(), why, "{bad}");
        }
    }

    #[test]
    fn atk_62_invites_do_not_print_their_secrets() {
        let text = format!("{:?}", invite("host", Some([3; 16])));
        let key = ServerPublicKey::new([1; 32]);
        assert_eq!(text, format!("Invite(host:8897, ServerPublicKey({key}), ..)"));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in "(chat://)?[ -~]{0,20}(/#)?.{0,100}") {
            if let Ok(invite) = Invite::parse(&text) {
                prop_assert!(same(&Invite::parse(&invite.to_text()).unwrap(), &invite));
            }
        }
    }
}
