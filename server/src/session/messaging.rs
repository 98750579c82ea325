//! Bundles, submits and acknowledgements.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use chat_protocol::crypto::fernet::raw_token_len;
use chat_protocol::limits::{
    MAX_CONTENT_BYTES, MAX_INIT_BYTES, MAX_ONE_TIME_KEYS, MAX_SUBMIT_DEVICES, RATCHET_HEADER_BYTES,
};
use chat_protocol::message::client::{BundleFetch, BundlePublish, MailboxAck, Submit};
use chat_protocol::message::server::{Bundle, Code, OneTimeLeft, Refusal};
use chat_protocol::message::{Blob, Done, EncodedEnvelope, EnvelopeSizes};

use super::asked::{Asked, bad_request};
use super::delivery::Acknowledged;
use super::proof;
use super::ready::Ready;
use crate::mailbox::{HEAD_BYTES, Job, busy, check_disk, store_failed};
use crate::store::{DeviceState, Publication, SubmitRow};

impl Ready {
    /// The signature is checked although every fetcher checks it too: a device that publishes nonsense
    /// would otherwise make others spend their one-time keys on it.
    pub(super) async fn bundle_publish(&self, ask: BundlePublish) -> Result<Done, Refusal> {
        if ask.one_time.len() > MAX_ONE_TIME_KEYS {
            return Err(Code::TooLarge.into());
        }
        check_disk(&*self.shared().store, &self.shared().config()).await?;
        let failed = |error| store_failed("bundle", &error);
        let stored = self.shared().store.device(self.device()).await.map_err(failed)?.ok_or(Code::Denied)?;
        let job = move || proof::bundle(&stored, ask);
        let bundle = self.shared().signatures.run(job).await.map_err(|_| busy())??;
        match self.shared().store.publish_bundle(bundle).await.map_err(failed)? {
            Publication::Published => Ok(Done {}),
            Publication::Stale(_) => Err(Code::Stale.into()),
            Publication::Missing => Err(Code::ApprovalRequired.into()),
        }
    }

    /// Beyond a rate the bundle comes without a one-time key: whoever draws them for days uses up some of a device's, and
    /// keeps nobody from beginning a session with it.
    pub(super) async fn bundle_fetch(&self, ask: &BundleFetch) -> Result<Bundle, Refusal> {
        let failed = |error| store_failed("bundle", &error);
        let stored = self.shared().store.device(ask.device).await.map_err(failed)?.ok_or(Code::NotFound)?;
        if stored.user != ask.user || stored.state != DeviceState::Active {
            return Err(Code::NotFound.into());
        }
        let with_key = self.shared().limits().may_take_key(self.device(), ask.device);
        let taken = self.shared().store.take_bundle(ask.device, with_key).await;
        let taken = taken.map_err(failed)?.ok_or(Code::NotFound)?;
        let one_time = taken.one_time.map(|key| Blob(key.to_vec()));
        Ok(Bundle { bundle: Blob(taken.bundle), one_time })
    }

    pub(super) async fn one_time_status(&self) -> Result<OneTimeLeft, Refusal> {
        let left = self.shared().store.one_time_left(self.device()).await;
        left.map_err(|error| store_failed("one-time keys", &error))
    }

    /// Queues a submit; its answer follows its commit. The sender is this device, whatever it may claim.
    pub(super) async fn submit(&mut self, asked: Asked, ask: Submit<EncodedEnvelope>) {
        let bytes: usize = ask.to.iter().map(|to| to.envelope.encoded_len()).sum();
        // one that breaks a rule is paid for as any request
        let checked = check_submit(&ask).or_else(|refusal| self.afford().and(Err(refusal)));
        // a head that is claimed is looked up as an envelope's owner is
        let checked = checked.and_then(|()| self.afford_submit(ask.to.len().max(ask.heads.len()), bytes));
        if let Err(refusal) = self.shared().counters.submits.judged(checked) {
            return self.refuse_and_pause(asked, refusal, bytes).await;
        }
        let heads = ask.heads.len() + ask.to.len();
        let Some(ticket) = self.ticket(heads).await else { return };
        let row = SubmitRow {
            sender: self.device(),
            submit_id: ask.submit_id,
            heads: ask.heads,
            group: ask.group,
            to: ask.to.into_iter().map(|to| (to.device, to.envelope.into_bytes().into())).collect(),
            at: self.shared().seen(),
        };
        let room = match self.shared().counters.submits.judged(self.room(bytes + heads * HEAD_BYTES)) {
            Ok(room) => room,
            Err(refusal) => return self.refuse(asked, refusal),
        };
        let (outbox, counters) = (self.peer().outbox().clone(), Arc::clone(&self.shared().counters));
        let answer = Box::new(move |result| {
            outbox.push(asked.answer(&counters.submits.judged(result)));
            drop((ticket, room));
        });
        self.shared().mailbox.take(Job::Submit { row, from: self.user().clone(), answer });
    }

    /// A submit is paid for by its device, its envelopes and their bytes by its account; what comes before the time that was told then is refused too.
    fn afford_submit(&mut self, envelopes: usize, bytes: usize) -> Result<(), Refusal> {
        let (limits, peer) = (self.shared().limits(), Arc::clone(self.peer()));
        Ok(self.submits.check(Instant::now(), || limits.submit(peer.device(), peer.user(), envelopes, bytes))?)
    }

    pub(super) async fn mailbox_ack(&self, asked: Asked, ask: MailboxAck) {
        let Some(messages) = self.peer().acknowledge(ask.seq) else { return self.refuse(asked, bad_request()) };
        // one that acknowledges something was paid for by who sent that
        if messages == 0
            && let Err(too_often) = self.afford()
        {
            return self.refuse(asked, too_often);
        }
        self.shared().counters.acknowledged.add(messages);
        if let Some(ticket) = self.ticket(0).await {
            self.acknowledge(Acknowledged { asked, seq: ask.seq, ticket }).await;
        }
    }
}

/// What can be refused without the store.
fn check_submit(ask: &Submit<EncodedEnvelope>) -> Result<(), Refusal> {
    if ask.to.len() > MAX_SUBMIT_DEVICES || ask.heads.len() > MAX_SUBMIT_DEVICES {
        return Err(Code::TooLarge.into());
    }
    let devices: HashSet<_> = ask.to.iter().map(|to| to.device).collect();
    let users: HashSet<_> = ask.heads.iter().map(|head| &head.user).collect();
    if ask.to.is_empty() || devices.len() < ask.to.len() || users.len() < ask.heads.len() {
        return Err(bad_request());
    }
    ask.to.iter().try_for_each(|to| check_sizes(to.envelope.sizes()))
}

fn check_sizes(EnvelopeSizes { header, token, init }: EnvelopeSizes) -> Result<(), Refusal> {
    if header != RATCHET_HEADER_BYTES {
        return Err(bad_request());
    }
    if token > raw_token_len(MAX_CONTENT_BYTES) || init > MAX_INIT_BYTES {
        return Err(Code::TooLarge.into());
    }
    Ok(())
}
