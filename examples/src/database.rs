//! A MariaDB of our own: private directory, private socket, no port, gone with its owner.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::Process;
use crate::stage;

/// A database server with one empty database, `chat`.
pub struct Database {
    directory: TempDir,
    process: Option<Process>,
}

impl Database {
    /// Makes and starts one, and runs these statements, one a line, in its database `chat`.
    ///
    /// # Panics
    /// If MariaDB is not installed, or does not start.
    #[must_use]
    pub fn start(statements: &str) -> Self {
        let mut database = Self { directory: stage::directory(), process: None };
        let mut install = database.command("mariadb-install-db");
        // --force: it also works where the machine's own name cannot be looked up
        install.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--force"]);
        let _ = Process::run("mariadb-install-db", install, "").success();
        let first = format!("CREATE DATABASE chat CHARACTER SET utf8mb4;\nUSE chat;\n{statements}\n");
        std::fs::write(database.file("first.sql"), first).expect("its directory can be written");
        database.run(&["--init-file", &database.text("first.sql")]);
        database
    }

    /// Ends it without warning and starts it again on the same data.
    pub fn crash_and_restart(&mut self) {
        self.crash();
        self.run(&[]);
    }

    /// Ends it without warning.
    pub fn crash(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// What `chat-server --database` takes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mysql://root@localhost/chat?socket={}", self.text("sock"))
    }

    /// Asks it, and returns the rows as lines with tabs between the columns.
    ///
    /// # Panics
    /// If it refuses.
    #[must_use]
    pub fn query(&self, statement: &str) -> String {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--batch", "--skip-column-names", "--user=root"]);
        command.arg(format!("--socket={}", self.text("sock"))).args(["--execute", statement, "chat"]);
        Process::run("mariadb", command, "").success()
    }

    fn run(&mut self, more: &[&str]) {
        let mut command = self.command("mariadbd");
        command.arg(format!("--socket={}", self.text("sock"))).args(["--skip-networking", "--skip-log-bin"]);
        command.args(["--innodb-buffer-pool-size=64M", "--performance-schema=off"]).args(more);
        let process = Process::start("mariadbd", command);
        process.line("that it is ready", |line| line.contains("ready for connections").then_some(()));
        self.process = Some(process);
    }

    /// A program of MariaDB on our directory. It refuses to be root unless told that this is meant.
    fn command(&self, name: &str) -> Command {
        let there =
            ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"].map(|dir| PathBuf::from(dir).join(name));
        let program = there.into_iter().find(|path| path.is_file());
        let mut command = Command::new(program.unwrap_or_else(|| panic!("{name} is missing: run `make test-setup`")));
        // A MariaDB that starts deletes what it takes for its leftovers, other servers' temporary tables too.
        let temporary = self.file("tmp");
        std::fs::create_dir_all(&temporary).expect("its directory can be written");
        command.env("TMPDIR", temporary);
        command.arg("--no-defaults").arg(format!("--datadir={}", self.text("data")));
        if rustix::process::geteuid().is_root() {
            command.arg("--user=root");
        }
        command
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.file(name).to_str().expect("temporary paths are text").to_owned()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.crash();
    }
}
