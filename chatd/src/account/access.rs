//! The way to a server: an invite, or its address, its key and the file with the deployment's secret.

use std::path::Path;

use chat_protocol::crypto::fernet::{FernetKey, KeyError};
use chat_protocol::handshake::{ServerKeyError, ServerPublicKey};
use chat_protocol::invite::{Invite, InviteError};
use chat_protocol::limits::DEFAULT_PORT;
use thiserror::Error;

use crate::dirs::{self, DirError, Quoted};
use crate::link::Server;

/// A key file has 44 characters and perhaps a line end or two.
const MAX_SECRET_BYTES: u64 = 1024;

/// Why the way to the server cannot be read.
#[derive(Debug, Error)]
pub enum AccessError {
    /// Not an invite.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// Not `host` or `host:port`.
    #[error("`{0}` is not an address: write HOST or HOST:PORT, and [ADDRESS]:PORT for IPv6")]
    Address(String),
    /// Not a server key.
    #[error(transparent)]
    ServerKey(#[from] ServerKeyError),
    /// The file is not private, or could not be read.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// The file holds something else.
    #[error("{path} cannot be used")]
    Secret {
        /// The file.
        path: Quoted,
        /// What is wrong with it.
        source: KeyError,
    },
}

/// A server, and the token of a personal invite.
#[derive(Clone)]
pub struct Access {
    /// Where, and what proves it.
    pub server: Server,
    /// For servers that admit by invite alone.
    pub token: Option<[u8; 16]>,
}

impl Access {
    /// Reads the text of an invite.
    ///
    /// # Errors
    /// [`AccessError::Invite`].
    pub fn from_invite(text: &str) -> Result<Self, AccessError> {
        let Invite { host, port, server_key: key, secret, offline_key, token } = Invite::parse(text.trim())?;
        Ok(Self { server: Server { host, port, key, secret, offline_key }, token })
    }

    /// Joins the three parts.
    ///
    /// # Errors
    /// [`AccessError`], naming the part that is wrong.
    pub fn from_parts(address: &str, server_key: &str, secret_file: &Path) -> Result<Self, AccessError> {
        let (host, port) = split_address(address).ok_or_else(|| AccessError::Address(address.to_owned()))?;
        let key: ServerPublicKey = server_key.trim().parse()?;
        let text = dirs::read_named(secret_file, MAX_SECRET_BYTES)?;
        let secret = FernetKey::from_base64(text.trim_ascii())
            .map_err(|source| AccessError::Secret { path: secret_file.into(), source })?;
        Ok(Self { server: Server { host, port, key, secret, offline_key: None }, token: None })
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Access({})", self.server)
    }
}

fn split_address(text: &str) -> Option<(String, u16)> {
    let text = text.trim();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((_, port)) if port.contains(':') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Some(DEFAULT_PORT), |port| port.parse().ok().filter(|port| *port != 0))?;
    let strange = |c: char| c.is_whitespace() || c.is_control() || "/@#?".contains(c);
    (!host.is_empty() && !host.contains(strange)).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_perhaps_a_port() {
        let split = |text| split_address(text).map(|(host, port)| format!("{host} {port}"));
        for (text, expected) in [
            ("chat.example", "chat.example 8897"),
            (" chat.example:1234\n", "chat.example 1234"),
            ("[::1]:99", "::1 99"),
            ("[::1]", "::1 8897"),
            ("::1", "::1 8897"),
        ] {
            assert_eq!(split(text).as_deref(), Some(expected), "{text:?}");
        }
        for bad in ["", ":99", "host:", "host:0", "host:99999", "host:x", "[::1", "[::1]99", "a b", "chat://host"] {
            assert_eq!(split(bad), None, "{bad:?} was accepted");
        }
    }

    #[test]
    fn atk_63_an_open_secret_key_is_refused_with_its_chmod() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret.key");
        let server_key = "A".repeat(43);
        dirs::write_private(&file, FernetKey::from_bytes([3; 32]).to_base64().as_bytes()).unwrap();
        assert!(Access::from_parts("localhost", &server_key, &file).is_ok());

        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let message = Access::from_parts("localhost", &server_key, &file).unwrap_err().to_string();
        assert!(message.contains("chmod 600"), "{message}");
    }

    #[test]
    fn the_wrong_part_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret.key");
        dirs::write_private(&file, b"not a key").unwrap();
        let message = |address, key| Access::from_parts(address, key, &file).unwrap_err().to_string();
        assert!(message("a b", "").contains("`a b` is not an address"));
        assert!(message("host", "short").contains("server key"));
        assert!(message("host", &"A".repeat(43)).contains("secret.key cannot be used"));
        assert!(Access::from_invite("chat://nonsense").is_err());
    }
}
