//! What waits for a commit, in turns.
//!
//! The next commit takes a bounded number of jobs and bytes. Were they taken in the order they came, one member with many
//! large submits would have everybody wait for all of them.

use chat_protocol::ids::Username;
use tokio::sync::mpsc;

use super::Job;
use crate::work::Turns;

/// Bytes of envelopes and posts after which a commit is closed: milliseconds of writing, and a thousand short messages.
const COMMIT_BYTES: usize = 1024 * 1024;

/// Bytes of a turn, and what its jobs count beside: what one account says in a row stays together, so that it is delivered in one record.
const TURN_BYTES: usize = 64 * 1024;
/// What a job counts beside what it says.
const JOB_BYTES: usize = 512;

/// Jobs that came and wait.
#[derive(Default)]
pub(super) struct Line(Turns<Username, Job>);

impl Line {
    /// Takes in what has come, and waits for something if nothing is in line; false when nothing ever will be.
    pub(super) async fn gather(&mut self, jobs: &mut mpsc::Receiver<Job>) -> bool {
        if self.0.len() == 0 {
            match jobs.recv().await {
                Some(job) => self.push(job),
                None => return false,
            }
        }
        // no more than a queue full of them, so that a queue that is full is noticed
        while self.0.len() < jobs.max_capacity()
            && let Ok(job) = jobs.try_recv()
        {
            self.push(job);
        }
        true
    }

    fn push(&mut self, job: Job) {
        self.0.push(job.from().clone(), job);
    }

    /// What the next commit carries: at most so many jobs, at least one.
    pub(super) fn take(&mut self, most: usize) -> Vec<Job> {
        let (mut bytes, most) = (0, most.min(self.0.len()));
        let mut next = Vec::with_capacity(most);
        while next.len() < most && bytes < COMMIT_BYTES {
            let end = bytes + TURN_BYTES;
            self.0.take_turn(|job| {
                bytes += job.bytes() + JOB_BYTES;
                next.push(job);
                bytes < end && next.len() < most
            });
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chat_protocol::ids::{DeviceId, Head, HeadHash, SubmitId};
    use chat_protocol::message::client::UserHead;
    use chat_protocol::time::Timestamp;

    use super::*;
    use crate::mailbox::{HEAD_BYTES, queue};
    use crate::store::SubmitRow;

    fn submit(from: &str, number: u8, bytes: usize) -> Job {
        let row = SubmitRow {
            sender: DeviceId::new([1; _]),
            submit_id: SubmitId::new(number.into(), [0; 8]),
            heads: Vec::new(),
            group: None,
            to: vec![(DeviceId::new([2; _]), Bytes::from(vec![0; bytes]))],
            at: Timestamp::from_millis(0),
        };
        Job::Submit { row, from: from.parse().unwrap(), answer: Box::new(|_| ()) }
    }

    fn bytes(jobs: &[Job]) -> usize {
        jobs.iter().map(Job::bytes).sum()
    }

    #[tokio::test]
    async fn one_with_many_large_submits_delays_the_others_by_one_commit_of_bounded_bytes() {
        const LARGE: usize = 256 * 1024;
        let (mailbox, mut jobs) = queue(64);
        (0..40).for_each(|n| mailbox.take(submit("mallory", n, LARGE)));
        (0..3).for_each(|n| mailbox.take(submit("alice", 100 + n, 200)));
        let mut line = Line::default();
        assert!(line.gather(&mut jobs).await);
        let first = line.take(512);
        assert!(bytes(&first) < COMMIT_BYTES + LARGE, "{} bytes", bytes(&first));
        assert_eq!(first.iter().filter(|job| job.from().as_str() == "alice").count(), 3);
        // what one said stays in its order
        let mut of_mallory = first;
        while line.0.len() > 0 {
            let next = line.take(512);
            assert!(!next.is_empty() && bytes(&next) < COMMIT_BYTES + LARGE);
            of_mallory.extend(next);
        }
        of_mallory.retain(|job| job.from().as_str() == "mallory");
        let numbers: Vec<_> = of_mallory
            .iter()
            .map(|job| match job {
                Job::Submit { row, .. } => row.submit_id.counter(),
                Job::Post { .. } => unreachable!(),
            })
            .collect();
        assert_eq!(numbers, (0..40).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn heads_that_are_claimed_share_a_commit_and_its_turns() {
        let claimed = |n: u8| UserHead {
            user: format!("nobody{n}").parse().unwrap(),
            head: Head { seq: 1, hash: HeadHash::new([0; _]) },
        };
        let (mailbox, mut jobs) = queue(512);
        for n in 0..100 {
            let mut job = submit("mallory", n, 70);
            if let Job::Submit { row, .. } = &mut job {
                row.heads = (0..u8::MAX).map(claimed).collect();
            }
            mailbox.take(job);
        }
        let mut line = Line::default();
        assert!(line.gather(&mut jobs).await);
        let heads = |jobs: &[Job]| jobs.len() * usize::from(u8::MAX);
        let first = line.take(512);
        assert!(heads(&first) <= COMMIT_BYTES / HEAD_BYTES + usize::from(u8::MAX), "{} heads", heads(&first));
    }

    #[tokio::test]
    async fn what_one_says_in_a_row_stays_together_and_ends_with_its_turn() {
        let (mailbox, mut jobs) = queue(512);
        (0..200).for_each(|n| mailbox.take(submit(if n % 2 == 0 { "alice" } else { "mallory" }, n, 600)));
        let mut line = Line::default();
        assert!(line.gather(&mut jobs).await);
        let next = line.take(512);
        let runs = next.chunk_by(|one, other| one.from() == other.from()).map(<[_]>::len);
        let turn = TURN_BYTES.div_ceil(600 + JOB_BYTES);
        assert_eq!(runs.collect::<Vec<_>>(), [turn, turn, 100 - turn, 100 - turn]);
    }

    #[tokio::test]
    async fn line_takes_in_no_more_than_a_queue_full_and_ends_with_the_last_mailbox() {
        let (mailbox, mut jobs) = queue(4);
        let mut line = Line::default();
        for _ in 0..3 {
            (0..4).for_each(|n| mailbox.take(submit("mallory", n, 1)));
            assert!(line.gather(&mut jobs).await);
            assert_eq!(line.0.len(), 4);
        }
        drop(mailbox);
        let mut left = 0;
        while line.gather(&mut jobs).await {
            left += line.take(3).len();
        }
        assert_eq!(left, 8, "four in line and four in the queue");
    }
}
