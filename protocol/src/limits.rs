//! Every number both ends share, with its unit and its reason.
//!
//! Tunables of one process live in that process's configuration, not here.

use std::time::Duration;

/// Default TCP port, as in the first Python application.
pub const DEFAULT_PORT: u16 = 8897;
/// The one protocol version there is.
pub const PROTOCOL_VERSION: u8 = 1;
/// Version of the handshake's own layout.
pub const HANDSHAKE_VERSION: u8 = 1;
/// Most bytes the server reads before the handshake is complete: the opening and two Noise messages fit several times.
pub const MAX_HANDSHAKE_BYTES: usize = 2 * 1024;
/// A handshake that takes longer is abandoned.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Clocks further apart than this are worth a word, and neither judges whether a bundle has expired.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

/// Longest record (token text) either side reads before login: requests there carry at most a certificate and a log entry.
pub const MAX_RECORD_BYTES_GUEST: usize = 8 * 1024;
/// Longest record (token text) either side reads after login: four 64 KiB contents, grown by 4/3, and room for headers.
pub const MAX_RECORD_BYTES: usize = 512 * 1024;
/// The writer packs queued frames into one record up to this many plaintext bytes.
pub const PACK_RECORD_BYTES: usize = 16 * 1024;
/// A direction's key must be changed after this many records …
pub const REKEY_RECORDS: u64 = 65_536;
/// … or after this long, whichever is first. Twice either is enforced by the receiver.
pub const REKEY_AFTER: Duration = Duration::from_secs(15 * 60);
/// Silence after which a ping is sent.
pub const PING_AFTER: Duration = Duration::from_secs(20);
/// Silence after which the peer is taken for dead: two pings unanswered, and five seconds.
pub const DEAD_AFTER: Duration = Duration::from_secs(45);

/// Shortest user name, as in the first Python application.
pub const MIN_USERNAME_BYTES: usize = 3;
/// Longest user name: the width of the adopted `username` column.
pub const MAX_USERNAME_BYTES: usize = 150;
/// Longest password: bcrypt reads 72 bytes and ends them with a NUL; nothing is ever truncated.
pub const MAX_PASSWORD_BYTES: usize = 71;
/// Shortest password that is taken for a new one, in bytes; whoever had a shorter one from the first application logs
/// in with it.
pub const MIN_NEW_PASSWORD_BYTES: usize = 8;
/// Most active devices of one account.
pub const MAX_DEVICES: usize = 16;
/// Most devices of one account that wait for approval.
pub const MAX_WAITING_DEVICES: usize = 3;
/// Most entries one account log may hold, and one answer of `log.fetch` carries as many as fit its record.
pub const MAX_LOG_ENTRIES: usize = 1024;
/// Most names in one `lookup`.
pub const MAX_LOOKUP_USERS: usize = 100;

/// Deepest nesting of any CBOR item on the wire.
pub const MAX_CBOR_DEPTH: usize = 8;
/// Highest integer that is ever read from a peer, in whatever field: what every JSON reader holds exactly, and far from
/// where adding one would overflow.
pub const MAX_NUMBER: u64 = (1 << 53) - 1;

/// Most one-time key hashes in a bundle.
pub const MAX_ONE_TIME_KEYS: usize = 64;
/// A device publishes fresh one-time keys when fewer than this many are left on the server.
pub const REFILL_ONE_TIME_BELOW: usize = 16;
/// How long a signed bundle may be used.
pub const BUNDLE_LIFETIME: Duration = Duration::from_secs(30 * DAY);
/// Age at which the signed prekey and the ML-KEM key are replaced.
pub const PREKEY_RENEWAL: Duration = Duration::from_secs(7 * DAY);
/// Private halves stay this long after the last bundle naming them was signed.
pub const PREKEY_RETENTION: Duration = Duration::from_secs(61 * DAY);

/// Longest INIT: an RSA-4096 and an ML-KEM-768 ciphertext, two names, keys and hashes take 2.4 kB at most.
pub const MAX_INIT_BYTES: usize = 4 * 1024;
/// Most message keys one ratchet step may skip.
pub const MAX_SKIP: u32 = 1_000;
/// Most skipped message keys one session keeps.
pub const MAX_SKIPPED_KEYS: usize = 2_000;
/// Old receiving chains whose skipped keys are kept.
pub const MAX_OLD_CHAINS: usize = 5;
/// Skipped keys older than this are dropped.
pub const SKIPPED_KEY_LIFETIME: Duration = Duration::from_secs(30 * DAY);
/// Most sessions kept per pair of devices besides the one used for sending.
pub const MAX_RECEIVE_SESSIONS: usize = 5;
/// A confirmed session is renewed by a new INIT after this long …
pub const SESSION_RENEWAL: Duration = Duration::from_secs(30 * DAY);
/// … or after this many messages.
pub const SESSION_RENEWAL_MESSAGES: u64 = 5_000;
/// An initiator's unanswered INIT counts as simultaneous with the peer's for this long.
pub const SIMULTANEOUS_WINDOW: Duration = Duration::from_secs(DAY);

