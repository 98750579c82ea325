//! Who starts the daemon and who calls it do not share an environment: cron, `su`, a login that is over.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use chat_stories::{Outcome, Process, Stage, binaries};
use rustix::fs::{CWD, RenameFlags};

/// Somebody who names no place, as most do.
struct User {
    home: PathBuf,
    run: PathBuf,
}

impl User {
    fn new(stage: &Stage) -> Self {
        let (home, run) = (stage.room("home"), stage.room("run"));
        fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).unwrap();
        Self { home, run }
    }

    /// The daemon, started from a login.
    fn daemon(&self) -> Process {
        let mut command = binaries::program("chatd", &self.home);
        command.env("XDG_RUNTIME_DIR", &self.run);
        let daemon = Process::start("chatd", command);
        daemon.line("that it is ready", |line| line.contains("ready").then_some(()));
        daemon
    }

    /// What cron, or `env -i`, leaves.
    fn bare(&self, program: impl Into<PathBuf>) -> Command {
        let mut command = Command::new(program.into());
        command.env_clear().env("HOME", &self.home).env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh");
        command.current_dir(&self.home);
        command
    }

    fn ctl(&self, words: &[&str], run: Option<&str>) -> Outcome {
        let mut command = self.bare(binaries::directory().join("chatctl"));
        command.args(words).envs(run.map(|run| ("XDG_RUNTIME_DIR", run)));
        Process::run("chatctl", command, "")
    }
}

/// The line for a crontab that the script itself documents.
fn crontab_line() -> String {
    let script = fs::read_to_string(binaries::repository().join("examples/alert.sh")).unwrap();
    let line = script.lines().find_map(|line| line.strip_prefix("#   */10 * * * *")).unwrap();
    let examples = binaries::repository().join("examples");
    let line = line.trim().replace("/path/to", examples.to_str().unwrap());
    // the programs under test stand where `make install` would have put them
    line.replace("/usr/local/bin", binaries::directory().to_str().unwrap())
}

#[test]
fn the_documented_line_for_cron_works_in_the_environment_of_cron() {
    let stage = Stage::open();
    let user = User::new(&stage);
    let _daemon = user.daemon();
    let secrets = stage.room("secrets");
    let file = |name: &str, text: &str| {
        let path = secrets.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (invite, password) = (file("invite", &stage.server.invite()), file("password", "a long password"));
    let _ = user.ctl(&["register", "monitor", "--invite-file", &invite, "--password-file", &password], None).success();
    let mut ops = stage.member("ops");
    let line = crontab_line().replace(" 90 ", " 0 ").replace(" /home", "");
    let mut shell = user.bare("/bin/sh");
    shell.args(["-c", &line]);
    let outcome = Process::run(&line, shell, "");
    assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (Some(0), "", ""), "{line}");
    ops.event("the alert", |event| event["data"]["text"].as_str().is_some_and(|text| text.contains("full")));
}

#[test]
fn a_script_that_does_not_find_chatctl_says_what_to_write() {
    let stage = Stage::dark();
    let user = User::new(&stage);
    let mut shell = user.bare(binaries::repository().join("examples/alert.sh"));
    shell.args(["@ops", "0", "/"]);
    let outcome = Process::run("alert.sh", shell, "");
    assert_eq!(outcome.code, Some(69), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("no chatctl in /usr/bin:/bin"), "{}", outcome.stderr);
}

#[test]
fn the_daemon_is_found_from_every_environment_of_its_user() {
    let stage = Stage::dark();
    let user = User::new(&stage);
    let first = user.daemon();
    // cron; `su`, which leaves what is another user's; a login that is over
    for run in [None, Some("/proc/1"), Some("/nowhere"), Some("")] {
        assert_eq!(user.ctl(&["status"], run).code, Some(0), "XDG_RUNTIME_DIR={run:?}");
    }
    let mut second = user.bare(binaries::directory().join("chatd"));
    second.arg("--log=error");
    let told = Process::run("chatd", second, "");
    assert_eq!(told.code, Some(75));
    let socket = user.run.join("chatd/default.sock");
    assert!(told.stderr.contains(&format!("answers on {}", socket.display())), "{}", told.stderr);

    // `@reboot`: started without a runtime directory, called from a login with one
    assert_eq!(first.stop().code, Some(0));
    let daemon = Process::start("chatd", user.bare(binaries::directory().join("chatd")));
    daemon.line("that it is ready", |line| line.contains("ready").then_some(()));
    assert_eq!(user.ctl(&["status"], user.run.to_str()).code, Some(0));
}

#[test]
fn a_daemon_outlives_the_runtime_directory_it_was_started_in() {
    let stage = Stage::dark();
    let user = User::new(&stage);
    let daemon = user.daemon();
    // as in /run/user, nobody but the system can make it again: something else is in its place at once
    let other = user.run.with_extension("other");
    fs::write(&other, "").unwrap();
    rustix::fs::renameat_with(CWD, &user.run, CWD, &other, RenameFlags::EXCHANGE).unwrap();
    fs::remove_dir_all(&other).unwrap();
    daemon.line("that the socket is elsewhere", |line| {
        line.contains("the socket was gone, and is here now").then_some(())
    });
    let info = user.ctl(&["rpc", "daemon.info"], user.run.to_str()).success();
    let elsewhere = user.home.join(".local/share/chatd/default/chat.sock");
    assert!(info.contains(&format!("\"socket\":\"{}\"", elsewhere.display())), "{info}");
    let python =
        "import sys; sys.path.insert(0, sys.argv[1]); from chatd_bot import Client; print(repr(Client().me()))";
    let mut bot = user.bare(binaries::python(&user.home).get_program());
    bot.args(["-c", python]).arg(binaries::repository().join("examples/python"));
    assert_eq!(Process::run("a bot", bot, "").success(), "''\n");
}

#[test]
fn a_home_behind_a_link_holds_a_daemon_and_a_server() {
    let stage = Stage::dark();
    let (real, link) = (stage.room("real"), stage.room("links").join("home"));
    symlink(&real, &link).unwrap();
    let run = stage.room("run");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&run, stage.room("links").join("run")).unwrap();
    let user = User { home: link, run: stage.room("links").join("run") };
    let daemon = user.daemon();
    let _ = user.ctl(&["status"], user.run.to_str()).success();
    let _ = user.ctl(&["status"], None).success();
    assert_eq!(daemon.stop().code, Some(0));
    let mut server = user.bare(binaries::directory().join("chat-server"));
    server.arg("init");
    let _ = Process::run("chat-server init", server, "").success();
    let mut server = user.bare(binaries::directory().join("chat-server"));
    server.args(["run", "--listen", "127.0.0.1:0"]);
    let server = Process::start("chat-server", server);
    server.line("that it listens", |line| line.contains("listening on").then_some(()));
    assert_eq!(server.stop().code, Some(0));
}
