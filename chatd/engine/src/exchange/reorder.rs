//! Bodies in the order their author sent them: what came too early waits, what never comes is given up.
//!
//! ```text
//! n = next   shown, and with it whatever waited right behind it
//! n > next   waits, at most 60 s; then "n messages missing" is shown and it follows
//! n < next   shown, marked `late` if it had been given up
//! ```
//! There is one line per conversation and device of its author. It begins with the number the author names as the first
//! one for this device, whatever arrives first: who keeps back the beginning of a talk is found out like anybody else.

use chat_protocol::limits::{MAX_GIVEN_UP, ORDER_WAIT};
use chat_protocol::session::content::SenderSeq;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::exchange::amendments::Said;
use crate::model::rows::{decode, save};
use crate::queue::{own_receipts, receipts};
use crate::records::streams::{self, Line, Whose};
use crate::records::{contacts, events, history};
use crate::store::{Direction, Place, RowsError, Table};
use crate::turn::Turn;

/// Something that came before what its author sent earlier.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Early {
    #[n(0)]
    said: Said,
    #[n(1)]
    until: Timestamp,
}

/// Takes what was not seen before and lets everything take effect that its number allows.
pub(crate) fn arrived(turn: &mut Turn<'_>, whose: &Whose, seq: &SenderSeq, said: Said) -> Result<(), RowsError> {
    let mut line = match streams::line(turn, &whose.chat, &whose.device)? {
        Some(line) if line.epoch > seq.epoch => return said.late(true).take_effect(turn),
        Some(line) if line.epoch == seq.epoch => line,
        Some(ended) => end(turn, whose, ended).map(|()| Line::begun(seq))?,
        None => Line::begun(seq),
    };
    if seq.n > line.next {
        put(turn, whose, &line)?;
        return wait(turn, whose, seq.n, said);
    }
    if seq.n < line.next {
        let late = give_back(&mut line, seq.n);
        said.late(late).take_effect(turn)?;
        return put(turn, whose, &line);
    }
    said.take_effect(turn)?;
    line.next += 1;
    follow(turn, whose, &mut line)
}

/// Something came again that is known by its id: its number counts, also if it has another one since its author
/// lost its state. What waits under that number goes on waiting.
pub(crate) fn repeated(turn: &mut Turn<'_>, whose: &Whose, seq: &SenderSeq) -> Result<(), RowsError> {
    let current = streams::line(turn, &whose.chat, &whose.device)?.is_some_and(|line| line.epoch == seq.epoch);
    let waits = turn.rows.get(Place::new(Table::Held, &whose.early_scope(), &seq.n.to_be_bytes()))?.is_some();
    if current && waits { Ok(()) } else { arrived(turn, whose, seq, Said::Unheard) }
}

/// The author lost its state and counts from the beginning: what waited will not become complete.
fn end(turn: &mut Turn<'_>, whose: &Whose, mut line: Line) -> Result<(), RowsError> {
    while let Some((n, _)) = first(turn, &whose.early_scope())? {
        give_up(turn, whose, &mut line, n)?;
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

fn wait(turn: &mut Turn<'_>, whose: &Whose, n: u64, said: Said) -> Result<(), RowsError> {
    let until = turn.now + ORDER_WAIT;
    let (scope, key) = (whose.early_scope(), n.to_be_bytes());
    let place = Place::new(Table::Held, &scope, &key);
    if turn.rows.get(place)?.is_some() {
        // its author gave the number twice: neither takes the other's place
        return said.take_effect(turn);
    }
    save(turn.rows, place, n, &Early { said, until })?;
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
        let Some(mut line) = streams::line(turn, &whose.chat, &whose.device)? else { break };
        give_up(turn, whose, &mut line, n)?;
        match (whose.user == turn.me.user, history::peer(&whose.chat)) {
            (false, _) => receipts::owe(turn, &whose.user, &whose.device)?,
            (true, peer) => own_receipts::owe(turn, &whose.device, &peer.unwrap_or_else(|| whose.user.clone()), None)?,
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
