//! Sessions and their standings as rows.

use chat_protocol::ids::{DeviceId, SessionId, Username};
use chat_protocol::message::Blob;
use chat_protocol::session::manager::Standings;
use chat_protocol::session::ratchet::Session;
use minicbor::{Decode, Encode};

use crate::model::rows::{decode, load, save};
use crate::sessions::{heartbeats, maintenance};
use crate::store::{Direction, Place, Rows, RowsError, Table};
use crate::txn::Txn;

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stored {
    /// The ratchet.
    #[n(0)]
    pub(crate) session: Session,
    /// Account of the peer.
    #[n(1)]
    pub user: Username,
    /// Its device.
    #[n(2)]
    pub device: DeviceId,
    /// The INIT that precedes every message until a reply was opened.
    #[n(3)]
    pub(crate) init: Option<Blob>,
}

fn scope(device: &DeviceId) -> Vec<u8> {
    [b"with:".as_slice(), device.as_bytes()].concat()
}

fn index(sid: &SessionId) -> Place<'_> {
    Place::new(Table::Sessions, b"sid", sid.as_bytes())
}

/// The session with this id.
pub(crate) fn find(rows: &dyn Rows, sid: &SessionId) -> Result<Option<Stored>, RowsError> {
    let Some(device) = load::<DeviceId>(rows, index(sid))? else { return Ok(None) };
    load(rows, Place::new(Table::Sessions, &scope(&device), sid.as_bytes()))
}

fn with(rows: &dyn Rows, device: &DeviceId) -> Result<Vec<Stored>, RowsError> {
    rows.scan(Table::Sessions, &scope(device), 0..=u64::MAX, Direction::Ascending, usize::MAX)?
        .iter()
        .map(|(_, bytes)| decode(Table::Sessions, bytes))
        .collect()
}

/// Any session with a device.
pub(crate) fn find_with(rows: &dyn Rows, device: &DeviceId) -> Result<Option<Stored>, RowsError> {
    Ok(with(rows, device)?.into_iter().next())
}

/// What decides which session with a device is sent on.
///
/// # Errors
/// [`RowsError`].
pub fn standings(rows: &dyn Rows, device: &DeviceId) -> Result<Standings, RowsError> {
    Ok(load(rows, Place::new(Table::Sessions, b"standings", device.as_bytes()))?.unwrap_or_default())
}

pub(crate) fn put_standings(txn: &mut Txn<'_>, device: &DeviceId, standings: &Standings) -> Result<(), RowsError> {
    save(txn.rows, Place::new(Table::Sessions, b"standings", device.as_bytes()), 0, standings)?;
    heartbeats::note(txn, device, standings)
}

pub(crate) fn put(rows: &mut dyn Rows, stored: &Stored) -> Result<(), RowsError> {
    let sid = stored.session.id();
    save(rows, index(&sid), 0, &stored.device)?;
    save(rows, Place::new(Table::Sessions, &scope(&stored.device), sid.as_bytes()), 0, stored)
}

fn delete(rows: &mut dyn Rows, device: &DeviceId, sid: &SessionId) -> Result<(), RowsError> {
    rows.delete(index(sid))?;
    rows.delete(Place::new(Table::Sessions, &scope(device), sid.as_bytes()))?;
    rows.delete_range(Table::Skipped, sid.as_bytes(), 0..=u64::MAX).map(drop)
}

/// Deletes every session with a device that is no longer trusted. What waits to be sent to it again is on a floor above:
/// `queue::retransmit::forget_device` has to follow, as it does in `exchange::pin_change::apply`, which alone calls either.
pub(crate) fn wipe(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    maintenance::forget(txn, device)?;
    txn.rows.delete(Place::new(Table::Sessions, b"standings", device.as_bytes()))?;
    with(txn.rows, device)?.iter().try_for_each(|stored| delete(txn.rows, device, &stored.session.id()))
}

/// Writes the standings back and deletes what is receive-only beyond the bound.
pub(crate) fn keep_few(txn: &mut Txn<'_>, device: &DeviceId, mut known: Standings) -> Result<(), RowsError> {
    for sid in known.drop_surplus() {
        delete(txn.rows, device, &sid)?;
    }
    put_standings(txn, device, &known)
}
