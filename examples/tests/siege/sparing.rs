//! A besieger that computes little: those who misbehave would have machines of their own, and this one has to be all of them.
//!
//! With both processors of a machine always busy, the system, and what may be below it, stops honest programs for
//! milliseconds at a time, whoever caused the work: that would be measured, and not what the server lets somebody cause.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Sleep, sleep_until};

/// How much longer than it computed a besieger rests: the 20 members, 10 guests and 5 callers of a plan together then take
/// half of one processor.
const REST: u32 = 70;

/// Rests after each step, once it is asked to.
pub struct Sparing<F> {
    deed: Pin<Box<F>>,
    asked: Arc<AtomicBool>,
    rest: Pin<Box<Sleep>>,
}

impl<F> Sparing<F> {
    /// `deed`, resting from when `asked` is set.
    pub fn new(deed: F, asked: Arc<AtomicBool>) -> Self {
        Self { deed: Box::pin(deed), asked, rest: Box::pin(sleep_until(Instant::now().into())) }
    }
}

impl<F: Future<Output = ()>> Future for Sparing<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.rest.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let began = computed();
        let polled = self.deed.as_mut().poll(context);
        if self.asked.load(Ordering::Relaxed) {
            let until = Instant::now() + (computed() - began) * REST;
            self.rest.as_mut().reset(until.into());
        }
        polled
    }
}

/// What this thread has computed: whoever takes the processor from a besieger must not slow it down for that.
fn computed() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}
