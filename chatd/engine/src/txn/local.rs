//! The account and device an engine speaks for.

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::{DeviceCert, DeviceKeys};
use chat_protocol::ids::{DeviceId, Username};

/// The account and device this engine speaks for. RSA decryption is never done here: it is an [`Action`](super::action::Action).
#[derive(Clone)]
pub struct Local {
    /// Account.
    pub user: Username,
    /// This device.
    pub device: DeviceId,
    /// Its certificate.
    pub cert: DeviceCert,
    /// Its long-term keys.
    pub keys: DeviceKeys,
    /// The own account log as it stood when the account was entered.
    pub log: AccountLog,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Local({} {})", self.user, self.device)
    }
}
