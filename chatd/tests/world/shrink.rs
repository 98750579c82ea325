//! Makes a schedule that fails as short as it can.

use crate::disk::Carried;
use crate::schedule::Step;
use crate::world::Fate;

/// The shortest schedule found that still fails.
pub fn shrink(mut steps: Vec<Step>, fails: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    loop {
        let before = steps.clone();
        steps = with_fewer(steps, &fails);
        steps = with_simpler(steps, &fails);
        if steps == before {
            return steps;
        }
    }
}

/// Leaves out pieces, long ones first.
fn with_fewer(mut steps: Vec<Step>, fails: &impl Fn(&[Step]) -> bool) -> Vec<Step> {
    let mut piece = steps.len().next_power_of_two();
    while piece > 0 {
        let mut at = 0;
        while at < steps.len() {
            let without = [&steps[..at], &steps[(at + piece).min(steps.len())..]].concat();
            if fails(&without) {
                steps = without;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    steps
}

/// Lets single steps end well.
fn with_simpler(mut steps: Vec<Step>, fails: &impl Fn(&[Step]) -> bool) -> Vec<Step> {
    for at in 0..steps.len() {
        let Some(simpler) = simpler(steps[at]) else { continue };
        let before = std::mem::replace(&mut steps[at], simpler);
        if !fails(&steps) {
            steps[at] = before;
        }
    }
    steps
}

fn simpler(step: Step) -> Option<Step> {
    let simple = match step {
        Step::MsgSend { from, to, .. } => Step::MsgSend { from, to, fate: Fate::Done },
        Step::Say { who, .. } => Step::Say { who, fate: Fate::Done },
        Step::Go { next, most, .. } => Step::Go { next, most, fate: Fate::Done },
        Step::Carry { nth, .. } => Step::Carry { nth, carried: Carried::Out },
        Step::Cut { who, .. } => Step::Cut { who, noticed: true },
        other => other,
    };
    (simple != step).then_some(simple)
}

#[test]
fn a_failing_schedule_shrinks_to_what_makes_it_fail() {
    let crash = Step::Crash { who: 1 };
    let send = |fate| Step::MsgSend { from: 0, to: 1, fate };
    let long = vec![Step::Wait { millis: 10 }, send(Fate::DiesAfter), crash, Step::Away { away: true }, crash];
    let fails = |steps: &[Step]| {
        let sent = steps.iter().position(|step| matches!(step, Step::MsgSend { .. }));
        sent.is_some_and(|sent| steps[sent..].contains(&crash))
    };
    assert_eq!(shrink(long, fails), [send(Fate::Done), crash]);
}
