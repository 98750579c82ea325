//! Every family of rows there is: in which table, under which label, by which keys, as which values.
//!
//! Nobody else names a place or writes bytes into one, so that two kinds of rows cannot meet and no format changes unseen:
//! `tests` compares each family with the bytes in `golden/NAME.VERSION`, its place and key among them.
//!
//! A field is added as an option, or with a default, under a number nobody has used. The sample gets it, the family its next
//! version, and `WRITE_GOLDEN=1 cargo test --workspace --lib -- rows::` writes the golden file of that. The former file stays,
//! and shows that old rows are still read. Anything else is another format, and so another family, with a label of its own:
//! whoever opens the rows brings those of the old one over, once, in the transaction that finds them, and a story opens a
//! directory that has some. [`version_1`] does that for a whole store, to which the daemon then gives its next version.

pub mod account;
pub(crate) mod clients;
pub mod codec;
pub(crate) mod counter;
pub(crate) mod events;
pub mod family;
pub(crate) mod held;
pub(crate) mod inbox;
pub mod key;
pub(crate) mod messages;
pub(crate) mod outbox;
pub(crate) mod peers;
pub(crate) mod prekeys;
#[cfg(test)]
mod samples;
pub(crate) mod sessions;
pub(crate) mod state;
#[cfg(test)]
mod tests;
pub mod version_1;

use chat_protocol::ids::{DeviceId, Fingerprint, HeadHash, KeyHash, MessageId, SessionId, SubmitId, Username};
use chat_protocol::rpc::Name;
use chat_protocol::rpc::types::TrustPolicy;
use chat_protocol::session::bundle::{KemPrekey, OneTimePrekey, SignedPrekey};
use chat_protocol::session::content::Profile;
use chat_protocol::session::manager::{Failures, Standings};
use chat_protocol::session::ratchet::MessageKey;
use chat_protocol::time::{SeenMark, Timestamp};

use self::account::AccountRow;
use self::clients::{Consumer, KvUsage, KvValue, TokenHash, TokenRow, UsedClientId};
use self::codec::{Cbor, Mark, Raw, Secret, Text};
use self::counter::Counter;
use self::events::KeptEvent;
use self::family::{Family, Scoped, Single};
use self::held::{AheadMessage, Buffered, BufferedOf, Request, RequestedMessage, Stream, StreamId};
use self::inbox::{Raw as Envelope, Refused, WaitingInit};
use self::messages::{Chat, ChatName, EarlyNote, InChat, Message, ReadThere};
use self::outbox::{Change, Item, Number, PendingLog, PendingOwnReceipt, PendingReceipt, PendingSubmit, ToldProfile};
use self::peers::{Contact, DeviceTable, HeardProfile, LogView, Peer, PendingEntry, WaitingDevice};
use self::prekeys::CurrentBundle;
use self::sessions::{Stored, Unconfirmed};
use self::state::{Agreed, Due, RoomMark, ServerWord, Settings, Timer};

