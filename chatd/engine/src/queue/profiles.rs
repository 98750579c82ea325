//! How others hear what this account says of itself; what comes, and is kept, is in `records::profile`.
//!
//! A profile is repeated rather than acknowledged: it goes to a device right before the first message under its
//! version, before the first one on a session begun since, and once a day with a message; after a change also at once
//! to everybody this account has written to. So whatever was lost, whoever lost it, comes again with the next words,
//! and the peer owes nothing and is asked nothing.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::session::content::Profile;

use crate::model::error::EngineError;
use crate::peers::{self, Recipients};
use crate::queue::sealing::{self, Sealed};
use crate::queue::{numbers, pending_submits};
use crate::records::{contacts, history, profile};
use crate::rows::outbox::{SubmitKind, ToldProfile};
use crate::rows::{PROFILE_NEWS, PROFILES_TOLD};
use crate::sessions;
use crate::store::RowsError;
use crate::txn::Txn;

/// A device that is written to hears the profile again after this long: what was lost is made up for within a day.
const REPEAT: Duration = Duration::from_secs(24 * 60 * 60);

/// The own other devices and everybody this account has written to are to hear of it.
pub(crate) fn announce(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    let me = txn.me.user.clone();
    schedule_news(txn, &me)?;
    for user in history::chats(txn.rows, usize::MAX)?.iter().filter_map(|chat| history::peer(&chat.id)) {
        if numbers::last_number(txn, &user)?.is_some() {
            schedule_news(txn, &user)?;
        }
    }
    Ok(())
}

fn schedule_news(txn: &mut Txn<'_>, user: &Username) -> Result<(), RowsError> {
    PROFILE_NEWS.put(txn.rows, user, 0, user)
}

/// Tells of a change, as far as there is room.
pub(crate) fn send_profiles(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    for user in PROFILE_NEWS.all(txn.rows)? {
        if !pending_submits::has_room(txn)? {
            break;
        }
        tell_news(txn, &user)?;
    }
    Ok(())
}

fn tell_news(txn: &mut Txn<'_>, user: &Username) -> Result<(), EngineError> {
    if !contacts::is_blocked(txn.rows, user)? {
        let Recipients::Devices(devices) = peers::recipients(txn, user)? else { return Ok(()) };
        if !sessions::all_ready(txn, &devices)? {
            return Ok(());
        }
        accompany(txn, &devices)?;
    }
    PROFILE_NEWS.delete(txn.rows, user)?;
    Ok(())
}

/// Sees to it that devices which are written to now know what this account says of itself.
///
/// Each must have a session to send on.
pub(crate) fn accompany(txn: &mut Txn<'_>, devices: &[(Username, DeviceId)]) -> Result<(), EngineError> {
    let profile = profile::stored(txn.rows, &txn.me.user)?;
    if profile.version == 0 {
        return Ok(());
    }
    for (user, device) in devices {
        tell(txn, user, device, &profile)?;
    }
    Ok(())
}

/// Tells one device, unless it was told before and there is no reason to doubt that it came.
fn tell(txn: &mut Txn<'_>, user: &Username, device: &DeviceId, profile: &Profile) -> Result<(), EngineError> {
    let Some(sending) = sessions::standings(txn.rows, device)?.sending().cloned() else { return Ok(()) };
    let told = PROFILES_TOLD.get(txn.rows, device)?;
    let known = told.is_some_and(|told| {
        let before_it_began = told.session != sending.id && told.at <= sending.begun;
        told.version == profile.version && !before_it_began && txn.now.since(told.at) < REPEAT
    });
    if known {
        return Ok(());
    }
    let told = ToldProfile { version: profile.version, session: sending.id, at: txn.now };
    PROFILES_TOLD.put(txn.rows, device, 0, &told)?;
    let Sealed { heads, to } = sealing::seal_profile(txn, user, device, profile)?;
    Ok(pending_submits::submit_envelopes(txn, heads, to, SubmitKind::Profile(user.clone(), *device))?)
}

/// What was sent to a device did not get there. The next message repeats it; so does this at once, if `again`.
pub(crate) fn untold(txn: &mut Txn<'_>, user: &Username, device: &DeviceId, again: bool) -> Result<(), RowsError> {
    PROFILES_TOLD.delete(txn.rows, device)?;
    if again { schedule_news(txn, user) } else { Ok(()) }
}
