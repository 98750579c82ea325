//! Bodies in the order their author sent them: what came too early waits, what never comes is given up.
//!
//! ```text
//! n = next   shown, and with it whatever waited right behind it
//! n > next   waits, at most 60 s; then "n messages missing" is shown and it follows
//! n < next   shown, marked `late` if it had been given up
//! ```
//! There is one line per conversation and device of its author. It begins with the lowest number that is there once
//! nothing of the device waits to be opened: a message of one session can be opened while earlier ones, behind the
//! INIT of another, still wait for their turn.

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::limits::{MAX_GIVEN_UP, ORDER_WAIT};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use super::changes::Said;
use super::outbox::Number;
use super::state::{decode, load, save};
use super::turn::Turn;
use super::{contacts, events, history, inbox, receipts, siblings};
use crate::store::{Direction, Place, RowsError, Table};

/// Where the conversation with one device of its author stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Line {
    /// Changes when the author's state was lost.
    #[n(0)]
    pub(crate) epoch: u64,
    /// The number awaited.
    #[n(1)]
    pub(crate) next: u64,
    /// The highest numbers given up, ascending.
    #[n(2)]
    pub(crate) given_up: Vec<u64>,
}

/// Something that came before what its author sent earlier.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Early {
    #[n(0)]
    said: Said,
    #[n(1)]
    until: Timestamp,
    #[n(2)]
    epoch: Option<u64>,
}

/// Names a line: the chat and the author's device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Whose {
    #[n(0)]
    pub(crate) chat: String,
    #[n(1)]
    pub(crate) user: Username,
    #[n(2)]
    pub(crate) device: DeviceId,
}

impl Whose {
    fn line_scope(&self) -> Vec<u8> {
        line_scope(&self.chat)
    }

    fn early_scope(&self) -> Vec<u8> {
        [b"early:".as_slice(), self.device.as_bytes(), self.chat.as_bytes()].concat()
    }
}

fn line_scope(chat: &str) -> Vec<u8> {
    [b"line:", chat.as_bytes()].concat()
}

/// How the conversation with each device of a chat's author stands, for acknowledgements.
pub(crate) fn line(turn: &Turn<'_>, chat: &str, device: &DeviceId) -> Result<Option<Line>, RowsError> {
    load(turn.rows, Place::new(Table::Held, &line_scope(chat), device.as_bytes()))
}

/// Takes what was not seen before and lets everything take effect that its number allows.
pub(crate) fn arrived(turn: &mut Turn<'_>, whose: &Whose, (epoch, n): Number, said: Said) -> Result<(), RowsError> {
    let known = line(turn, &whose.chat, &whose.device)?;
    match known {
        Some(mut line) if line.epoch == epoch => {
            if n > line.next {
                return wait(turn, whose, (epoch, n), said);
            }
            if n < line.next {
                let late = give_back(&mut line, n);
                said.late(late).take_effect(turn)?;
                return put(turn, whose, &line);
            }
            said.take_effect(turn)?;
            line.next += 1;
            follow(turn, whose, &mut line)
        }
        Some(line) if line.epoch > epoch => said.late(true).take_effect(turn),
        Some(_) => anew(turn, whose, (epoch, n), said),
        None => match first(turn, &whose.early_scope())?.map(|(_, early)| early.epoch.unwrap_or_default()) {
            Some(held) if held < epoch => anew(turn, whose, (epoch, n), said),
            Some(held) if held > epoch => said.late(true).take_effect(turn),
            _ => {
                wait(turn, whose, (epoch, n), said)?;
                begin(turn, whose)
            }
        },
    }
}

/// Something came again that is known by its id: its number counts, also if it has another one since its author
/// lost its state. What waits under that number goes on waiting.
pub(crate) fn repeated(turn: &mut Turn<'_>, whose: &Whose, (epoch, n): Number) -> Result<(), RowsError> {
    let (scope, key) = (whose.early_scope(), n.to_be_bytes());
    let early = load::<Early>(turn.rows, Place::new(Table::Held, &scope, &key))?;
    let waits = early.is_some_and(|early| early.epoch.unwrap_or_default() == epoch);
    if waits { Ok(()) } else { arrived(turn, whose, (epoch, n), Said::Unheard) }
}

/// The author lost its state and counts from the beginning: what waited will not become complete.
fn anew(turn: &mut Turn<'_>, whose: &Whose, (epoch, n): Number, said: Said) -> Result<(), RowsError> {
    release_all(turn, whose)?;
    said.take_effect(turn)?;
    put(turn, whose, &Line { epoch, next: n + 1, given_up: Vec::new() })
}

/// Begins a line with the lowest number there is, unless lower ones may still be opened.
fn begin(turn: &mut Turn<'_>, whose: &Whose) -> Result<(), RowsError> {
    if inbox::waits(turn, &whose.device)? {
        return Ok(());
    }
    begin_with_what_is_there(turn, whose)
}

fn begin_with_what_is_there(turn: &mut Turn<'_>, whose: &Whose) -> Result<(), RowsError> {
    let Some((n, early)) = first(turn, &whose.early_scope())? else { return Ok(()) };
    let mut line = Line { epoch: early.epoch.unwrap_or_default(), next: n, given_up: Vec::new() };
    follow(turn, whose, &mut line)
}

