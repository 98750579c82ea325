//! What the user decided for the whole account on this device.

use chat_protocol::rpc::RpcError;
use chat_protocol::rpc::types::{self, MessagesFrom, SettingsSet, TrustPolicy};

use crate::rows::SETTINGS;
pub use crate::rows::state::Settings;
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// Longest retention: a hundred years.
const MAX_DAYS: u32 = 36_500;
/// Fewest events kept: a consumer that was away for a minute is never told about a gap.
const FEWEST_EVENTS: u64 = 1_000;
/// Most events kept: some gigabytes on disk.
const MOST_EVENTS: u64 = 10_000_000;

const MIB: u64 = 1024 * 1024;
/// What the history may take as long as nobody chose: years of talk, and no disk.
const USUAL_HISTORY_MIB: u32 = 4_096;
/// The same of the event log.
const USUAL_EVENT_MIB: u32 = 256;
/// Most of either: a tebibyte.
const MOST_MIB: u32 = 1024 * 1024;

impl Default for Settings {
    fn default() -> Self {
        Self {
            read_receipts: true,
            presence: true,
            history_days: 0,
            event_days: 30,
            max_events: 1_000_000,
            trust_policy: TrustPolicy::Tofu,
            outbox_days: 30,
            history_mib: None,
            max_event_mib: None,
            messages_from: MessagesFrom::Anyone,
        }
    }
}

impl Settings {
    /// The settings in force.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn get(rows: &dyn Rows) -> Result<Self, RowsError> {
        Ok(SETTINGS.get(rows)?.unwrap_or_default())
    }

    const fn history_mib(&self) -> u32 {
        match self.history_mib {
            Some(mib) => mib,
            None => USUAL_HISTORY_MIB,
        }
    }

    const fn max_event_mib(&self) -> u32 {
        match self.max_event_mib {
            Some(mib) => mib,
            None => USUAL_EVENT_MIB,
        }
    }

    /// Most bytes the history may take, if it is bounded.
    pub(crate) fn most_history_bytes(&self) -> Option<u64> {
        Some(self.history_mib()).filter(|mib| *mib > 0).map(|mib| u64::from(mib) * MIB)
    }

    /// Most bytes of events.
    pub(crate) fn most_event_bytes(&self) -> u64 {
        u64::from(self.max_event_mib()) * MIB
    }

    /// As the socket shows them.
    #[must_use]
    pub const fn shown(&self) -> types::Settings {
        types::Settings {
            read_receipts: self.read_receipts,
            presence: self.presence,
            history_days: self.history_days,
            event_days: self.event_days,
            max_events: self.max_events,
            trust_policy: self.trust_policy,
            outbox_days: self.outbox_days,
            history_mib: self.history_mib(),
            max_event_mib: self.max_event_mib(),
            messages_from: self.messages_from,
        }
    }

    /// Changes what `wanted` names.
    #[must_use]
    pub fn with(self, wanted: &SettingsSet) -> Self {
        Self {
            read_receipts: wanted.read_receipts.unwrap_or(self.read_receipts),
            presence: wanted.presence.unwrap_or(self.presence),
            history_days: wanted.history_days.unwrap_or(self.history_days),
            event_days: wanted.event_days.unwrap_or(self.event_days),
            max_events: wanted.max_events.unwrap_or(self.max_events),
            trust_policy: wanted.trust_policy.unwrap_or(self.trust_policy),
            outbox_days: wanted.outbox_days.unwrap_or(self.outbox_days),
            history_mib: wanted.history_mib.or(self.history_mib),
            max_event_mib: wanted.max_event_mib.or(self.max_event_mib),
            messages_from: wanted.messages_from.unwrap_or(self.messages_from),
        }
    }
}

/// Refuses what is out of range.
///
/// # Errors
/// [`RpcError`] that names the parameter.
pub fn check(wanted: &SettingsSet) -> Result<(), RpcError> {
    if wanted.history_days.is_some_and(|days| days > MAX_DAYS) {
        return Err(RpcError::invalid("history_days", format!("must be 0 to {MAX_DAYS}")));
    }
    if wanted.outbox_days.is_some_and(|days| days > MAX_DAYS) {
        return Err(RpcError::invalid("outbox_days", format!("must be 0 to {MAX_DAYS}")));
    }
    if wanted.history_mib.is_some_and(|mib| mib > MOST_MIB) {
        return Err(RpcError::invalid("history_mib", format!("must be 0 to {MOST_MIB}")));
    }
    if wanted.max_event_mib.is_some_and(|mib| !(1..=MOST_MIB).contains(&mib)) {
        return Err(RpcError::invalid("max_event_mib", format!("must be 1 to {MOST_MIB}")));
    }
    if wanted.event_days.is_some_and(|days| !(1..=MAX_DAYS).contains(&days)) {
        return Err(RpcError::invalid("event_days", format!("must be 1 to {MAX_DAYS}")));
    }
    if wanted.max_events.is_some_and(|count| !(FEWEST_EVENTS..=MOST_EVENTS).contains(&count)) {
        return Err(RpcError::invalid("max_events", format!("must be {FEWEST_EVENTS} to {MOST_EVENTS}")));
    }
    Ok(())
}

/// Changes the settings and returns those in force.
///
/// # Errors
/// [`RowsError`].
pub fn set(txn: &mut Txn<'_>, wanted: &SettingsSet) -> Result<Settings, RowsError> {
    let settings = Settings::get(txn.rows)?.with(wanted);
    SETTINGS.put(txn.rows, &settings)?;
    txn.live.requests_looked = None;
    Ok(settings)
}

/// Decides what happens when peers get new devices, where no chat says otherwise.
pub(crate) fn set_policy(txn: &mut Txn<'_>, trust_policy: TrustPolicy) -> Result<(), RowsError> {
    let settings = Settings { trust_policy, ..Settings::get(txn.rows)? };
    SETTINGS.put(txn.rows, &settings)
}
