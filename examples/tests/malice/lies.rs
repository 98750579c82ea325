//! What the operator has its server say, and what it saw.

use std::collections::{HashMap, HashSet};

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::ids::{DeviceId, Fingerprint, Head, Username};
use chat_protocol::message::Envelope;
use chat_protocol::message::client::UserHead;
use chat_protocol::message::server::LoggedIn;
use chat_server::store::{LogPage, StoredDevice, SubmitRow, TakenBundle};

/// What becomes of an envelope on its way to a device: nothing, itself, something else, several.
pub type Tamper = Box<dyn FnMut(Envelope) -> Vec<Envelope> + Send>;
/// What a device is told at its login.
pub type Claim = Box<dyn Fn(LoggedIn) -> LoggedIn + Send>;

/// An account log as it is shown, valid or not.
#[derive(Clone)]
pub struct ShownLog {
    /// Where it is said to stand.
    pub head: Head,
    /// Its entries, from the genesis on.
    pub entries: Vec<Vec<u8>>,
}

/// Everything that is not as the server says. Empty, it is an honest one.
#[derive(Default)]
pub struct Lies {
    /// Logs shown in place of the true ones. A submit is refused as stale unless it names their heads.
    pub logs: HashMap<Username, ShownLog>,
    /// Devices nobody enrolled: mail for them is taken, and kept here alone.
    pub devices: HashMap<DeviceId, StoredDevice>,
    /// Bundles handed out, as often as anybody asks.
    pub bundles: HashMap<DeviceId, TakenBundle>,
    /// Accounts whose new log entries are taken and thrown away.
    pub deaf_to: HashSet<Username>,
    /// What happens to mail for a device.
    pub tampered: HashMap<DeviceId, Tamper>,
    /// What a device is told at its login.
    pub claims: HashMap<DeviceId, Claim>,
    /// Authors given out for the true ones, by mailbox and sequence.
    pub authors: HashMap<(DeviceId, u64), (Username, DeviceId)>,
}

impl Lies {
    /// Shows this log, or what is left of it, as the one of `user`.
    pub fn show_log<'e>(&mut self, user: &str, head: Head, entries: impl IntoIterator<Item = &'e [u8]>) {
        let entries = entries.into_iter().map(<[u8]>::to_vec).collect();
        self.logs.insert(user.parse().unwrap(), ShownLog { head, entries });
    }

    pub fn page(&self, user: &Username, from: u64, limit: u32) -> Option<LogPage> {
        let shown = self.logs.get(user)?;
        let (from, limit) = (usize::try_from(from).unwrap(), usize::try_from(limit).unwrap());
        let entries = shown.entries.iter().skip(from).take(limit).cloned().collect();
        let genesis = AccountLog::verify(user, shown.entries.get(..1)?);
        let fingerprint = genesis.map_or(Fingerprint::new([0; 32]), |log| log.fingerprint());
        Some(LogPage { fingerprint, head: shown.head, entries })
    }

    /// The heads a submit names that are not those shown.
    pub fn stale(&self, named: &[UserHead]) -> Vec<UserHead> {
        let shown = |named: &UserHead| self.logs.get(&named.user).filter(|log| log.head != named.head);
        named
            .iter()
            .filter_map(|named| shown(named).map(|log| UserHead { user: named.user.clone(), head: log.head }))
            .collect()
    }

    /// Makes of a submit what will be stored; what comes on top, in submits of its own.
    pub fn carry(&mut self, row: &mut SubmitRow) -> Vec<(DeviceId, Vec<u8>)> {
        let (mut kept, mut extra) = (Vec::new(), Vec::new());
        for (device, envelope) in std::mem::take(&mut row.to) {
            if self.devices.contains_key(&device) {
                continue;
            }
            let mut changed = self.tamper(&device, envelope.to_vec()).into_iter().map(|envelope| (device, envelope));
            kept.extend(changed.next().map(|(device, envelope)| (device, envelope.into())));
            extra.extend(changed);
        }
        row.to = kept;
        extra
    }

    fn tamper(&mut self, device: &DeviceId, envelope: Vec<u8>) -> Vec<Vec<u8>> {
        let Some(tamper) = self.tampered.get_mut(device) else { return vec![envelope] };
        let changed = tamper(chat_protocol::cbor::decode(&envelope).unwrap());
        changed.iter().map(chat_protocol::cbor::encode).collect()
    }
}

/// What the operator saw.
#[derive(Default)]
pub struct Seen {
    /// Every submit, as its device sent it.
    pub submits: Vec<SubmitRow>,
    /// Devices whose bundle was asked for.
    pub bundles: Vec<DeviceId>,
    /// Devices that published one.
    pub published: Vec<DeviceId>,
    /// Accounts whose log was asked for.
    pub logs: Vec<Username>,
    /// Devices that logged in.
    pub logins: Vec<DeviceId>,
    /// How far each device acknowledged its mailbox.
    pub acked: HashMap<DeviceId, u64>,
}

impl Seen {
    /// Envelopes for a device, in the order they came.
    pub fn envelopes(&self, to: DeviceId) -> Vec<Envelope> {
        let all = self.submits.iter().flat_map(|submit| &submit.to);
        let mine = all.filter(|(device, _)| *device == to);
        mine.map(|(_, envelope)| chat_protocol::cbor::decode(envelope).unwrap()).collect()
    }
}