/// Declares families: `NAME: Table "label" (one scope for each of) [key] => Codec<Value>, version`, or for a single row
/// `NAME: Table "label" / "key" => Codec<Value>, version`; and for tests the list of them all.
macro_rules! families {
    ($($(#[$doc:meta])* $vis:vis $name:ident: $table:ident $label:literal $(/ $single:literal)? $(($of:ty))? $([$key:ty])?
        => $codec:ty, $version:literal;)*) => {
        $(
            $(#[$doc])*
            $vis static $name: family_type!($(/ $single)? $(($of))? $([$key])?, $codec) =
                <family_type!($(/ $single)? $(($of))? $([$key])?, $codec)>::new(crate::store::Table::$table, $label $(, $single)?);
        )*

        #[cfg(test)]
        fn families() -> Vec<tests::Declared> {
            vec![$(tests::Declared::of(stringify!($name), $version, &$name)),*]
        }
    };
}

macro_rules! family_type {
    (/ $single:literal, $codec:ty) => { Single<$codec> };
    (($of:ty) [$key:ty], $codec:ty) => { Scoped<$of, $key, $codec> };
    ([$key:ty], $codec:ty) => { Family<$key, $codec> };
}

families! {
    /// The account of this daemon.
    pub ACCOUNT: Account "self" / "account" => Cbor<AccountRow>, 2;
    /// An enrolment the server may already know of: the account as it will be.
    pub PENDING_ACCOUNT: Account "self" / "pending" => Cbor<AccountRow>, 2;
    /// A reset that was asked for here: the account as it will be.
    pub ACCOUNT_RESET: Account "self" / "reset" => Cbor<AccountRow>, 2;
    /// The X25519 keys of devices, by their users.
    pub DEVICE_KEYS: Account "device-key" [Username] => Secret, 1;

    /// What is known about each other account. By when it was first seen.
    pub(crate) PINS: Peers "" [Username] => Cbor<Peer>, 2;
    /// What is derived from each pin.
    pub(crate) DEVICE_TABLES: Peers "devices" [Username] => Cbor<DeviceTable>, 1;
    /// The heads that the pinned log of a user had, by their sequences.
    pub(crate) LOG_HEADS: Peers "head:" (Username) [u64] => Cbor<HeadHash>, 1;
    /// Devices that the pinned log of a user has ended. By the entry that did.
    pub(crate) REVOKED_DEVICES: Peers "revoked:" (Username) [DeviceId] => Mark, 1;
    /// What was decided for the chat with a user about new devices.
    pub(crate) POLICIES: Peers "policy" [Username] => Cbor<TrustPolicy>, 1;
    /// What is noted about a user.
    pub(crate) CONTACTS: Peers "contact" [Username] => Cbor<Contact>, 2;
    /// What users say of themselves.
    pub(crate) HEARD_PROFILES: Peers "profile" [Username] => Cbor<HeardProfile>, 1;
    /// What a device knows of the log of a user.
    pub(crate) LOG_VIEWS: Peers "view" [(DeviceId, Username)] => Cbor<LogView>, 1;
    /// Devices that ask to be let into the own account. By when they were made.
    pub(crate) WAITING_DEVICES: Peers "waiting" [DeviceId] => Cbor<WaitingDevice>, 1;
    /// What was signed for the own account log.
    pub(crate) PENDING_ENTRY: Peers "own" / "pending" => Cbor<PendingEntry>, 1;
    /// Own devices that are to be ended.
    pub(crate) TO_REVOKE: Peers "own" / "revoke" => Cbor<Vec<DeviceId>>, 1;

    /// The sessions with a device.
    pub(crate) SESSIONS: Sessions "with:" (DeviceId) [SessionId] => Cbor<Stored>, 1;
    /// With which device a session is.
    pub(crate) SESSION_DEVICES: Sessions "sid" [SessionId] => Cbor<DeviceId>, 1;
    /// Which of the sessions with a device is sent on.
    pub(crate) STANDINGS: Sessions "standings" [DeviceId] => Cbor<Standings>, 1;
    /// What of a device did not open.
    pub(crate) FAILURES: Sessions "failures" [DeviceId] => Cbor<Failures>, 1;
    /// The newest bundle of a device that was seen.
    pub(crate) BUNDLES_SEEN: Sessions "bundle" [DeviceId] => Cbor<u64>, 1;
    /// Sessions begun here and not answered.
    pub(crate) UNCONFIRMED: Sessions "unconfirmed" [DeviceId] => Cbor<Unconfirmed>, 1;
    /// Devices with which the next session begins with a reset.
    pub(crate) RESETS: Sessions "resets" [DeviceId] => Cbor<(DeviceId, Username)>, 1;

    /// Keys of a session's messages that were overtaken. By their numbers.
    pub(crate) SKIPPED_KEYS: Skipped "" (SessionId) [[u8]] => Cbor<MessageKey>, 1;
    /// Up to which number a session's keys were skipped. By when they were.
    pub(crate) SKIPPED_AT: Skipped "aged" [(SessionId, u64)] => Cbor<(SessionId, u64)>, 1;

    /// The newest own bundle.
    pub(crate) BUNDLE: Prekeys "" / "current" => Cbor<CurrentBundle>, 1;
    /// By when a bundle named them last, as the next two.
    pub(crate) SIGNED_PREKEYS: Prekeys "signed" [u64] => Cbor<SignedPrekey>, 1;
    pub(crate) KEM_PREKEYS: Prekeys "kem" [u64] => Cbor<KemPrekey>, 1;
    pub(crate) ONE_TIME_PREKEYS: Prekeys "one-time" [KeyHash] => Cbor<OneTimePrekey>, 1;
    /// Own bundles. By when they were made.
    pub(crate) BUNDLES: Prekeys "bundle" [KeyHash] => Mark, 1;

    /// INITs that were answered. By when they were.
    pub(crate) INITS_ANSWERED: Replay "" [[u8; 32]] => Mark, 1;

    /// Envelopes that wait to be opened. By their positions, as their indices.
    pub(crate) ENVELOPES: Inbox "raw" [u64] => Cbor<Envelope>, 1;
    /// Those of one session of a device.
    pub(crate) ENVELOPES_OF_SESSION: Inbox "sid:" ((DeviceId, SessionId)) [u64] => Mark, 1;
    /// Those of one INIT of a device.
    pub(crate) ENVELOPES_OF_INIT: Inbox "alike:" ((DeviceId, (SessionId, [u8; 32]))) [u64] => Mark, 1;
    /// Those of one user.
    pub(crate) ENVELOPES_FROM: Inbox "from:" (Username) [u64] => Mark, 1;
    /// The INITs of a device that wait.
    pub(crate) INITS: Inbox "inits:" (DeviceId) [(SessionId, [u8; 32])] => Raw<SessionId>, 1;
    /// The first envelope of each INIT that waits. By when it is looked at.
    pub(crate) WAITING_INITS: Inbox "waiting" [u64] => Cbor<WaitingInit>, 1;
    /// Those of one user.
    pub(crate) WAITING_INITS_OF: Inbox "waiting-of:" (Username) [u64] => Mark, 1;
    /// How many bytes wait of a user, and of all.
    pub(crate) ENVELOPE_BYTES: Inbox "bytes" [Option<Username>] => Cbor<u64>, 1;
    /// Devices in the pinned log of their user to be asked for what found no room. By when that is looked at.
    pub(crate) NO_ROOM_LISTED: Inbox "no-room-listed" [(DeviceId, Username)] => Cbor<Refused>, 1;
    /// All others.
    pub(crate) NO_ROOM_OTHERS: Inbox "no-room-others" [(DeviceId, Username)] => Cbor<Refused>, 1;
    /// Hashes of what came under a number of the mailbox, in two halves.
    pub(crate) DELIVERED_EVEN: Inbox "delivered:even" [u64] => Raw<[u8; 32]>, 1;
    pub(crate) DELIVERED_ODD: Inbox "delivered:odd" [u64] => Raw<[u8; 32]>, 1;

    /// Where the conversation with each device stands, for each chat.
    pub(crate) STREAMS: Held "line:" (str) [DeviceId] => Cbor<Stream>, 1;
    /// What came too early of a device in a chat. By its numbers.
    pub(crate) BUFFERED: Held "early:" ((DeviceId, String)) [u64] => Cbor<Buffered>, 1;
    /// Streams in which something came too early.
    pub(crate) WAITING_STREAMS: Held "waiting" [BufferedOf] => Cbor<StreamId>, 1;
    /// What waits for an account log. By until when.
    pub(crate) AHEAD: Held "ahead" [u64] => Cbor<AheadMessage>, 1;
    /// Users who are not known and have written. By how many bytes wait of them.
    pub(crate) REQUESTS: Held "request" [Username] => Cbor<Request>, 1;
    /// What they wrote. In the order it came.
    pub(crate) REQUESTED: Held "request:" (Username) [MessageId] => Cbor<RequestedMessage>, 1;

    /// What waits to be sealed for a user.
    pub(crate) QUEUE: Outbox "to:" (Username) [u64] => Cbor<Item>, 1;
    /// Users for whom something waits. By what was put in line last.
    pub(crate) DESTINATIONS: Outbox "destinations" [Username] => Raw<Username>, 1;
    /// How much waits in line.
    pub(crate) QUEUE_LEN: Outbox "tally" / "" => Cbor<u64>, 1;
    /// What a device lacks that cannot be written to.
    pub(crate) LAGGING: Outbox "lag:" (DeviceId) [u64] => Cbor<Item>, 1;
    /// Devices that lack something.
    pub(crate) LAGGING_DEVICES: Outbox "lagging" [DeviceId] => Raw<DeviceId>, 1;
    /// Submits that wait for room in the mailbox of a device.
    pub(crate) FULL_MAILBOXES: Outbox "full:" (DeviceId) [SubmitId] => Mark, 1;
    /// Changes of own messages. Under 0 until they arrive, then by when they were made.
    pub(crate) CHANGES: Outbox "changes" [MessageId] => Cbor<Change>, 1;
    /// Receipts to be sent to the devices of others. By when they are due, as the next.
    pub(crate) RECEIPTS: Outbox "owed" [DeviceId] => Cbor<PendingReceipt>, 1;
    /// Receipts to be sent to own devices about their chats.
    pub(crate) OWN_RECEIPTS: Outbox "owed-own" [(DeviceId, Username)] => Cbor<PendingOwnReceipt>, 1;
    /// Logs that devices are to be told.
    pub(crate) PENDING_LOGS: Outbox "logs" [(DeviceId, Username)] => Cbor<PendingLog>, 1;
    /// Which profile each device was told.
    pub(crate) PROFILES_TOLD: Outbox "told" [DeviceId] => Cbor<ToldProfile>, 1;
    /// Users who are to hear at once of another profile.
    pub(crate) PROFILE_NEWS: Outbox "news" [Username] => Raw<Username>, 1;
    /// The last number in the conversation with a user.
    pub(crate) NUMBERS: Outbox "numbers" [Username] => Cbor<Number>, 1;
    /// Messages sent to a user in an epoch, by their numbers.
    pub(crate) SENT: Outbox "sent:" ((u64, Username)) [u64] => Raw<MessageId>, 1;
    /// Those that arrived and were not read.
    pub(crate) UNREAD: Outbox "unread:" ((u64, Username)) [u64] => Raw<MessageId>, 1;
    /// Up to which number it was told that a user does not acknowledge.
    pub(crate) SILENCE_TOLD: Outbox "tails" [Username] => Cbor<Number>, 1;
    /// From which number on a device is to get what this one says in an epoch to a user.
    pub(crate) FIRST_NUMBERS: Outbox "first:" (DeviceId) [(DeviceId, u64, Username)] => Cbor<u64>, 1;
    /// Epochs and users in whose conversations a device did not acknowledge everything.
    pub(crate) CONVERSATIONS: Outbox "for:" (DeviceId) [(u64, Username)] => Cbor<(u64, Username)>, 1;
    /// What it did not acknowledge there, by its numbers.
    pub(crate) UNACKNOWLEDGED: Outbox "for:" ((DeviceId, u64, Username)) [u64] => Raw<MessageId>, 1;
    /// What went again to a device because it asked. By when it was said.
    pub(crate) SENT_AGAIN: Outbox "again" [(DeviceId, MessageId)] => Mark, 1;

    /// Submits that were not answered. By their counters.
    pub(crate) IN_FLIGHT: Submits "flight" [SubmitId] => Cbor<PendingSubmit>, 1;
    /// Those set aside. By when they are tried again.
    pub(crate) DEFERRED: Submits "parked" [SubmitId] => Cbor<PendingSubmit>, 1;
    /// Posts in line, the first of them in flight too.
    pub(crate) POSTS: Submits "posts" [SubmitId] => Cbor<PendingSubmit>, 1;

    /// The messages of a chat. By their positions in the history, as their indices.
    pub(crate) MESSAGES: Messages "" (ChatName) [MessageId] => Cbor<Message>, 1;
    /// Chat and position of a message.
    pub(crate) POSITIONS: Messages "id" [MessageId] => Cbor<(String, u64)>, 1;
    /// Own messages that wait.
    pub(crate) WAITING: Messages "waiting" [MessageId] => Cbor<MessageId>, 1;
    /// Own messages that did not arrive.
    pub(crate) FAILED: Messages "failed" [MessageId] => Cbor<MessageId>, 1;
    /// Messages and changes of an identity that came. By when they did.
    pub(crate) SEEN: Messages "seen:" (Fingerprint) [MessageId] => Mark, 1;
    /// Changes that came before their message in a chat, by kind and author. By when they came.
    pub(crate) EARLY_CHANGES: Messages "early-changes:" ((MessageId, String)) [(u8, Username)] => Cbor<Change>, 1;
    /// Those of one author in a chat, without what they say.
    pub(crate) EARLY_NOTES: Messages "early-by:" (InChat) [(MessageId, u8)] => Cbor<EarlyNote>, 1;
    /// Whose changes wait in which chats.
    pub(crate) EARLY_AUTHORS: Messages "early-authors" [InChat] => Cbor<(String, Username)>, 1;
    /// Deletions of an identity that came before their messages in a chat. In the order they came.
    pub(crate) EARLY_DELETIONS: Messages "early-deletions:" ((Fingerprint, String)) [MessageId] => Mark, 1;
    /// The same as older programs kept them, whatever the chat. None are added.
    pub(crate) FORMER_DELETIONS: Messages "gone:" (Fingerprint) [MessageId] => Mark, 1;

    /// Chats. By their latest activity.
    pub(crate) CHATS: Chats "" [str] => Cbor<Chat>, 3;
    /// Up to where a device's messages in a chat were read on another own device.
    pub(crate) READ_THERE: Chats "read-there-by:" (str) [DeviceId] => Cbor<ReadThere>, 1;

    /// The event log, by sequence.
    pub(crate) EVENTS: Events "" [u64] => Cbor<KeptEvent>, 3;

    /// How far each reader of the event log has come.
    pub(crate) CONSUMERS: Clients "consumer" [Name] => Cbor<Consumer>, 1;
    /// What each token may do.
    pub(crate) TOKENS: Clients "token" [Name] => Cbor<TokenRow>, 1;
    /// The names of tokens by the hashes of their texts.
    pub(crate) TOKEN_NAMES: Clients "token-hash" [TokenHash] => Cbor<String>, 1;
    /// What tokens were used for, as the socket shows it.
    pub(crate) AUDIT: Clients "audit" [u64] => Text, 1;
    /// What was refused to tokens.
    pub(crate) AUDIT_REFUSED: Clients "audit-refused" [u64] => Text, 1;
    /// The keys of each namespace, in their order.
    pub(crate) KV_KEYS: Clients "kv" [Name] => Cbor<Vec<String>>, 1;
    /// The values of a namespace.
    pub(crate) KV_VALUES: Clients "kv:" (Name) [str] => Cbor<KvValue>, 1;
    /// What values take, by who pays for them: what stands before the first dot of their namespaces.
    pub(crate) KV_USAGE: Clients "kv-usage" [Name] => Cbor<KvUsage>, 1;
    /// Namespaces whose values are in that.
    pub(crate) KV_COUNTED: Clients "kv-counted" [Name] => Mark, 1;
    /// What the names were used for that callers gave to messages. By when they were.
    pub(crate) CLIENT_IDS: Clients "client_id" [str] => Cbor<UsedClientId>, 1;

    /// Where reading the public room began.
    pub(crate) ROOM_BEGUN: Room "" / "begun" => Cbor<u64>, 1;
    /// Behind which posts are forgotten next.
    pub(crate) ROOM_MARK: Room "" / "mark" => Cbor<RoomMark>, 1;
    /// Posts that were taken. By when they were.
    pub(crate) POSTS_SHOWN: Room "shown" [MessageId] => Mark, 1;
    /// Own posts by the submits that carried them. By when they were said.
    pub(crate) POSTS_SENT: Room "posts" [SubmitId] => Raw<MessageId>, 1;

    /// Numbers that never go back.
    pub(crate) COUNTERS: State "counter" [Counter] => Cbor<u64>, 4;
    /// What the user decided for the whole account.
    pub(crate) SETTINGS: State "settings" / "" => Cbor<Settings>, 3;
    /// What this account says of itself.
    pub(crate) OWN_PROFILE: State "profile" [Username] => Cbor<Profile>, 1;
    /// Timers that go by the clock. By when they are due, as the next.
    pub(crate) TIMES: State "timers" [(Due, MessageId)] => Cbor<Timer>, 1;
    /// Timers that go by the time that was seen to pass.
    pub(crate) SPANS: State "spans" [(Due, MessageId)] => Cbor<Timer>, 1;
    /// The device whose rows these are.
    pub(crate) DEVICE: State "" / "device" => Cbor<DeviceId>, 1;
    /// What the server said, when that was last acted upon.
    pub(crate) BELIEVED: State "" / "believed" => Cbor<ServerWord>, 1;
    /// When that was.
    pub(crate) ROLLED_BACK: State "" / "rolled-back" => Cbor<Timestamp>, 1;
    /// When the own clock and the server's agreed last.
    pub(crate) CLOCKS_AGREED: State "" / "clocks-agreed" => Cbor<Agreed>, 2;
    /// How far the time had come.
    pub(crate) SEEN_TIME: State "" / "age" => Cbor<SeenMark>, 1;
}
