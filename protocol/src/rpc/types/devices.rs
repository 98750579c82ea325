//! The devices of this account: which there are, who let them in, and how one comes and goes.

use super::done::Done;
use crate::ids::DeviceId;
use crate::rpc::define::{method, methods, object, word};

methods! {
    DeviceMethods { DeviceList DeviceApprove DeviceRevoke }
}

method! {
    /// The devices of this account, and those that ask to become one.
    DeviceList("device.list", Parallel, [Identity, Account]) -> Devices {}
    errors []
    example {} => {
        "devices": [
            {
                "device_id": "6f1d9c2b7a4e4d0f8b3c5e7a91d2f604", "state": "active", "this": true,
                "created_ms": 1700000000000
            }
        ]
    }
}
object! {
    /// Answers [`DeviceList`].
    Devices {
        /// Active ones in the order they were added, then those that wait, then revoked ones.
        pub devices: Vec<Device>,
    }
}
word! {
    /// How a device stands in its account.
    DeviceState {
        /// Gets every message and can write.
        Active,
        /// Asks to be let in; it gets nothing until it is.
        Waiting,
        /// Its account's log ended it.
        Revoked,
    }
}
object! {
    /// One device.
    Device {
        /// Its id.
        pub device_id: DeviceId,
        /// How it stands.
        pub state: DeviceState,
        /// Whether it is the one of this daemon.
        pub this: bool,
        /// When its keys were made, by its own clock.
        pub created_ms: u64,
        /// The device that let it in; absent for the first one and for those that wait.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub added_by: Option<DeviceId>,
        /// When it was let in, by the clock of the one that did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub added_ms: Option<u64>,
        /// Active devices that came in through it, directly or through others: if it is to be revoked because somebody else has
        /// it, these are to be looked at too.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub let_in: Vec<DeviceId>,
        /// While it waits: the sixty digits that its screen and this one have to show alike.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub digits: Option<String>,
        /// While it waits: whether its own user has said there that the digits are alike.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub confirmed: Option<bool>,
        /// While it waits: whether the user has said here that the digits are alike.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub approved: Option<bool>,
    }
}

method! {
    /// Says that both screens show these digits: on a device of the account to let the other one in, on the one that
    /// waits to trust the account.
    ///
    /// The order does not matter; the device is added once both have said it.
    DeviceApprove("device.approve", Serial, [Owner]) -> Approved {
        /// The device that waits; on that one its own id.
        pub device_id: DeviceId,
        /// The digits as the other screen shows them; spaces are ignored. Others than this side's are a `conflict`, and
        /// nothing happens.
        pub digits: String,
    }
    errors [NotFound, Conflict]
    example {"device_id": "c2a94b1e05d347f6a8e0b7d3196c5f28", "digits": "405 817 263 940"} => {"state": "added"}
}
word! {
    /// What became of an approval.
    Approval {
        /// The device belongs to the account.
        Added,
        /// It is kept; the other side has not said so yet, or the server cannot be reached.
        Approved,
    }
}
object! {
    /// Answers [`DeviceApprove`].
    Approved {
        /// What became of it. `device.added` tells the rest.
        pub state: Approval,
    }
}

method! {
    /// Ends devices of the account for good: they are disconnected at once and nobody encrypts to them again.
    ///
    /// Survives a crash once it returns; `device.revoked` tells when the account's log says so. It may name this
    /// device too.
    DeviceRevoke("device.revoke", Serial, [Owner]) -> Done {
        /// Active devices.
        pub device_ids: Vec<DeviceId>,
    }
    errors [NotFound, Conflict]
    example {"device_ids": ["c2a94b1e05d347f6a8e0b7d3196c5f28"]} => {}
}
