//! The socket's file, kept where callers find it, and the sign in the data directory that says where that is.
//!
//! A runtime directory is emptied or taken away when its user logs out, while a daemon without a terminal lives on: then
//! the socket is made anew, in the data directory if it must, and moves back once it can. The sign leads callers there
//! who do not share the daemon's environment: cron, `su`, another login.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chat_protocol::rpc::paths::{SOCKET_IN_DATA, SOCKET_SIGN};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::dirs::{self, DataDir, Lock};
use crate::report::Chain;
use crate::rpc::{self, Bound, SocketError};

/// How often the file is looked at; a look is one call of the system.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A file beside the lock with the path of the socket; gone when this is dropped.
pub(super) struct Sign {
    file: PathBuf,
    /// What it should say; the daemon tells it too.
    socket: watch::Sender<PathBuf>,
    written: bool,
}

impl Sign {
    pub(super) fn put_up(dir: &DataDir, told: &watch::Sender<PathBuf>, socket: &Path) -> Self {
        let mut sign = Self { file: dir.file(SOCKET_SIGN), socket: told.clone(), written: false };
        sign.point_to(socket);
        sign
    }

    fn point_to(&mut self, socket: &Path) {
        self.socket.send_replace(std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned()));
        self.written = false;
        self.write();
    }

    /// Tried again until there is room for it: whoever has the daemon's environment finds the socket without it.
    fn write(&mut self) {
        if self.written {
            return;
        }
        let line = [self.socket.borrow().as_os_str().as_encoded_bytes(), b"\n"].concat();
        match dirs::write_private(&self.file, &line) {
            Ok(()) => self.written = true,
            Err(error) => tracing::debug!(error = %Chain(&error), "where the socket is could not be noted"),
        }
    }
}

impl Drop for Sign {
    fn drop(&mut self) {
        // one that stays leads to a socket that nobody answers on
        let _ = dirs::remove(&self.file);
    }
}

/// The socket's file, where it should be or where it can be.
pub(super) struct SocketFile {
    /// The first is where it should be.
    places: [PathBuf; 2],
    lock: Lock,
    bound: Bound,
    sign: Sign,
    /// It is nowhere, and that was said.
    lost: bool,
}

impl SocketFile {
    /// Listens on the socket that `told` holds, which is set to where it is from then on. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// As [`rpc::bind`].
    pub(super) fn open(
        told: &watch::Sender<PathBuf>,
        dir: &DataDir,
        lock: &Lock,
    ) -> Result<(UnixListener, Self), SocketError> {
        let socket = told.borrow().clone();
        let (listener, bound) = rpc::bind(&socket, lock)?;
        let sign = Sign::put_up(dir, told, bound.path());
        let places = [socket, dir.file(SOCKET_IN_DATA)];
        Ok((listener, Self { places, lock: lock.clone(), bound, sign, lost: false }))
    }

    /// Looks after it until `shutdown`; what listens in its place goes to `moved`.
    pub(super) async fn keep(mut self, moved: mpsc::Sender<UnixListener>, shutdown: CancellationToken) -> Self {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // both only wait: losing one loses nothing
            tokio::select! {
                () = shutdown.cancelled() => return self,
                _ = ticks.tick() => {}
            }
            if let Some(listener) = self.look()
                && moved.send(listener).await.is_err()
            {
                return self;
            }
        }
    }

    /// Makes the socket anew if it is not where it should be and can be, or if it is nowhere.
    fn look(&mut self) -> Option<UnixListener> {
        self.sign.write();
        let is_there = self.bound.is_there();
        for place in &self.places {
            if is_there && place == self.bound.path() {
                return None;
            }
            match rpc::bind(place, &self.lock) {
                Ok((listener, bound)) => {
                    tracing::warn!(socket = %place.display(), "the socket was gone, and is here now");
                    (self.bound, self.lost) = (bound, false);
                    self.sign.point_to(place);
                    return Some(listener);
                }
                Err(error) if is_there || self.lost => tracing::debug!(error = %Chain(&error), "still no socket there"),
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "the socket is gone, and cannot be made anew there")
                }
            }
        }
        self.lost = !is_there;
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixStream;

    use super::*;

    struct World {
        outer: tempfile::TempDir,
        dir: DataDir,
    }

    impl World {
        fn new() -> Self {
            let outer = tempfile::tempdir().unwrap();
            let dir = DataDir::open(&outer.path().join("data")).unwrap();
            Self { outer, dir }
        }

        fn socket(&self) -> PathBuf {
            self.outer.path().join("run/chatd/default.sock")
        }

        fn open(&self) -> (UnixListener, SocketFile) {
            let told = watch::Sender::new(self.socket());
            SocketFile::open(&told, &self.dir, &self.dir.lock().unwrap()).unwrap()
        }

        fn sign(&self) -> String {
            fs::read_to_string(self.dir.file(SOCKET_SIGN)).unwrap_or_default()
        }
    }

    #[tokio::test]
    async fn a_socket_whose_directory_was_emptied_is_back() {
        let world = World::new();
        let (_first, mut socket_file) = world.open();
        assert!(socket_file.look().is_none(), "nothing is done while it is there");
        assert_eq!(world.sign(), format!("{}\n", world.socket().display()));
        fs::remove_dir_all(world.outer.path().join("run/chatd")).unwrap();
        let _second = socket_file.look().unwrap();
        UnixStream::connect(world.socket()).unwrap();
        assert!(socket_file.look().is_none());
        drop(socket_file);
        assert!(!world.socket().exists() && world.sign().is_empty(), "both go with the daemon");
    }

    #[tokio::test]
    async fn a_socket_whose_directory_cannot_be_made_is_with_the_data_and_moves_back() {
        let world = World::new();
        let (_first, mut socket_file) = world.open();
        let run = world.outer.path().join("run");
        fs::remove_dir_all(&run).unwrap();
        // in the way of the directory
        fs::write(&run, "").unwrap();
        let _second = socket_file.look().unwrap();
        let with_the_data = world.dir.file(SOCKET_IN_DATA);
        UnixStream::connect(&with_the_data).unwrap();
        assert_eq!(world.sign(), format!("{}\n", with_the_data.display()));
        assert_eq!(*socket_file.sign.socket.borrow(), with_the_data, "what the daemon says");
        assert!(socket_file.look().is_none(), "nothing is done while it cannot move back");
        fs::remove_file(&run).unwrap();
        let _third = socket_file.look().unwrap();
        UnixStream::connect(world.socket()).unwrap();
        assert!(!with_the_data.exists());
        assert_eq!(world.sign(), format!("{}\n", world.socket().display()));
    }

    #[tokio::test]
    async fn a_sign_for_which_there_was_no_room_is_put_up_later() {
        let world = World::new();
        // in the way of the sign
        fs::create_dir(world.dir.file(SOCKET_SIGN)).unwrap();
        let (_listener, mut socket_file) = world.open();
        assert!(world.sign().is_empty());
        fs::remove_dir(world.dir.file(SOCKET_SIGN)).unwrap();
        assert!(socket_file.look().is_none());
        assert_eq!(world.sign(), format!("{}\n", world.socket().display()));
    }
}
