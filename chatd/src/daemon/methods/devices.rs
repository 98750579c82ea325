//! The devices of this account.

use chat_protocol::rpc::Handle;
use chat_protocol::rpc::types::{Approval, Approved, DeviceApprove, DeviceList, DeviceRevoke, Devices, Done};

use crate::account::{AccountError, Standing, waiting};
use crate::api::Answer;
use crate::daemon::{Daemon, errors, reads};
use crate::engine::devices;

impl Handle<DeviceList> for Daemon {
    async fn handle(&self, DeviceList {}: DeviceList) -> Answer<Devices> {
        self.read(reads::devices).await
    }
}

/// On the device that waits its user speaks for it; on one of the account for the other.
impl Handle<DeviceApprove> for Daemon {
    async fn handle(&self, params: DeviceApprove) -> Answer<Approved> {
        let DeviceApprove { device_id, digits } = params;
        let context = self.context();
        let account = context.account().map_err(AccountError::from)?.ok_or_else(|| errors::idle(None))?;
        if account.standing != Standing::Waiting {
            let state = self.command(move |txn| devices::approve(txn, &device_id, &digits)).await?;
            return Ok(Approved { state });
        }
        if device_id != account.device() {
            return Err(AccountError::NotWaiting.into());
        }
        let _entering = self.entering.lock().await;
        waiting::confirm(&context, &digits).await?;
        self.waiting.kick();
        Ok(Approved { state: Approval::Approved })
    }
}

impl Handle<DeviceRevoke> for Daemon {
    async fn handle(&self, params: DeviceRevoke) -> Answer<Done> {
        self.command(move |txn| devices::revoke(txn, &params.device_ids)).await?;
        Ok(Done {})
    }
}
