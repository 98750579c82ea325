//! Whether whoever reads standard output is still there.
//!
//! A pipe says so only to those who write to it, or who ask. What waits for the next event writes nothing, perhaps for
//! days: it asks. The answer comes to a thread of its own, which the end of the process ends.

use std::io;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::oneshot;

use crate::error::Failure;

/// Waits until nobody can read standard output any more: the other end of the pipe was closed, or the terminal is gone.
/// A file has no other end, and is waited for in vain.
pub(crate) struct Reader(oneshot::Receiver<()>);

impl Reader {
    /// Begins to look.
    pub(crate) fn of_stdout() -> Self {
        let (gone, seen) = oneshot::channel();
        thread::spawn(move || {
            if wait() {
                // Nobody listens once the program ends.
                let _ = gone.send(());
            }
        });
        Self(seen)
    }

    /// Ends when the reader is gone. Cancel-safe: it only waits.
    pub(crate) async fn gone(&mut self) {
        if (&mut self.0).await.is_err() {
            std::future::pending().await
        }
    }
}

/// Waits for `work` as long as somebody is there to hear how it ends. Without them nobody knows: that is no success.
/// As cancel-safe as `work` is.
pub(crate) async fn heard<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut reader = Reader::of_stdout();
    tokio::select! {
        outcome = work => outcome,
        () = reader.gone() => {
            let why = "nobody reads the output any more; what was waited for goes on";
            Err(Failure::Io(io::Error::new(io::ErrorKind::BrokenPipe, why)))
        }
    }
}

/// Whether it is gone; false where the system cannot tell.
fn wait() -> bool {
    loop {
        // Nothing is asked for: an error and a hang-up are told in any case.
        let mut stdout = [PollFd::from_borrowed_fd(rustix::stdio::stdout(), PollFlags::empty())];
        match poll(&mut stdout, None) {
            Ok(_) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
