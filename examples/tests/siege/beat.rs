//! A beat that whoever keeps time waits for: a timer of the system, on whose clock lateness is measured too.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

/// Beats at equal intervals; none is left out, however late it is asked for.
pub struct Beat {
    timer: OwnedFd,
    /// Beats that were and were not asked for yet.
    over: u64,
    due: Instant,
    pace: Duration,
}

impl Beat {
    /// The first after `first`, then one each `pace`; neither may be zero.
    pub fn after(first: Duration, pace: Duration) -> Self {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap();
        let times = Itimerspec { it_value: first.try_into().unwrap(), it_interval: pace.try_into().unwrap() };
        let due = Instant::now() + first;
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times).unwrap();
        Self { timer, over: 0, due, pace }
    }

    /// Waits for the next beat, if it was not yet; when it was due.
    pub fn next(&mut self) -> Instant {
        if self.over == 0 {
            let mut beats = [0; 8];
            rustix::io::read(&self.timer, &mut beats).unwrap();
            self.over = u64::from_ne_bytes(beats);
        }
        self.over -= 1;
        let due = self.due;
        self.due += self.pace;
        due
    }
}
