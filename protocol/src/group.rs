//! A group's log: who is in it, who may do what, and how both change.
//!
//! A group is a chain of signed ops. Each names the op before it, the device that signs it with the head of that account's
//! log, what it does, and the hash of the state after it. Which of two ops that follow the same one comes first is not
//! decided here, but by the notary who calls one of them; and whoever calls a log his own has all its ops, or a snapshot.
//!
//! ```text
//! create ──▶ op ──▶ op ──▶ …       group id = hash of the first head;  head = {seq, hash of the op without its signature}
//!    ╰─ state ─╯─ state ─╯         each op names the hash of the state after it
//! ```
//!
//! Nothing here does I/O or reads a clock. [`State::apply`] depends on the state before, the op, and the log of its author
//! up to the head that the op names; so all who applied the ops up to one head have one state, whenever they look and
//! whatever happened to an author's devices since. Who took a snapshot instead has the state of whoever made it, until a
//! member names the same state ([`State::is_confirmed_by`]). An op is, in a state,
//!
//! - **applied**: it counts;
//! - **void**, for one of the reasons of [`Void`]: it takes its place, and changes head and token alone. So whoever may
//!   append cannot stop a group by an op that is not allowed;
//! - **held**: its author's log is not known up to there. Nobody can tell yet;
//! - refused: of another place, or not signed. It says nothing, and another copy of it may.
//!
//! What is malformed is never an op, for nobody; a group whose notary calls it ends there, and another one succeeds it.
//!
//! ```text
//! values role ascending             checked parts
//! action op                         what is signed
//! body rights effect void author    what it does, who may, why it would not, who says so
//! state write snapshot              applied, written, shown to who has not all of it
//! wish past fulfil link             what those ask who may not write
//! ```

mod action;
mod ascending;
mod author;
mod body;
mod effect;
mod fulfil;
mod link;
mod op;
mod past;
mod rights;
mod role;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod values;
mod void;
mod wish;
mod write;

pub use self::action::{Action, Add, Change, ChangeRole, Create, Link, NewMember, Refresh, Remove, Unlink};
pub use self::ascending::{Ascending, Full, Keyed};
pub use self::author::Lacking;
pub use self::body::{Body, Member, OpenLink};
pub use self::fulfil::{Known, Wishes};
pub use self::link::{GroupLink, GroupLinkError};
pub use self::op::{Op, OpError, SignedOp, What};
pub use self::role::Role;
pub use self::snapshot::{Shown, Snapshot, SnapshotError};
pub use self::state::{Refused, State, Verdict};
pub use self::values::{GroupAbout, GroupName, GroupTtl, HistoryCount, LinkUses, NotPossible, Settings, Writers};
pub use self::void::Void;
pub use self::wish::{Membership, SignedWish, Wanted, Wish, WishError};
pub use self::write::{Author, NotProposed, Proposal};
