//! Which session two devices use, whatever the order things happen in.

use std::time::Duration;

use crate::common::{AT, rng};
use chat_protocol::ids::SessionId;
use chat_protocol::session::manager::{Arrival, Failures, Stage, Standings, restart_due};
use chat_protocol::time::Timestamp;
use rand::RngExt;

fn sid(byte: u8) -> SessionId {
    SessionId::new([byte; 16])
}

fn later(hours: u64) -> Timestamp {
    AT + Duration::from_secs(hours * 3600)
}

const FIRST: Arrival = Arrival { with_init: true, heartbeat: false, now: AT };
const PLAIN: Arrival = Arrival { with_init: false, heartbeat: false, now: AT };

fn sending(standings: &Standings) -> Option<SessionId> {
    standings.sending().map(|standing| standing.id)
}

#[test]
fn new_session_is_sent_on_by_its_initiator_until_and_after_a_reply() {
    let mut alice = Standings::default();
    assert_eq!(sending(&alice), None);
    alice.begin(sid(1), AT);
    assert_eq!((sending(&alice), alice.needs_init(sid(1))), (Some(sid(1)), true));
    alice.opened(sid(1), PLAIN);
    assert_eq!((sending(&alice), alice.needs_init(sid(1))), (Some(sid(1)), false));
    assert_eq!(alice.get(sid(1)).unwrap().stage, Stage::Confirmed);
}

#[test]
fn responder_confirms_with_a_message_without_init() {
    let mut bob = Standings::default();
    bob.take_in(sid(1), false, AT);
    bob.opened(sid(1), FIRST);
    assert_eq!((sending(&bob), bob.get(sid(1)).unwrap().stage), (Some(sid(1)), Stage::New));
    bob.opened(sid(1), PLAIN);
    assert_eq!(bob.get(sid(1)).unwrap().stage, Stage::Confirmed);
}

#[test]
fn both_at_once_use_the_smaller_sid() {
    for (mine, theirs, used) in [(1, 2, 1), (2, 1, 1)] {
        let mut standings = Standings::default();
        standings.begin(sid(mine), AT);
        standings.take_in(sid(theirs), false, later(23));
        assert_eq!(sending(&standings), Some(sid(used)));
    }
}

#[test]
fn older_init_and_reset_marker_yield_to_the_peers() {
    for (reset, hours) in [(false, 24), (true, 1)] {
        let mut standings = Standings::default();
        standings.begin(sid(1), AT);
        standings.take_in(sid(2), reset, later(hours));
        assert_eq!(sending(&standings), Some(sid(2)), "reset {reset} after {hours} h");
    }
}

#[test]
fn rival_yields_when_one_is_confirmed() {
    let mut standings = Standings::default();
    standings.begin(sid(1), AT);
    standings.take_in(sid(2), false, AT);
    standings.opened(sid(2), FIRST);
    standings.opened(sid(2), PLAIN);
    assert_eq!(sending(&standings), Some(sid(2)), "the larger one, but confirmed");
}

#[test]
fn of_confirmed_sessions_the_one_that_opened_last_is_used() {
    let mut standings = Standings::default();
    for id in [1, 2] {
        standings.begin(sid(id), later(id.into()));
        standings.opened(sid(id), PLAIN);
    }
    assert_eq!(sending(&standings), Some(sid(2)));
    standings.opened(sid(1), PLAIN);
    assert_eq!(sending(&standings), Some(sid(1)));
}

#[test]
fn five_receive_only_sessions_are_kept_and_never_the_one_in_use() {
    let mut standings = Standings::default();
    for id in 1..=8 {
        standings.begin(sid(id), later(id.into()));
        standings.opened(sid(id), PLAIN);
    }
    assert_eq!(standings.drop_surplus(), [sid(2), sid(1)]);
    assert_eq!(standings.all().len(), 6);
    assert_eq!(sending(&standings), Some(sid(8)));
}

#[test]
fn atk_51_sessions_from_before_a_roll_back_never_send_again() {
    let mut standings = Standings::default();
    standings.begin(sid(1), AT);
    standings.opened(sid(1), PLAIN);
    standings.retire_all();
    assert_eq!(sending(&standings), None);
    standings.opened(sid(1), PLAIN);
    assert_eq!(sending(&standings), None);
}

