//! What people leave for each other: bundles, submits, mail, posts.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use chat_protocol::ids::{DeviceId, GroupAt, KeyHash, SubmitId, Username};
use chat_protocol::message::client::UserHead;
use chat_protocol::message::server::Post;
use chat_protocol::time::Timestamp;

/// A bundle to publish.
#[derive(Clone, Debug)]
pub struct NewBundle {
    /// Its device.
    pub device: DeviceId,
    /// Its sequence.
    pub seq: u64,
    /// Signed bundle, as received.
    pub bundle: Vec<u8>,
    /// New one-time public keys, with their hashes.
    pub one_time: Vec<(KeyHash, [u8; 32])>,
    /// All one-time hashes the bundle lists; keys on the server that are not among them are dropped.
    pub listed: Vec<KeyHash>,
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// It is the device's bundle.
    Published,
    /// A bundle with this or a later sequence stands.
    Stale(u64),
    /// No such active device.
    Missing,
}

/// What a requester gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBundle {
    /// Signed bundle.
    pub bundle: Vec<u8>,
    /// A one-time public key nobody gets again.
    pub one_time: Option<[u8; 32]>,
}

/// A submit to be stored.
#[derive(Clone, Debug)]
pub struct SubmitRow {
    /// Device that submits.
    pub sender: DeviceId,
    /// Names the submit for deduplication.
    pub submit_id: SubmitId,
    /// Log heads as the sender knows them.
    pub heads: Vec<UserHead>,
    /// The group it is said in, as the sender knows it.
    pub group: Option<GroupAt>,
    /// Devices and their encoded envelopes, each device at most once.
    pub to: Vec<(DeviceId, Bytes)>,
    /// Now, in time that was seen to pass.
    pub at: Timestamp,
}

impl SubmitRow {
    /// Whether a device is named more than once, which no store takes.
    #[must_use]
    pub fn repeats_a_device(&self) -> bool {
        let named: BTreeSet<_> = self.to.iter().map(|(device, _)| device).collect();
        named.len() != self.to.len()
    }
}

/// What became of a submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// Durable, in these mailboxes under these sequences; the others were full.
    Stored {
        /// Mailboxes it went to.
        placed: Vec<(DeviceId, u64)>,
        /// Mailboxes that were full.
        full: Vec<DeviceId>,
    },
    /// Stored by an earlier try, with these mailboxes full then.
    Repeated {
        /// Mailboxes that were full.
        full: Vec<DeviceId>,
    },
    /// The sender knows outdated heads: these are the true ones; none if it is the group that stands elsewhere. Nothing is stored or remembered.
    Stale(Vec<UserHead>),
    /// Every mailbox was full. Nothing is stored or remembered.
    Full,
    /// A device is nobody's or not active, the sender's own included. Nothing is stored or remembered.
    NotFound,
    /// The row names a device twice or broke a rule of the database. Nothing of it is stored.
    Failed,
}

/// One message of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its sequence.
    pub seq: u64,
    /// Account of the device that submitted it.
    pub from: Username,
    /// Device that submitted it.
    pub from_device: DeviceId,
    /// Encoded envelope, as submitted.
    pub envelope: Bytes,
}

/// Where a mailbox stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailboxState {
    /// Highest acknowledged sequence.
    pub acked: u64,
    /// Highest assigned sequence.
    pub last: u64,
    /// Messages it holds.
    pub messages: u64,
    /// Bytes it holds.
    pub bytes: u64,
}

/// Something to say in the room.
#[derive(Clone, Debug)]
pub struct NewPost {
    /// Device that says it.
    pub device: DeviceId,
    /// Names the post for deduplication.
    pub submit_id: SubmitId,
    /// What is said.
    pub text: String,
    /// Now, by the clock.
    pub at: Timestamp,
    /// Now, in time that was seen to pass.
    pub kept: Timestamp,
}

/// What became of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// Stored now: to be pushed to everybody.
    New(Post),
    /// Stored by an earlier try.
    Repeated {
        /// Its sequence.
        room_seq: u64,
        /// When it was stored.
        at: Timestamp,
    },
    /// No such active device.
    Missing,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Messages nobody acknowledged.
    pub mailbox: Duration,
    /// Posts of the public room.
    pub room: Duration,
    /// Memory of submits.
    pub submits: Duration,
    /// Devices that wait for approval.
    pub waiting: Duration,
}

/// What a sweep deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages.
    pub mail: u64,
    /// Posts.
    pub posts: u64,
    /// Remembered submits.
    pub submits: u64,
    /// Devices that waited in vain.
    pub devices: u64,
    /// Invites that were used or ran out.
    pub invites: u64,
}
