//! What this account and the others say of themselves: claims, kept under the identity they came from.
//!
//! Of what comes the highest version counts; versions are times, and one of the future is refused, so that a device that
//! was stolen has no last word. It is refused what a user does not want to hear, and forgotten with the identity that said
//! it. How others hear of it is in `queue::profiles`.

use std::time::Duration;

use chat_protocol::ids::Username;
use chat_protocol::limits::{MAX_ABOUT_BYTES, MAX_DISPLAY_NAME_BYTES};
use chat_protocol::rpc::types::{self, ProfileSet};
use chat_protocol::session::content::Profile;
use chat_protocol::text::is_treacherous;

use crate::model::error::EngineError;
use crate::records::{contacts, device_tables, events};
use crate::rows::peers::HeardProfile;
use crate::rows::{HEARD_PROFILES, OWN_PROFILE};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// A version that is further ahead of the time was not made by the clock, and nobody could ever follow it.
const MOST_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

fn shown(profile: &Profile) -> types::Profile {
    let unless_empty = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    types::Profile {
        display_name: unless_empty(&profile.display_name),
        about: unless_empty(&profile.about),
        bot: profile.bot,
    }
}

/// What `me`, this account, says of itself; version 0 if it never said anything.
pub(crate) fn stored(rows: &dyn Rows, me: &Username) -> Result<Profile, RowsError> {
    Ok(OWN_PROFILE.get(rows, me)?.unwrap_or_default())
}

/// What `me`, this account, says of itself.
///
/// # Errors
/// [`RowsError`].
pub fn own(rows: &dyn Rows, me: &Username) -> Result<types::Profile, RowsError> {
    Ok(shown(&stored(rows, me)?))
}

/// What somebody else told, if it was under the identity that is pinned now.
fn heard_of(rows: &dyn Rows, user: &Username) -> Result<Option<Profile>, RowsError> {
    let Some(heard) = HEARD_PROFILES.get(rows, user)? else { return Ok(None) };
    let pinned = device_tables::get(rows, user)?.map(|table| table.fingerprint);
    Ok(Some(heard.profile).filter(|_| pinned == Some(heard.author)))
}

/// What somebody else says of themselves, as far as they told.
///
/// # Errors
/// [`RowsError`].
pub fn of(rows: &dyn Rows, user: &Username) -> Result<Option<types::Profile>, RowsError> {
    Ok(heard_of(rows, user)?.as_ref().map(shown))
}

/// Whether somebody else says that a program writes there.
pub(crate) fn is_bot(rows: &dyn Rows, user: &Username) -> Result<bool, RowsError> {
    Ok(heard_of(rows, user)?.is_some_and(|profile| profile.bot))
}

/// Changes what this account says of itself: what is absent stays, an empty text goes. Says whether it is another now.
pub(crate) fn set(txn: &mut Txn<'_>, wanted: ProfileSet) -> Result<(types::Profile, bool), EngineError> {
    let ProfileSet { display_name, about, bot } = wanted;
    check("display_name", display_name.as_deref(), MAX_DISPLAY_NAME_BYTES)?;
    check("about", about.as_deref(), MAX_ABOUT_BYTES)?;
    let me = txn.me.user.clone();
    let known = stored(txn.rows, &me)?;
    let changed = Profile {
        display_name: display_name.unwrap_or_else(|| known.display_name.clone()),
        about: about.unwrap_or_else(|| known.about.clone()),
        bot: bot.unwrap_or(known.bot),
        version: known.version,
    };
    if changed == known {
        return Ok((shown(&known), false));
    }
    // by the clock, so that a copy of the data that was put back does not repeat a number that is out
    let changed = Profile { version: txn.server_now().as_millis().max(newest(txn, Some(&known)) + 1), ..changed };
    OWN_PROFILE.put(txn.rows, &me, 0, &changed)?;
    events::profile(txn, &me, &shown(&changed))?;
    Ok((shown(&changed), true))
}

/// Whether a version can be of this time.
fn is_due(txn: &Txn<'_>, profile: &Profile) -> bool {
    profile.version <= (txn.server_now() + MOST_AHEAD).as_millis()
}

/// The version that another one has to exceed.
fn newest(txn: &Txn<'_>, known: Option<&Profile>) -> u64 {
    known.filter(|known| is_due(txn, known)).map_or(0, |known| known.version)
}

fn check(name: &str, text: Option<&str>, max: usize) -> Result<(), EngineError> {
    let fits = text.is_none_or(|text| text.len() <= max && !text.contains(is_treacherous));
    if fits {
        Ok(())
    } else {
        Err(EngineError::invalid(name, format!("must be at most {max} bytes without control or invisible characters")))
    }
}

/// What this account says of itself was changed on another of its devices, which also tells everybody.
pub(crate) fn adopt(txn: &mut Txn<'_>, profile: Profile) -> Result<(), RowsError> {
    let me = txn.me.user.clone();
    let known = stored(txn.rows, &me)?;
    if !profile.fits() || !is_due(txn, &profile) || newest(txn, Some(&known)) >= profile.version {
        return Ok(());
    }
    OWN_PROFILE.put(txn.rows, &me, 0, &profile)?;
    events::profile(txn, &me, &shown(&profile))
}

/// Somebody says something of themselves, through a session of the pinned identity.
pub(crate) fn heard(txn: &mut Txn<'_>, user: &Username, profile: Profile) -> Result<(), EngineError> {
    if !profile.fits() || !is_due(txn, &profile) {
        tracing::warn!(%user, "a profile that is too long, or of a time to come; dropped");
        return Ok(());
    }
    if contacts::is_blocked(txn.rows, user)? {
        return Ok(());
    }
    let Some(table) = device_tables::get(txn.rows, user)? else { return Ok(()) };
    let known = heard_of(txn.rows, user)?;
    if newest(txn, known.as_ref()) >= profile.version {
        return Ok(());
    }
    let (said, before) = (shown(&profile), known.as_ref().map(shown));
    let heard = HeardProfile { author: table.fingerprint, profile };
    HEARD_PROFILES.put(txn.rows, user, 0, &heard)?;
    if before.as_ref() == Some(&said) || contacts::keeps_back(txn, user)? {
        Ok(())
    } else {
        Ok(events::profile(txn, user, &said)?)
    }
}
