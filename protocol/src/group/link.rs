//! A link to a group as text: what somebody passes on so that others can ask to come in.
//!
//! `chat-group:1:` and the base64url, unpadded, of `group id 32 ‖ fingerprint of an admin 32 ‖ secret 16 ‖ name of that
//! admin`. Whoever has it speaks to that identity and to no other, and is let in as the link says. It is a secret.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::group::LinkSecret;
use crate::ids::{Fingerprint, GroupId, Username};
use crate::limits::MAX_USERNAME_BYTES;

/// How the text begins; the number is its version.
const PREFIX: &str = "chat-group:1:";

/// Most characters behind that: no longer name fits a link.
const MAX_BODY: usize = (GroupId::LEN + Fingerprint::LEN + LinkSecret::LEN + MAX_USERNAME_BYTES).div_ceil(3) * 4;

/// What a link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLink {
    /// To which group.
    pub group: GroupId,
    /// Whom to ask.
    pub admin: Username,
    /// Who that is.
    pub fingerprint: Fingerprint,
    /// What to show.
    pub secret: LinkSecret,
}

/// Text that is no link to a group.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum GroupLinkError {
    /// It begins in another way.
    #[error("not a link to a group: those of this version begin with `{PREFIX}`")]
    Foreign,
    /// It is cut off or mistyped.
    #[error("a damaged link to a group: copy it again")]
    Damaged,
}

impl GroupLink {
    /// The one line. It is a secret.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(self.group.as_bytes().to_vec());
        bytes.extend_from_slice(self.fingerprint.as_bytes());
        bytes.extend_from_slice(self.secret.expose());
        bytes.extend_from_slice(self.admin.as_str().as_bytes());
        let body = Zeroizing::new(URL_SAFE_NO_PAD.encode(&*bytes));
        Zeroizing::new(format!("{PREFIX}{}", &*body))
    }
}

impl FromStr for GroupLink {
    type Err = GroupLinkError;

    /// White space around it is ignored.
    fn from_str(text: &str) -> Result<Self, GroupLinkError> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(GroupLinkError::Foreign)?;
        if body.len() > MAX_BODY {
            return Err(GroupLinkError::Damaged);
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| GroupLinkError::Damaged)?);
        read(&bytes).ok_or(GroupLinkError::Damaged)
    }
}

fn read(bytes: &[u8]) -> Option<GroupLink> {
    let (group, rest) = bytes.split_first_chunk()?;
    let (fingerprint, rest) = rest.split_first_chunk()?;
    let (secret, name) = rest.split_first_chunk()?;
    let admin = Username::canonical(std::str::from_utf8(name).ok()?)?;
    let (group, fingerprint) = (GroupId::new(*group), Fingerprint::new(*fingerprint));
    Some(GroupLink { group, admin, fingerprint, secret: LinkSecret::new(*secret) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> GroupLink {
        GroupLink {
            group: GroupId::new([1; 32]),
            admin: "alice".parse().unwrap(),
            fingerprint: Fingerprint::new([2; 32]),
            secret: LinkSecret::new([3; 16]),
        }
    }

    #[test]
    fn a_link_reads_back_as_written_and_its_form_is_frozen() {
        let text = link().to_text();
        let ones = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQECAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg";
        assert_eq!(*text, format!("chat-group:1:{ones}MDAwMDAwMDAwMDAwMDAwNhbGljZQ"));
        assert_eq!(format!(" {}\n", &*text).parse(), Ok(link()));
    }

    #[test]
    fn a_link_of_the_longest_name_is_read_and_none_longer() {
        let longest = GroupLink { admin: "a".repeat(MAX_USERNAME_BYTES).parse().unwrap(), ..link() };
        assert_eq!(longest.to_text().parse(), Ok(longest.clone()));
        assert!(longest.to_text().len() <= PREFIX.len() + MAX_BODY);
        let longer = format!("{}AAAA", &*longest.to_text());
        assert_eq!(longer.parse::<GroupLink>(), Err(GroupLinkError::Damaged));
    }

    #[test]
    fn other_texts_and_damaged_links_are_told_apart() {
        let text = link().to_text();
        for foreign in ["", "chat-group:", "chat-group:2:AQEB", "chat-id:1:AQEB", "https://example.org"] {
            assert_eq!(foreign.parse::<GroupLink>(), Err(GroupLinkError::Foreign), "{foreign}");
        }
        let upper = text.replacen("hbGljZQ", "BbGljZQ", 1);
        for damaged in [&text[..text.len() - 5], &format!("{}=", &*text), &format!("{}!", &*text), &upper] {
            assert_eq!(damaged.parse::<GroupLink>(), Err(GroupLinkError::Damaged), "{damaged}");
        }
    }

    #[test]
    fn atk_62_links_do_not_print_their_secrets() {
        let secret = hex::encode([3; 16]);
        let text = format!("{:?}", link());
        assert!(!text.contains(&secret) && text.contains("LinkSecret(SecretBytes<16>(..))"), "{text}");
    }

    proptest::proptest! {
        #[test]
        fn there_is_one_way_to_write_a_link(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120)) {
            let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
            if let Ok(link) = text.parse::<GroupLink>() {
                proptest::prop_assert_eq!(&*link.to_text(), &text);
            }
        }
    }
}