#[test]
fn heartbeat_is_due_after_50_messages_or_a_day_unanswered() {
    let mut standings = Standings::default();
    standings.begin(sid(1), AT);
    standings.opened(sid(1), PLAIN);
    let due = |standings: &Standings, now| standings.get(sid(1)).unwrap().heartbeat_at().is_some_and(|at| at <= now);
    assert!(!due(&standings, later(23)));
    assert!(due(&standings, later(24)));
    standings.sealed(sid(1));
    assert!(!due(&standings, later(24)));
    (0..50).for_each(|_| standings.opened(sid(1), PLAIN));
    assert!(due(&standings, AT));
}

#[test]
fn renewal_is_due_after_30_days_or_5000_messages() {
    let mut standings = Standings::default();
    standings.begin(sid(1), AT);
    standings.opened(sid(1), PLAIN);
    let due = |standings: &Standings, now| standings.get(sid(1)).unwrap().renewal_due(now);
    assert!(!due(&standings, later(30 * 24 - 1)));
    assert!(due(&standings, later(30 * 24)));
    (0..4999).for_each(|_| standings.sealed(sid(1)));
    assert!(due(&standings, AT));
}

#[test]
fn initiator_begins_again_after_1_7_and_25_days_and_then_waits() {
    let due = |done, days: u64| restart_due(AT, done, later(days * 24));
    assert!(!due(0, 0) && due(0, 1));
    assert!(!due(1, 6) && due(1, 7));
    assert!(!due(2, 24) && due(2, 25));
    assert!(!due(3, 1000));
}

#[test]
fn atk_50_corrupted_messages_reset_once_an_hour_at_most() {
    let mut failures = Failures::default();
    let resets: Vec<_> = (0..120).filter(|minute| failures.record(AT + Duration::from_secs(minute * 60))).collect();
    assert_eq!(resets, [2, 62]);
}

#[test]
fn what_was_lost_is_asked_for_once_an_hour_and_counts_with_the_failures() {
    let mut failures = Failures::default();
    let at = |minute: u64| AT + Duration::from_secs(minute * 60);
    assert!(failures.reset(at(0)) && !failures.reset(at(59)) && failures.reset(at(60)));
    assert!((61..119).all(|minute| !failures.record(at(minute))));
    assert!(failures.record(at(120)));
}

#[test]
fn failures_spread_over_hours_never_reset() {
    let mut failures = Failures::default();
    assert!((0..100).all(|n| !failures.record(AT + Duration::from_secs(n * 301))));
}

/// One of two devices, and what is on its way to the other: (session, with INIT).
#[derive(Default)]
struct Side {
    standings: Standings,
    flight: Vec<(SessionId, bool)>,
}

impl Side {
    fn send(&mut self, fresh: SessionId) {
        let id = sending(&self.standings).unwrap_or_else(|| {
            self.standings.begin(fresh, AT);
            fresh
        });
        self.flight.push((id, self.standings.needs_init(id)));
        self.standings.sealed(id);
    }

    fn receive(&mut self, (id, with_init): (SessionId, bool)) {
        if self.standings.get(id).is_none() {
            if !with_init {
                return;
            }
            self.standings.take_in(id, false, AT);
        }
        self.standings.opened(id, Arrival { with_init, heartbeat: false, now: AT });
    }
}

#[test]
fn atk_49_simultaneous_beginnings_end_on_one_session_in_every_interleaving() {
    for seed in 0..200 {
        let mut dice = rng(seed);
        let (mut sides, ids) = ([Side::default(), Side::default()], [sid(1), sid(2)]);
        for _ in 0..40 {
            let from = dice.random_range(0..2);
            if dice.random_bool(0.5) {
                sides[from].send(ids[from]);
            } else if !sides[from].flight.is_empty() {
                let message = sides[from].flight.remove(0);
                if dice.random_bool(0.8) {
                    sides[1 - from].receive(message);
                }
            }
        }
        // the weather clears: everything arrives, and each side says a few things more
        for _ in 0..4 {
            for from in [0, 1] {
                sides[from].send(ids[from]);
                let flight = std::mem::take(&mut sides[from].flight);
                flight.into_iter().for_each(|message| sides[1 - from].receive(message));
            }
        }
        let used = sides.each_ref().map(|side| sending(&side.standings));
        assert_eq!(used[0], used[1], "seed {seed}");
        assert!(sides.iter().all(|side| side.standings.sending().unwrap().stage == Stage::Confirmed), "seed {seed}");
    }
}
