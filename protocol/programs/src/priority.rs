//! Work that somebody waits for goes before work that nobody does, or that a stranger asked for.

use std::io;

use rustix::process::setpriority_process;
use rustix::thread::gettid;

/// A tenth of the weight of a thread that has not stepped back (sched(7)).
const NICENESS: i32 = 10;

/// Lets all other threads go before this one where the processors do not suffice: on Linux each thread has a niceness of its
/// own. It cannot be taken back.
///
/// # Errors
/// What the system says; the thread then runs on as before.
pub fn step_back() -> io::Result<()> {
    Ok(setpriority_process(Some(gettid()), NICENESS)?)
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    #[test]
    fn one_thread_steps_back_and_no_other() {
        let niceness = || getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let before = niceness();
        let behind = std::thread::spawn(move || super::step_back().map(|()| niceness()));
        assert_eq!((behind.join().unwrap().unwrap(), niceness()), (super::NICENESS, before));
    }
}
