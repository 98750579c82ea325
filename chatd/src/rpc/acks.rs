//! How the place of a consumer moves while it reads: by the consumer's own acks, or once its events were
//! written.

use std::collections::VecDeque;

use chat_protocol::rpc::RpcError;
use chat_protocol::rpc::types::EndReason;
use tokio::sync::watch;

use super::active_consumers::Attached;
use super::outbound::{Outbound, Written};
use crate::api::{Answer, Backend};

/// Events that may be sent and not acknowledged: usually, and at most.
const INFLIGHT: u32 = 100;
const MOST_INFLIGHT: u32 = 10_000;
/// Events after which a place that moves by itself is stored, although more are waiting: each time is a commit.
const STEP: u64 = 256;

/// Who acknowledges.
pub(super) enum Acks {
    /// Nobody: a reader without a name.
    Nobody,
    /// The daemon, once the system has taken the bytes.
    WhenWritten {
        attached: Attached,
        written: Written,
        taken: watch::Receiver<u64>,
        /// The last event that was sent; 0 before there was one.
        sent: u64,
        /// The place as it is stored.
        stored: u64,
    },
    /// The consumer.
    WhenTold {
        attached: Attached,
        /// What was sent and is not acknowledged, oldest first.
        inflight: VecDeque<u64>,
        most: usize,
    },
}

impl Acks {
    /// The daemon acknowledges.
    pub(super) fn when_written(attached: Attached) -> Self {
        let (written, taken) = Written::new();
        let stored = *attached.acked.borrow();
        Self::WhenWritten { attached, written, taken, sent: 0, stored }
    }

    /// The consumer acknowledges.
    pub(super) fn when_told(attached: Attached, most: Option<u32>) -> Answer<Self> {
        let most = match most.unwrap_or(INFLIGHT) {
            0 => return Err(RpcError::invalid("max_inflight", "must be at least 1")),
            most => usize::try_from(most.min(MOST_INFLIGHT)).unwrap_or(usize::MAX),
        };
        Ok(Self::WhenTold { attached, inflight: VecDeque::new(), most })
    }

    /// Waits until the subscription is to end, and says why.
    pub(super) fn dismissed(&self) -> impl Future<Output = EndReason> + Send + 'static {
        let receiver = match self {
            Self::Nobody => None,
            Self::WhenWritten { attached, .. } | Self::WhenTold { attached, .. } => Some(attached.dismissed.clone()),
        };
        async move {
            if let Some(mut receiver) = receiver
                && let Ok(Some(reason)) = receiver.wait_for(Option::is_some).await.map(|reason| *reason)
            {
                return reason;
            }
            std::future::pending().await
        }
    }

    /// Waits until one more event may be sent. Cancel-safe.
    pub(super) async fn room(&mut self) {
        let Self::WhenTold { attached, inflight, most } = self else { return };
        loop {
            let acked = *attached.acked.borrow_and_update();
            while inflight.front().is_some_and(|seq| *seq <= acked) {
                inflight.pop_front();
            }
            if inflight.len() < *most || attached.acked.changed().await.is_err() {
                return;
            }
        }
    }

    /// An event is about to be sent; says whom to tell when it was written.
    pub(super) fn sending(&mut self, seq: Option<u64>) -> Option<Written> {
        match (self, seq) {
            (Self::WhenWritten { written, sent, .. }, Some(seq)) => {
                *sent = seq;
                Some(written.clone())
            }
            (Self::WhenTold { inflight, .. }, Some(seq)) => {
                inflight.push_back(seq);
                None
            }
            _ => None,
        }
    }

    /// Waits until the place could move by itself. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        if let Self::WhenWritten { taken, .. } = self
            && taken.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// Moves the place as far as is known to be handled; `cursor` is where the reader is.
    pub(super) async fn settle(&mut self, backend: &dyn Backend, cursor: u64) {
        match self {
            Self::Nobody => {}
            Self::WhenWritten { attached, taken, sent, stored, .. } => {
                let taken = *taken.borrow_and_update();
                // what was left out behind the last one sent is as good as handled
                let handled = if taken >= *sent { cursor.max(taken) } else { taken };
                if handled > *stored && ack(backend, attached, handled).await {
                    *stored = handled;
                }
            }
            Self::WhenTold { attached, inflight, .. } => {
                let acked = *attached.acked.borrow();
                let handled = inflight.back().is_none_or(|last| *last <= acked);
                if handled && cursor > acked && ack(backend, attached, cursor).await {
                    attached.note(cursor);
                }
            }
        }
    }

    /// As [`Self::settle`], for a place that moves by itself and is far behind.
    pub(super) async fn keep_up(&mut self, backend: &dyn Backend, cursor: u64) {
        if let Self::WhenWritten { stored, .. } = self
            && cursor.saturating_sub(*stored) >= STEP
        {
            self.settle(backend, cursor).await;
        }
    }

    /// The connection ends: waits for the last event to be written, and moves the place behind it.
    pub(super) async fn last(&mut self, backend: &dyn Backend, cursor: u64, outbound: &Outbound) {
        let Self::WhenWritten { taken, sent, .. } = self else { return };
        let last = *sent;
        let written = tokio::select! {
            written = taken.wait_for(|taken| *taken >= last) => written.is_ok(),
            () = outbound.closed() => false,
        };
        if written {
            self.settle(backend, cursor).await;
        }
    }
}

/// Stores the place; one that could not be stored is stored with the next, or read again.
async fn ack(backend: &dyn Backend, attached: &Attached, seq: u64) -> bool {
    let stored = backend.consumer_ack(&attached.name, seq).await;
    if let Err(error) = &stored {
        tracing::debug!(%error, "a consumer's place was not stored");
    }
    stored.is_ok()
}