/// Padded sizes of a content, in bytes; above the last they go in steps of [`PAD_STEP_BYTES`].
pub const PAD_SIZES: [usize; 4] = [480, 992, 2016, 4064];
/// Step of the larger padded sizes.
pub const PAD_STEP_BYTES: usize = 4 * 1024;
/// Largest padded content; larger things are attachments.
pub const MAX_CONTENT_BYTES: usize = 64 * 1024;
/// Longest text of one message: a full content less its headers, acks and heads.
pub const MAX_TEXT_BYTES: usize = 60 * 1024;
/// Most names one message mentions.
pub const MAX_MENTIONS: usize = 32;
/// Longest reaction, in bytes: one emoji with all its modifiers.
pub const MAX_REACTION_BYTES: usize = 64;
/// Longest name somebody gives themselves: some twenty characters of any script.
pub const MAX_DISPLAY_NAME_BYTES: usize = 80;
/// Longest line somebody writes about themselves: with the name it fits the second padded size.
pub const MAX_ABOUT_BYTES: usize = 500;
/// Shortest life of a message that goes by itself, in seconds: it can still be read.
pub const MIN_TTL_S: u32 = 5;
/// Longest life of such a message, in seconds: a year.
pub const MAX_TTL_S: u32 = 365 * 24 * 60 * 60;
/// Longest text in the public room: it is copied to everybody.
pub const MAX_ROOM_TEXT_BYTES: usize = 8 * 1024;
/// Most acknowledgements one content carries.
pub const MAX_ACKS: usize = 16;
/// Most given-up sequence numbers one acknowledgement names.
pub const MAX_GIVEN_UP: usize = 8;
/// How long a message waits for the ones its author sent before it.
pub const ORDER_WAIT: Duration = Duration::from_secs(60);

// The bounds of what is signed in groups are part of version 1 of their ops: all readers have to judge alike, so none of them
// changes without a new version, and none follows a number of something else.

/// Most members of a group: each message goes to every device of each of them, sealed apart.
pub const MAX_GROUP_MEMBERS: usize = 128;
/// Longest name of a group, as long as one that somebody gives themselves.
pub const MAX_GROUP_NAME_BYTES: usize = 80;
/// Longest line about a group, as long as one that somebody writes about themselves.
pub const MAX_GROUP_ABOUT_BYTES: usize = 500;
/// Shortest life of the messages of a group, in seconds, as of any.
pub const MIN_GROUP_TTL_S: u32 = 5;
/// Longest life of the messages of a group, in seconds: a year.
pub const MAX_GROUP_TTL_S: u32 = 31_536_000;
/// Highest place in an account log that an op of a group names: such a log has at most 1,024 entries.
pub const MAX_GROUP_ACCOUNT_SEQ: u64 = 1_023;
/// Most open links of a group: one for each place where it is spoken of, and a state with all of them still fits a content.
pub const MAX_GROUP_LINKS: usize = 16;
/// Most times one link lets somebody in: several times what a group holds, since people leave.
pub const MAX_LINK_USES: u16 = 1_000;
/// Most messages from before that an `add` lets a newcomer have: two pages of them on a screen that scrolls.
pub const MAX_GROUP_HISTORY: u32 = 1_000;
/// Longest signed op: a `create` that names 128 members by their longest names takes 31.8 kB.
pub const MAX_GROUP_OP_BYTES: usize = 36 * 1024;
/// Longest state of a group: 128 members and 16 links with the longest names take 36 kB. With an op that is no `create` it
/// fits a content.
pub const MAX_GROUP_STATE_BYTES: usize = 40 * 1024;
/// Most places of others' chains that one content in a group tells: with them a message of usual length grows by a size.
pub const MAX_SEEN: usize = 16;
/// Last places of a device's chain in a group that are kept: whoever told of an earlier one is compared with the next.
pub const CHAIN_MEMORY: usize = 64;
/// Longest signed wish: two names and a signature under a 4096-bit key fit twice.
pub const MAX_WISH_BYTES: usize = 2 * 1024;

/// Most devices one submit names: two submits reach the 512 that a group is meant to have, and their envelopes of usual size
/// still fit a record.
pub const MAX_SUBMIT_DEVICES: usize = 256;
/// How long the server remembers a submit for deduplication.
pub const SUBMIT_MEMORY: Duration = Duration::from_secs(31 * DAY);
/// Most posts one `room.since` asks for.
pub const MAX_ROOM_PAGE: u64 = 500;
/// Bytes of a ratchet header: ratchet key 32 ‖ pn u32 ‖ n u32.
pub const RATCHET_HEADER_BYTES: usize = 40;
/// How far a bundle's `created` may lie ahead of the server's time: clocks further apart are reported as skewed.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(60 * 60);
/// Longest PEM text read: a 4096-bit private key takes about 3.4 kB.
pub const MAX_PEM_BYTES: usize = 16 * 1024;

const DAY: u64 = 24 * 60 * 60;

/// Longest line either side sends on the daemon's socket, newline not counted: 1 MiB. One message text is at most 60 KiB.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;
/// Most rows of one page on the daemon's socket.
pub const MAX_PAGE: u32 = 500;
/// Most calls in one batch on the daemon's socket.
pub const MAX_BATCH: usize = 100;
