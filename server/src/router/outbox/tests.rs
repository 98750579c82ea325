//! What waits, what is counted of it, and when a connection ends for it.

use super::*;

const LIMITS: OutboxLimits = OutboxLimits { bytes: 100, frames: 10 };

fn outbox(limits: OutboxLimits) -> Outbox {
    Outbox::new(limits, &Arc::new(Budget::new(1 << 30)))
}

fn frame(len: usize) -> Bytes {
    Bytes::from(vec![0; len])
}

#[tokio::test]
async fn writer_takes_what_fits_a_piece_at_once() {
    let outbox = outbox(LIMITS);
    outbox.push(frame(10));
    outbox.push(frame(20));
    outbox.pong();
    let batch = outbox.next().await;
    assert_eq!((batch.frames.len(), batch.pong, batch.close), (2, true, None));
    assert!(outbox.has_room_for(1));
}

#[tokio::test]
async fn what_was_not_taken_yet_is_still_counted_and_a_goodbye_waits_for_it() {
    let outbox = outbox(OutboxLimits { bytes: 4 * PIECE_BYTES, frames: 10 });
    (0..3).for_each(|_| outbox.push(frame(PIECE_BYTES - 1)));
    outbox.close(Closed::Shutdown);
    let mut left = Vec::new();
    for _ in 0..3 {
        let batch = outbox.next().await;
        left.push((batch.frames.len(), batch.close, outbox.waiting()));
    }
    let (piece, goodbye) = (PIECE_BYTES - 1, Some(Closed::Shutdown));
    assert_eq!(left, [(1, None, 2 * piece), (1, None, piece), (1, goodbye, 0)]);
}

#[tokio::test]
async fn queue_at_its_limit_severs_the_slow_reader() {
    let outbox = outbox(LIMITS);
    outbox.push(frame(60));
    assert!(!outbox.has_room_for(1), "deliveries wait");
    outbox.push(frame(60));
    outbox.severed().await;
    assert_eq!(outbox.closed(), Some(Closed::SlowReader));
}

/// A budget, and readers of whom none reads.
fn readers(budget: usize, count: usize) -> (Arc<Budget>, Vec<Arc<Outbox>>) {
    let budget = Arc::new(Budget::new(budget));
    let limits = OutboxLimits { bytes: 8 << 20, frames: 4_096 };
    let readers = (0..count).map(|_| Arc::new(Outbox::new(limits, &budget))).collect();
    (budget, readers)
}