/// Nothing of the device waits to be opened any more: lines that waited for that begin.
pub(crate) fn opened_all(turn: &mut Turn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    for whose in waiting(turn)?.into_iter().filter(|whose| whose.device == *device) {
        if line(turn, &whose.chat, &whose.device)?.is_none() {
            begin(turn, &whose)?;
        }
    }
    Ok(())
}

/// Takes `n` off the list of numbers given up.
fn give_back(line: &mut Line, n: u64) -> bool {
    let before = line.given_up.len();
    line.given_up.retain(|known| *known != n);
    line.given_up.len() < before
}

fn put(turn: &mut Turn<'_>, whose: &Whose, line: &Line) -> Result<(), RowsError> {
    save(turn.rows, Place::new(Table::Held, &whose.line_scope(), whose.device.as_bytes()), 0, line)
}

fn wait(turn: &mut Turn<'_>, whose: &Whose, (epoch, n): Number, said: Said) -> Result<(), RowsError> {
    let until = turn.now + ORDER_WAIT;
    let scope = whose.early_scope();
    let early = Early { said, until, epoch: Some(epoch) };
    save(turn.rows, Place::new(Table::Held, &scope, &n.to_be_bytes()), n, &early)?;
    save(turn.rows, Place::new(Table::Held, b"waiting", &scope), 0, whose)?;
    turn.wake(until);
    Ok(())
}

/// Shows what waited right behind, and keeps the line.
fn follow(turn: &mut Turn<'_>, whose: &Whose, line: &mut Line) -> Result<(), RowsError> {
    let scope = whose.early_scope();
    while let Some((n, early)) = first(turn, &scope)? {
        if n != line.next {
            break;
        }
        take(turn, &scope, n, early.said)?;
        line.next += 1;
    }
    if turn.rows.last_order(Table::Held, &scope)?.is_none() {
        turn.rows.delete(Place::new(Table::Held, b"waiting", &scope))?;
    }
    put(turn, whose, line)
}

fn first(turn: &Turn<'_>, scope: &[u8]) -> Result<Option<(u64, Early)>, RowsError> {
    let found = turn.rows.scan(Table::Held, scope, 0..=u64::MAX, Direction::Ascending, 1)?;
    found.first().map(|(n, bytes)| Ok((*n, decode(Table::Held, bytes)?))).transpose()
}

fn take(turn: &mut Turn<'_>, scope: &[u8], n: u64, said: Said) -> Result<(), RowsError> {
    turn.rows.delete(Place::new(Table::Held, scope, &n.to_be_bytes()))?;
    said.take_effect(turn)
}

/// The author began anew: nothing that waited can become complete.
fn release_all(turn: &mut Turn<'_>, whose: &Whose) -> Result<(), RowsError> {
    let scope = whose.early_scope();
    while let Some((n, early)) = first(turn, &scope)? {
        take(turn, &scope, n, early.said)?;
    }
    turn.rows.delete(Place::new(Table::Held, b"waiting", &scope))?;
    Ok(())
}

/// Gives up gaps that were waited for long enough.
pub(crate) fn sweep(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    for whose in waiting(turn)? {
        give_up_due(turn, &whose)?;
    }
    Ok(())
}

/// Lines in which something waits.
fn waiting(turn: &Turn<'_>) -> Result<Vec<Whose>, RowsError> {
    let found = turn.rows.scan(Table::Held, b"waiting", 0..=u64::MAX, Direction::Ascending, usize::MAX)?;
    found.iter().map(|(_, bytes)| decode(Table::Held, bytes)).collect()
}

fn give_up_due(turn: &mut Turn<'_>, whose: &Whose) -> Result<(), RowsError> {
    let scope = whose.early_scope();
    while let Some((n, early)) = first(turn, &scope)? {
        if !turn.is_time(early.until) {
            turn.wake(early.until);
            break;
        }
        let Some(mut line) = line(turn, &whose.chat, &whose.device)? else {
            begin_with_what_is_there(turn, whose)?;
            continue;
        };
        give_up(turn, whose, &mut line, n)?;
        match (whose.user == turn.me.user, history::peer(&whose.chat)) {
            (false, _) => receipts::owe(turn, &whose.user, &whose.device)?,
            (true, peer) => siblings::owe(turn, &whose.device, &peer.unwrap_or_else(|| whose.user.clone()), None)?,
        }
    }
    Ok(())
}

/// Says that everything before `n` is missing, and goes on with `n`.
fn give_up(turn: &mut Turn<'_>, whose: &Whose, line: &mut Line, n: u64) -> Result<(), RowsError> {
    let missing = n.saturating_sub(line.next);
    if missing > 0 {
        if !contacts::is_blocked(turn.rows, &whose.user)? {
            events::missing(turn, &whose.chat, &whose.user, missing)?;
        }
        let newest = n.saturating_sub(MAX_GIVEN_UP as u64).max(line.next);
        line.given_up.extend(newest..n);
        let surplus = line.given_up.len().saturating_sub(MAX_GIVEN_UP);
        line.given_up.drain(..surplus);
    }
    line.next = n;
    follow(turn, whose, line)
}
