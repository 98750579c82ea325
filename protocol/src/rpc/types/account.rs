//! The account this daemon serves: registering, logging in, leaving.

use super::done::Done;
use crate::ids::{DeviceId, Fingerprint, Username};
use crate::rpc::define::{method, methods, object, word};
use crate::rpc::errors::RpcError;
use crate::rpc::secret::Secret;

methods! {
    AccountMethods {
        AccountRegister AccountLogin AccountStatus AccountLogout AccountPassword AccountReset AccountResetCancel
    }
}

/// Declares the parameters that lead to an account: which server, who, and the password.
macro_rules! enrolment {
    (
        $(#[$doc:meta])* $name:ident($wire:literal) -> $answer:ty { $($more:tt)* }
        example $params:tt => $result:tt
    ) => {
        method! {
            $(#[$doc])*
            $name($wire, Serial, [Account], files(secret_key_file, password_file)) -> $answer {
                /// The invite, which names the server; instead of the three that follow.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub invite: Option<Secret>,
                /// `host:port` of the server.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub server: Option<String>,
                /// The server's public key, base64url.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub server_key: Option<String>,
                /// File with the deployment's secret, read by the daemon; not with a token.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub secret_key_file: Option<String>,
                /// Name of the account.
                pub user: Username,
                /// Its password; or else:
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub password: Option<Secret>,
                /// File with the password in its first line, read by the daemon; not with a token.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub password_file: Option<String>,
                $($more)*
            }
            errors []
            needs network
            example $params => $result
        }

        impl $name {
            /// Which way to the server was named; `None` when the daemon shall use the one it knows.
            ///
            /// # Errors
            /// `invalid_params` when both ways are mixed or one is incomplete.
            pub fn server_access(&self) -> Result<Option<ServerAccess>, RpcError> {
                server_access(self.invite.as_ref(), [&self.server, &self.server_key, &self.secret_key_file])
            }

            /// Where the password comes from.
            ///
            /// # Errors
            /// `invalid_params` unless exactly one of both was given.
            pub fn password(&self) -> Result<PasswordFrom, RpcError> {
                password(self.password.as_ref(), self.password_file.as_deref())
            }
        }
    };
}

enrolment! {
    /// Makes an account on the server and this daemon its first device.
    AccountRegister("account.register") -> Entered {}
    example {"invite": "chat1-EXAMPLE", "user": "alice", "password": "correct horse battery"} => {
        "state": "ready", "user": "alice", "device_id": "6f1d9c2b7a4e4d0f8b3c5e7a91d2f604",
        "fingerprint": "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"
    }
}
enrolment! {
    /// Makes this daemon a device of an existing account.
    AccountLogin("account.login") -> Entered {}
    example {"user": "alice", "password": "correct horse battery"} => AccountRegister
}
enrolment! {
    /// Starts the account's identity anew, for someone whose devices are lost. Peers will see that it changed.
    AccountReset("account.reset") -> ResetAnswer {
        /// The account's name once more: old devices and unread messages will be gone.
        pub confirm: String,
    }
    example {"user": "alice", "confirm": "alice", "password": "correct horse battery"} => {
        "state": "waiting", "at_ms": 1700000000000
    }
}

/// The way to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAccess {
    /// An invite's text.
    Invite(Secret),
    /// Its three parts.
    Parts {
        /// `host:port`.
        server: String,
        /// Public key, base64url.
        server_key: String,
        /// File with the deployment's secret.
        secret_key_file: String,
    },
}

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordFrom {
    /// The call itself.
    Given(Secret),
    /// First line of this file.
    File(String),
}

fn server_access(invite: Option<&Secret>, parts: [&Option<String>; 3]) -> Result<Option<ServerAccess>, RpcError> {
    match (invite, parts) {
        (None, [None, None, None]) => Ok(None),
        (Some(invite), [None, None, None]) => Ok(Some(ServerAccess::Invite(invite.clone()))),
        (Some(_), _) => Err(RpcError::invalid("invite", "an invite already names the server")),
        (None, [Some(server), Some(server_key), Some(file)]) => Ok(Some(ServerAccess::Parts {
            server: server.clone(),
            server_key: server_key.clone(),
            secret_key_file: file.clone(),
        })),
        (None, [None, ..]) => Err(RpcError::invalid("server", "missing")),
        (None, [_, None, _]) => Err(RpcError::invalid("server_key", "missing")),
        (None, [_, _, None]) => Err(RpcError::invalid("secret_key_file", "missing")),
    }
}

fn password(given: Option<&Secret>, file: Option<&str>) -> Result<PasswordFrom, RpcError> {
    match (given, file) {
        (Some(password), None) => Ok(PasswordFrom::Given(password.clone())),
        (None, Some(file)) => Ok(PasswordFrom::File(file.to_owned())),
        (Some(_), Some(_)) => Err(RpcError::invalid("password_file", "the password was given already")),
        (None, None) => Err(RpcError::invalid("password", "missing")),
    }
}

word! {
    /// Where an enrolment led.
    EnteredState {
        /// The device belongs to the account and is logged in.
        Ready,
        /// Another device of the account has to approve this one.
        ApprovalRequired,
    }
}
object! {
    /// Answers [`AccountRegister`] and [`AccountLogin`].
    Entered {
        /// Where it led.
        pub state: EnteredState,
        /// Account.
        pub user: Username,
        /// This device.
        pub device_id: DeviceId,
        /// The account's identity; absent until the digits were compared, since until then nobody's word is good for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fingerprint: Option<Fingerprint>,
        /// With `approval_required`: the digits that this screen and that of a device of the account have to show alike.
        /// Say so with `device.approve` on both.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub digits: Option<String>,
    }
}
word! {
    /// What became of a reset.
    ResetProgress {
        /// The new identity stands.
        Done,
        /// A device of the account was seen lately: it happens when the call is repeated after `at_ms`.
        Waiting,
    }
}
object! {
    /// Answers [`AccountReset`].
    ResetAnswer {
        /// What became of it.
        pub state: ResetProgress,
        /// When to repeat the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub at_ms: Option<u64>,
    }
}
method! {
    /// Stops a reset of this account that somebody started.
    AccountResetCancel("account.reset.cancel", Serial, [Account]) -> Done {}
    errors []
    needs network
    example {} => {}
}
method! {
    /// Disconnects, and forgets the login.
    AccountLogout("account.logout", Serial, [Account]) -> Done {
        /// Also deletes the keys: what they protect is lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub forget_keys: Option<bool>,
    }
    errors []
    example {"forget_keys": false} => {}
}
method! {
    /// Changes the password.
    AccountPassword("account.password", Serial, [Account]) -> Done {
        /// The present one.
        pub old: Secret,
        /// The next one.
        pub new: Secret,
    }
    errors []
    needs network
    example {"old": "correct horse battery", "new": "staple battery horse"} => {}
}
method! {
    /// Which account this daemon serves, and how it stands.
    AccountStatus("account.status", Parallel, []) -> AccountStatusAnswer {}
    errors []
    example {} => {
        "state": "ready", "user": "alice", "server": "chat.example:8897",
        "device_id": "6f1d9c2b7a4e4d0f8b3c5e7a91d2f604",
        "fingerprint": "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90", "requests": 0
    }
}
word! {
    /// How the account stands.
    AccountState {
        /// There is none.
        None,
        /// There is none here yet, and a reset waits for its time; repeating that call finishes it.
        Unfinished,
        /// Another device has to approve this one.
        ApprovalRequired,
        /// All is well.
        Ready,
        /// Logged out; the keys are kept.
        LoggedOut,
        /// The server refuses this device.
        Refused,
        /// The account ended this device: it gets nothing any more, and never comes back under these keys.
        Revoked,
    }
}
object! {
    /// Answers [`AccountStatus`].
    AccountStatusAnswer {
        /// How it stands.
        pub state: AccountState,
        /// Account.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub user: Option<Username>,
        /// `host:port` of its server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub server: Option<String>,
        /// This device.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub device_id: Option<DeviceId>,
        /// The account's identity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fingerprint: Option<Fingerprint>,
        /// A reset of this account waits until then: cancel it if you did not ask for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reset_at_ms: Option<u64>,
        /// A reset that was asked for here waits until then; asked for again after that, the same way, it is done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub own_reset_at_ms: Option<u64>,
        /// With `approval_required`: the digits both screens have to show alike.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub digits: Option<String>,
        /// With `approval_required`: whether the user has said here that they are alike.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub confirmed: Option<bool>,
        /// How many users wrote who are not known here and wait for a decision: those `request.list` lists.
        #[serde(default)]
        pub requests: u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str = r#"{"user":"alice","password":"hunter2-canary","invite":"chat1-canary"}"#;

    #[test]
    fn atk_62_parameters_with_secrets_do_not_print_them() {
        let login: AccountLogin = serde_json::from_str(LOGIN).unwrap();
        let change = AccountPassword { old: login.password.clone().unwrap(), new: login.invite.clone().unwrap() };
        let printed =
            format!("{login:?} {change:?} {:?} {:?}", login.server_access().unwrap(), login.password().unwrap());
        assert!(!printed.contains("canary"), "{printed}");
    }

    #[test]
    fn an_enrolment_is_one_invite_or_three_parts() {
        let mut login: AccountLogin = serde_json::from_str(LOGIN).unwrap();
        assert!(matches!(login.server_access(), Ok(Some(ServerAccess::Invite(_)))));
        login.server = Some("chat.example:8897".to_owned());
        assert_eq!(login.server_access().unwrap_err().path.as_deref(), Some("invite"));
        login.invite = None;
        assert_eq!(login.server_access().unwrap_err().path.as_deref(), Some("server_key"));
    }

    #[test]
    fn a_password_is_given_once() {
        let mut login: AccountLogin = serde_json::from_str(LOGIN).unwrap();
        login.password_file = Some("pw".to_owned());
        assert_eq!(login.password().unwrap_err().path.as_deref(), Some("password_file"));
        (login.password, login.password_file) = (None, None);
        assert_eq!(login.password().unwrap_err().path.as_deref(), Some("password"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<AccountLogout>(r#"{"forgetkeys":true}"#).is_err());
    }
}