#[tokio::test]
async fn atk_90_what_waits_for_all_is_bounded_and_counted_until_it_is_written() {
    let (budget, readers) = readers(1 << 20, 100);
    for reader in &readers {
        while reader.has_room_for(1_000) {
            reader.push(frame(1_000));
        }
    }
    // who came last still has one frame at a time
    assert!(budget.used() <= (1 << 20) + 100 * 1_000, "{}", budget.used());
    assert!(readers.iter().all(|reader| reader.closed().is_none() && reader.waiting() >= 1_000));
    let slow = &readers[0];
    slow.next().await;
    let (used, waiting) = (budget.used(), readers.iter().map(|reader| reader.waiting()).sum::<usize>());
    assert_eq!(used - waiting, 16_000, "what is being written is counted too");
    slow.sever(Closed::SlowReader);
    slow.next().await;
    assert_eq!(budget.used(), waiting, "until more is to be written");
    drop(readers);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn atk_90_pages_that_nobody_reads_are_no_longer_than_there_is_room_for_and_one_at_a_time_beyond() {
    const PAGE: usize = 256 * 1024;
    let (budget, readers) = readers(4 << 20, 200);
    for reader in &readers {
        // asks for pages, and its socket takes nothing: the writer has the first
        while futures_util::poll!(Box::pin(reader.answerable())).is_ready() {
            let owed = reader.owe_page(PAGE);
            reader.push(frame(owed.bytes()));
            drop(owed);
            if reader.waiting() > 0 && reader.lock().writing == 0 {
                reader.next().await;
            }
        }
    }
    let most = (4 << 20) + 200 * LEAST_BYTES;
    assert!(budget.used() <= most, "{} of {most}", budget.used());
    assert!(readers.iter().all(|reader| reader.lock().held.bytes() >= LEAST_BYTES), "and nobody is left without");
}

#[tokio::test]
async fn atk_90_answers_of_requests_that_wait_for_a_commit_are_counted_before_they_are_there() {
    let (budget, readers) = readers(64 * 1024, 1);
    let reader = &readers[0];
    let mut owed = Vec::new();
    while futures_util::poll!(Box::pin(reader.answerable())).is_ready() {
        owed.push(reader.owe(1_000));
    }
    assert_eq!((owed.len(), budget.used()), (5, 5_000), "a sixteenth, and the last one beyond it");
    let mut blocked = Box::pin(reader.answerable());
    assert!(futures_util::poll!(&mut blocked).is_pending());
    owed.clear();
    blocked.await;
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn answers_are_not_kept_waiting_by_messages_that_fill_their_half_of_the_queue() {
    let (budget, readers) = readers(1 << 30, 1);
    readers[0].push(frame(4 << 20));
    assert!(!readers[0].has_room_for(1) && readers[0].may_answer(1 << 20));
    let others = budget.hold(1 << 30);
    assert!(!readers[0].may_answer(LEAST_BYTES + 1) && readers[0].may_answer(LEAST_BYTES));
    drop(others);
}

#[tokio::test]
async fn a_message_too_long_for_what_others_leave_waits_and_a_short_one_does_not() {
    let (budget, readers) = readers(64 * 1024, 1);
    let others = budget.hold(64 * 1024);
    assert!(!readers[0].has_room_for(LEAST_BYTES + 1) && readers[0].has_room_for(LEAST_BYTES));
    assert!(readers[0].is_idle(), "so that it is looked at again");
    drop(others);
}

#[tokio::test]
async fn atk_90_a_peer_that_does_not_read_is_asked_nothing_more() {
    let outbox = outbox(LIMITS);
    outbox.push(frame(60));
    let mut blocked = Box::pin(outbox.answerable());
    assert!(futures_util::poll!(&mut blocked).is_pending());
    outbox.next().await;
    blocked.await;
    outbox.push(frame(60));
    outbox.close(Closed::Shutdown);
    outbox.answerable().await;
}

#[tokio::test]
async fn who_had_room_is_not_woken_by_what_is_written() {
    let outbox = outbox(LIMITS);
    let mut woken = Box::pin(outbox.drained());
    outbox.push(frame(10));
    outbox.next().await;
    assert!(futures_util::poll!(&mut woken).is_pending());
    outbox.push(frame(60));
    assert!(!outbox.has_room_for(60));
    outbox.next().await;
    woken.await;
}

#[tokio::test]
async fn severed_connection_hears_nothing_more() {
    let outbox = outbox(LIMITS);
    outbox.push(frame(10));
    outbox.sever(Closed::Record);
    let batch = outbox.next().await;
    assert_eq!((batch.frames.len(), batch.goodbye, batch.close), (0, false, Some(Closed::Record)));
}

#[tokio::test]
async fn a_single_frame_above_the_limit_still_passes() {
    let outbox = outbox(OutboxLimits { bytes: 10, frames: 1 });
    outbox.push(frame(60));
    assert_eq!(outbox.next().await.frames.len(), 1);
}

#[tokio::test]
async fn closing_lets_what_is_queued_out_first() {
    let outbox = outbox(LIMITS);
    outbox.push(frame(10));
    outbox.close(Closed::Shutdown);
    outbox.push(frame(10));
    let batch = outbox.next().await;
    assert_eq!((batch.frames.len(), batch.close), (1, Some(Closed::Shutdown)));
}
