//! Which consumers read right now, over all connections: one subscription for each name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_protocol::rpc::Name;
use chat_protocol::rpc::types::{Consumer, EndReason};
use tokio::sync::watch;

/// The live subscriptions with a consumer.
#[derive(Default)]
pub(super) struct ActiveConsumers {
    live: Mutex<HashMap<Name, Live>>,
}

struct Live {
    number: u64,
    acked: watch::Sender<u64>,
    dismissed: watch::Sender<Option<EndReason>>,
}

/// The subscription that reads for a consumer, until it is dropped.
pub(super) struct Attached {
    consumers: Arc<ActiveConsumers>,
    number: u64,
    pub(super) name: Name,
    /// How far the consumer has acknowledged.
    pub(super) acked: watch::Receiver<u64>,
    /// Why it is to end, once it is.
    pub(super) dismissed: watch::Receiver<Option<EndReason>>,
}

impl ActiveConsumers {
    /// Makes a new subscription the reader of `name`, whose place is `acked`; the one before is dismissed.
    pub(super) fn attach(self: &Arc<Self>, name: Name, acked: u64) -> Attached {
        let (acked, acked_receiver) = watch::channel(acked);
        let (dismissed, dismissed_receiver) = watch::channel(None);
        let mut live = self.lock();
        let before = live.remove(&name);
        let number = before.as_ref().map_or(0, |before| before.number + 1);
        if let Some(before) = before {
            before.dismissed.send_replace(Some(EndReason::Replaced));
        }
        live.insert(name.clone(), Live { number, acked, dismissed });
        drop(live);
        let consumers = Arc::clone(self);
        Attached { consumers, number, name, acked: acked_receiver, dismissed: dismissed_receiver }
    }

    /// The consumer has acknowledged up to `seq`.
    pub(super) fn acked(&self, name: &Name, seq: u64) {
        if let Some(live) = self.lock().get(name) {
            live.acked.send_if_modified(|known| std::mem::replace(known, seq.max(*known)) < seq);
        }
    }

    /// The consumer is no more.
    pub(super) fn forgotten(&self, name: &Name) {
        if let Some(live) = self.lock().get(name) {
            live.dismissed.send_replace(Some(EndReason::Forgotten));
        }
    }

    /// Notes which of them read now.
    pub(super) fn mark(&self, consumers: &mut [Consumer]) {
        let live = self.lock();
        for consumer in consumers {
            consumer.connected = live.contains_key(&consumer.name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attached {
    /// The place was moved on the consumer's behalf.
    pub(super) fn note(&self, seq: u64) {
        self.consumers.acked(&self.name, seq);
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut live = self.consumers.lock();
        if live.get(&self.name).is_some_and(|known| known.number == self.number) {
            live.remove(&self.name);
        }
    }
}
