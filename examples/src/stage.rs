//! One story's world: a directory, a server, its people.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Person, Process, Server, binaries};

/// Where a story happens. Its directory goes with it.
pub struct Stage {
    /// The server everybody uses.
    pub server: Server,
    directory: TempDir,
}

impl Stage {
    /// A stage with a running server.
    #[must_use]
    pub fn open() -> Self {
        let mut stage = Self::dark();
        stage.server.start();
        stage
    }

    /// A stage whose server is initialised but does not run yet.
    #[must_use]
    pub fn dark() -> Self {
        let directory = directory();
        let server = Server::init(&room(directory.path(), "server"));
        Self { server, directory }
    }

    /// A stage whose rooms were packed into a file; its server, in `server`, listens there once it is started.
    ///
    /// # Panics
    /// If the file is none.
    #[must_use]
    pub fn unpacked(packed: &Path, address: &str) -> Self {
        let directory = directory();
        let mut tar = binaries::tool("tar", directory.path());
        tar.arg("-xzf").arg(packed);
        let _ = Process::run("tar", tar, "").success();
        let server = Server::found(&directory.path().join("server"), Some(address));
        Self { server, directory }
    }

    /// A directory of that name, made if need be.
    #[must_use]
    pub fn room(&self, name: &str) -> PathBuf {
        room(self.directory.path(), name)
    }

    /// Somebody without daemon and account.
    #[must_use]
    pub fn stranger(&self, name: &str) -> Person {
        Person::new(name, &self.room(name))
    }

    /// Somebody whose daemon runs, without an account.
    #[must_use]
    pub fn newcomer(&self, name: &str) -> Person {
        let mut person = self.stranger(name);
        person.start();
        person
    }

    /// Somebody registered and online.
    #[must_use]
    pub fn member(&self, name: &str) -> Person {
        let mut person = self.newcomer(name);
        let _ = person.enter("register", &self.server.invite()).success();
        person.turns("online");
        person
    }
}

/// A temporary directory with a short path: sockets have about a hundred bytes.
pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("chat-").tempdir_in("/tmp").expect("/tmp can be written")
}

fn room(directory: &Path, name: &str) -> PathBuf {
    let room = directory.join(name);
    std::fs::create_dir_all(&room).expect("the stage can be written");
    room
}
