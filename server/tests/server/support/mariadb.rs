//! A private MariaDB: a temporary directory, one socket, no network, gone with its owner.
//!
//! Needs nothing but the standard library and `tempfile`, so that other packages can include this
//! file by path. As root the server runs as an unprivileged user.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Names in `/sbin` are not on everybody's path.
const SERVER: [&str; 2] = ["/usr/sbin/mariadbd", "mariadbd"];
/// Who it runs as when we are root. The user `mysql` is only there where a MariaDB is set up as a service.
const NOBODY: &str = "nobody";
/// Temporary tables of its own: a MariaDB that starts deletes what it takes for leftovers, other servers' tables too.
const TEMPORARY: &str = "tmp";
const PATIENCE: Duration = Duration::from_secs(60);
const HELP: &str = "MariaDB is needed for this test: run `make test-setup`";

/// A running server, or one that was killed and can start again on the same data.
pub struct MariaDb {
    dir: TempDir,
    server: Option<Child>,
}

impl MariaDb {
    /// Installs and starts one.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("chat-mariadb").tempdir().expect("a temporary directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("permissions");
        let data = dir.path().join("data");
        for part in [&data, &dir.path().join(TEMPORARY)] {
            std::fs::create_dir(part).expect("its directories");
        }
        if is_root() {
            let chown = Command::new("chown").arg("-R").arg(NOBODY).arg(dir.path()).status().expect("chown");
            assert!(chown.success(), "{HELP}");
        }
        // --force: it also works where the machine's own name cannot be looked up
        let install = unprivileged("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--force"])
            .arg(format!("--datadir={}", data.display()))
            .env("TMPDIR", dir.path().join(TEMPORARY))
            .output()
            .expect(HELP);
        assert!(
            install.status.success(),
            "{HELP}\n{}",
            String::from_utf8_lossy(&[install.stdout, install.stderr].concat())
        );
        let mut database = Self { dir, server: None };
        database.restart();
        database
    }

    /// Starts the server on the data there is and waits until it answers.
    pub fn restart(&mut self) {
        let program = SERVER.into_iter().find(|path| !path.starts_with('/') || Path::new(path).exists());
        let server = unprivileged(program.expect(HELP))
            .args(["--no-defaults", "--skip-networking", "--skip-log-bin", "--innodb-buffer-pool-size=64M"])
            .args(["--performance-schema=off", "--innodb-flush-log-at-trx-commit=1"])
            .arg(format!("--datadir={}", self.dir.path().join("data").display()))
            .arg(format!("--pid-file={}", self.pid_file().display()))
            .arg(format!("--socket={}", self.socket().display()))
            .env("TMPDIR", self.dir.path().join(TEMPORARY))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.server = Some(server.expect(HELP));
        let deadline = Instant::now() + PATIENCE;
        while !self.answers() {
            assert!(Instant::now() < deadline, "MariaDB did not start");
            std::thread::yield_now();
        }
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        if let Ok(pid) = std::fs::read_to_string(self.pid_file()) {
            let _gone = Command::new("kill").args(["-9", pid.trim()]).status();
        }
        if let Some(mut server) = self.server.take() {
            let _stopped = Command::new("kill").args(["-CONT", &server.id().to_string()]).status();
            let _status = server.wait();
        }
        let _left = std::fs::remove_file(self.pid_file());
    }

    /// Makes it stop in the middle of whatever it does, or go on.
    pub fn freeze(&self, frozen: bool) {
        let pid = std::fs::read_to_string(self.pid_file()).expect("it runs");
        // whoever started it as another user stops and goes on with it
        let parent = self.server.as_ref().expect("it runs").id().to_string();
        let signal = if frozen { "-STOP" } else { "-CONT" };
        assert!(Command::new("kill").args([signal, parent.as_str(), pid.trim()]).status().expect("kill").success());
        // a signal is sent, not delivered: some thread may go on for a moment
        while frozen && !is_stopped(pid.trim()) {
            std::thread::yield_now();
        }
    }

    /// Runs statements as its administrator; tells whether they succeeded.
    pub fn execute(&self, sql: &str) -> bool {
        self.query(sql).is_some()
    }

    /// What statements print, tab separated, if they succeeded.
    pub fn query(&self, sql: &str) -> Option<String> {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "--user=root", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"])
            .arg(format!("--socket={}", self.socket().display()))
            .args(["-e", sql])
            .output()
            .expect(HELP);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@localhost/{database}?socket={}", self.socket().display())
    }

    /// The socket it listens on.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.path().join("data/server.pid")
    }

    /// It is ours that answers: nobody else has this socket. The pid file comes last.
    fn answers(&self) -> bool {
        self.pid_file().exists() && self.execute("SELECT 1")
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

fn unprivileged(program: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", NOBODY, "--", program]);
    command
}

/// Whether every thread of a process is stopped.
fn is_stopped(pid: &str) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
    })
}
