//! A besieger that computes little: those who misbehave have machines of their own, which this one has to be as well.
//!
//! With both processors of a machine always busy, the system, and what may be below it, stops honest programs for
//! milliseconds at a time, whoever caused the work: that would be measured, and not what the server lets somebody cause.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

/// How much longer than it computed a besieger rests: all thirty-five together then take half of one processor.
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
        let began = Instant::now();
        let polled = self.deed.as_mut().poll(context);
        if self.asked.load(Ordering::Relaxed) {
            let until = Instant::now() + began.elapsed() * REST;
            self.rest.as_mut().reset(until.into());
        }
        polled
    }
}
