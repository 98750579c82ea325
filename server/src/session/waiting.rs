//! Devices that ask to be let into an account: who they are, and what they have signed for whoever approves them.
//!
//! That a device waits is a row. Its acceptance is kept in memory only: the device sends it with every login, which
//! it repeats until it is answered, so that after a restart it is here again within a minute.

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::Blob;
use chat_protocol::message::server::{DeviceWaits, Push, Refusal, WaitingDevice, WaitingDevices};

use super::ready::Ready;
use crate::mailbox::store_failed;
use crate::shared::Shared;
use crate::store::{DeviceState, StoredDevice};

/// Longest acceptance: a signature of a 4096-bit key.
const MAX_ACCEPTANCE_BYTES: usize = 512;

/// A device that waits has logged in: what it signed is kept, and the account's devices hear of it once.
pub(super) fn accepted(shared: &Shared, device: &StoredDevice, acceptance: Option<Blob>) {
    let Some(acceptance) = acceptance.filter(|acceptance| acceptance.len() <= MAX_ACCEPTANCE_BYTES) else { return };
    let wait = shared.config().accounts.approval_wait;
    if shared.acceptances.keep(device.device, acceptance, shared.seen(), wait) {
        announce(shared, &device.user, device.device);
    }
}

/// Tells the devices of an account that another one asks for something.
pub(super) fn announce(shared: &Shared, user: &Username, device: DeviceId) {
    shared.router.account(user, &Push::DeviceWaits(DeviceWaits { device }));
}

impl Ready {
    /// Who waits to be let into the own account.
    pub(super) async fn devices_waiting(&self) -> Result<WaitingDevices, Refusal> {
        let shared = self.shared();
        let (now, wait) = (shared.seen(), shared.config().accounts.approval_wait);
        let known = shared.store.devices(self.user()).await.map_err(|error| store_failed("devices", &error))?;
        let waits = |device: &StoredDevice| device.state == DeviceState::Waiting && now.since(device.since) < wait;
        let shown = |device: StoredDevice| WaitingDevice {
            acceptance: shared.acceptances.of(&device.device),
            cert: Blob(device.cert),
        };
        Ok(WaitingDevices { devices: known.into_iter().filter(waits).map(shown).collect() })
    }
}
