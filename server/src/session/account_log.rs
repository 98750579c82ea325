//! The own log: what is appended to it, how often, and what it costs to look at that.
//!
//! Devices are added at a rate per account, by the rows of its devices, so that a restart forgets nothing. Revocations are
//! not counted: each ends a device that was added, so there are no more of them, and whoever wants to be rid of a stolen
//! device is never kept from it by what that one does. What an entry costs to verify is counted per device, for the same
//! reason; one for a log that stands elsewhere costs a row.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Head};
use chat_protocol::limits::MAX_LOG_ENTRIES;
use chat_protocol::message::client::{LogAppend, LogFetch};
use chat_protocol::message::server::{Code, LogGrew, LogPage, Push, Refusal};
use chat_protocol::message::{Blob, Done};
use chat_protocol::time::Timestamp;

use super::account::{head_of, stale};
use super::asked::Asked;
use super::proof::{self, Growth};
use super::ready::Ready;
use crate::counters::Closed;
use crate::limits::TooOften;
use crate::mailbox::{busy, store_failed};
use crate::router::outbox::Owed;
use crate::store::{DeviceState, LogWrite, StoreError, StoredDevice};

/// Entries read at once: about as many as fit.
const MAX_PAGE_ENTRIES: u32 = 128;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn failed(error: StoreError) -> Refusal {
    store_failed("account log", &error)
}

impl Ready {
    pub(super) async fn log_fetch(&self, ask: &LogFetch, owed: &Owed) -> Result<LogPage, Refusal> {
        let _place = self.shared().queued.page().await;
        let page = self.shared().store.log(&ask.user, ask.from, MAX_PAGE_ENTRIES).await;
        let page = page.map_err(failed)?.ok_or(Code::NotFound)?;
        let entries = page.entries.into_iter().scan(0, |bytes, entry| {
            *bytes += entry.len();
            (*bytes <= owed.bytes()).then_some(Blob(entry))
        });
        Ok(LogPage { entries: entries.collect(), head: page.head })
    }

    /// Extends the own log. Whoever the entry revokes is disconnected before this is answered; a device that
    /// revoked itself, right after.
    pub(super) async fn log_append(&self, asked: Asked, ask: LogAppend) {
        let outcome = self.grow_log(ask).await;
        let revoked = outcome.as_ref().is_ok_and(|revoked| revoked.contains(&self.device()));
        self.answer(asked, outcome.map(|_| Done {}));
        if revoked {
            self.shared().router.end(&[self.device()], Closed::Revoked);
        }
    }

    /// Verifies and stores the entry, and acts on it; which devices it revoked.
    async fn grow_log(&self, ask: LogAppend) -> Result<Vec<DeviceId>, Refusal> {
        let (shared, user, believed) = (self.shared(), self.user(), ask.head);
        let Some(growth) = self.judge_entry(ask.head, ask.entry.clone()).await? else { return Ok(Vec::new()) };
        let (head, revokes) = (growth.head, growth.revokes.clone());
        let entry = growth.into_entry(user, believed, ask.entry, shared.seen());
        match shared.store.append_log(entry).await.map_err(failed)? {
            LogWrite::Written => {}
            LogWrite::Stale(head) => return Err(stale(user.clone(), head)),
            LogWrite::Missing => return Err(Code::NotFound.into()),
        }
        tracing::info!(%user, seq = head.seq, revoked = revokes.len(), "account log grew");
        let others: Vec<_> = revokes.iter().copied().filter(|device| *device != self.device()).collect();
        shared.router.end(&others, Closed::Revoked);
        shared.router.account(user, &Push::LogGrew(LogGrew { user: user.clone(), head }));
        Ok(revokes)
    }

    /// What the entry would do to the log as it is stored; `None` if it is in it already.
    async fn judge_entry(&self, believed: Head, entry: Blob) -> Result<Option<Growth>, Refusal> {
        let (shared, user) = (self.shared(), self.user().clone());
        let truth = head_of(shared, &user).await?.ok_or(Code::NotFound)?;
        if truth != believed {
            return if self.is_known(believed, &entry).await? { Ok(None) } else { Err(stale(user, truth)) };
        }
        shared.limits().log_entries.check(&self.device())?;
        let all = u32::try_from(MAX_LOG_ENTRIES).unwrap_or(u32::MAX);
        let page = shared.store.log(&user, 0, all).await.map_err(failed)?.ok_or(Code::NotFound)?;
        let job = move || proof::growth(&user, page.entries, believed, &entry);
        let outcome = shared.signatures.run(job).await.map_err(|_| busy())?;
        let growth = outcome.map_err(|refusal| match refusal.code {
            Code::Stale => stale(self.user().clone(), page.head),
            _ => refusal,
        })?;
        if growth.as_ref().is_some_and(|growth| growth.activates.is_some()) {
            self.afford_device().await?;
        }
        Ok(growth)
    }

    /// Whether the log has this entry in the place behind `believed`.
    async fn is_known(&self, believed: Head, entry: &Blob) -> Result<bool, Refusal> {
        let place = believed.seq.saturating_add(1);
        let page = self.shared().store.log(self.user(), place, 1).await.map_err(failed)?;
        Ok(page.is_some_and(|page| page.entries.first() == Some(&entry.0)))
    }

    /// Whether the account may have one more device today.
    async fn afford_device(&self) -> Result<(), Refusal> {
        let shared = self.shared();
        let devices = shared.store.devices(self.user()).await.map_err(failed)?;
        Ok(may_add(&devices, shared.config().rates.devices_per_day, shared.seen())?)
    }
}

/// Whether fewer than `most` devices came or went within a day. One that did both counts once.
fn may_add(devices: &[StoredDevice], most: u32, now: Timestamp) -> Result<(), TooOften> {
    let counted = |device: &&StoredDevice| matches!(device.state, DeviceState::Active | DeviceState::Revoked);
    let mut ago: Vec<_> = devices.iter().filter(counted).map(|device| now.since(device.since)).collect();
    ago.sort_unstable();
    let most = usize::try_from(most.max(1)).unwrap_or(usize::MAX);
    match ago.get(most - 1) {
        Some(ago) if *ago < DAY => Err(TooOften(DAY.saturating_sub(*ago))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn device(state: DeviceState, ago: Duration) -> StoredDevice {
        let since = Timestamp::from_millis(1_800_000_000_000 - u64::try_from(ago.as_millis()).unwrap());
        let (user, device) = ("alice".parse().unwrap(), DeviceId::new([1; 16]));
        StoredDevice { device, user, cert: Vec::new(), state, since, last_login: None }
    }

    #[test]
    fn atk_83_so_many_devices_come_or_go_in_a_day_and_the_next_is_told_when() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let mut devices = vec![device(DeviceState::Active, HOUR), device(DeviceState::Revoked, 5 * HOUR)];
        devices.extend([device(DeviceState::Waiting, HOUR), device(DeviceState::Replaced, HOUR)]);
        devices.push(device(DeviceState::Active, 25 * HOUR));
        assert_eq!(may_add(&devices, 3, now), Ok(()));
        assert_eq!(may_add(&devices, 2, now), Err(TooOften(19 * HOUR)));
        assert_eq!(may_add(&devices, 1, now), Err(TooOften(23 * HOUR)));
        assert_eq!(may_add(&devices, 2, now + 19 * HOUR), Ok(()));
    }
}
