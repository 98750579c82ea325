//! chatd as a service: units are written and taken away, systemd is told, nothing of others is touched.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;

/// A home, and programs in PATH that note what they are asked.
pub(super) struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub(super) fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(home.path("bin")).unwrap();
        home.program("chatd", "exit 0");
        // A unit is there once a file or an installation brought it.
        home.program(
            "systemctl",
            r#"echo "systemctl $*" >> "$HOME/asked"
for last; do :; done
case "$2" in
show) [ "$3" = --property=Version ] && { [ ! -e "$HOME/no-bus" ] || { echo "Failed to connect to bus" >&2; exit 1; }; echo Version=257; exit 0; }
  if [ -e "$HOME/unit" ]; then cat "$HOME/unit"
  elif [ -e "$HOME/.config/systemd/user/$last" ]; then
    printf 'LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=7\nNRestarts=0\nFragmentPath=%s\n' "$HOME/.config/systemd/user/$last"
  else echo LoadState=not-found; fi;;
enable) [ ! -e "$HOME/broken" ] || { echo "Unit is masked." >&2; exit 1; };;
esac"#,
        );
        home.program("journalctl", r#"echo "journalctl $*" >> "$HOME/asked"; echo "a line of the log""#);
        home.program("loginctl", r#"[ ! -e "$HOME/linger" ] || cat "$HOME/linger""#);
        home
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub(super) fn file(&self, below: &str, text: &str) -> PathBuf {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.file(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::cargo_bin("chatctl").unwrap();
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command.env_clear().env("PATH", path).env("HOME", self.dir.path()).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// What was asked of the programs since the last look.
    fn asked(&self) -> Vec<String> {
        let path = self.path("asked");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(path);
        text.lines().filter(|line| !line.contains(" show ")).map(str::to_owned).collect()
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.path(".config/systemd/user").join(name)
    }
}

fn beside() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_chatctl")).with_file_name("chatd")
}

#[test]
fn a_service_is_installed_watched_and_taken_away() {
    let home = Home::new();
    let chatd = home.path("bin/chatd").display().to_string();
    let (code, out, err) = home.run(&["service", "install", "--chatd", &chatd]);
    assert_eq!(code, 0, "{err}");
    let unit = home.unit("chatd.service");
    assert_eq!(out, format!("wrote {}\nenabled and started chatd.service\n", unit.display()));
    assert!(err.starts_with("to keep it running while you are not logged in: loginctl enable-linger\nnext: "), "{err}");
    assert_eq!(home.asked(), ["systemctl --user daemon-reload", "systemctl --user enable --now chatd.service"]);
    let text = std::fs::read_to_string(&unit).unwrap();
    let source = include_str!("../../../chatd/dist/chatd.service").replace("@BINDIR@/chatd", &chatd);
    assert_eq!(text.split_once('\n').unwrap().1, source, "what make install puts in place");

    let (code, out, _) = home.run(&["service", "status"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("state        active (running)\nprocess      7\n") && out.ends_with("does not answer\n"),
        "{out}"
    );
    assert_eq!(home.run(&["service", "logs", "-f", "-n", "5"]).1, "a line of the log\n");
    assert_eq!(home.asked(), ["journalctl --user --no-pager -u chatd -n 5 -f"]);

    assert_eq!(home.run(&["service", "install", "--chatd", &chatd]).0, 0, "again is no harm");
    home.asked();
    let (code, out, _) = home.run(&["service", "uninstall"]);
    assert_eq!((code, out), (0, format!("removed {}\nstopped and disabled chatd\n", unit.display())));
    assert_eq!(home.asked(), ["systemctl --user disable --now chatd.service", "systemctl --user daemon-reload"]);
    assert!(!unit.exists());
    assert_eq!(home.run(&["service", "status"]).0, 66);
}

#[test]
fn a_profile_has_its_own_instance_and_a_caller_may_start_the_first() {
    let home = Home::new();
    let (code, out, err) = home.run(&["--profile", "work", "service", "install"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.ends_with("enabled and started chatd@work.service\n"), "{out}");
    let text = std::fs::read_to_string(home.unit("chatd@.service")).unwrap();
    let program = if beside().is_file() { beside() } else { home.path("bin/chatd") };
    assert!(text.contains(&format!("ExecStart={} --profile %i\n", program.display())), "{text}");
    let (code, out, _) = home.run(&["service", "install", "--on-demand"]);
    assert!(code == 0 && out.ends_with("enabled and started chatd.socket\n"), "{out}");
    assert!(home.unit("chatd.service").exists() && home.unit("chatd.socket").exists());
    assert_eq!(home.run(&["--profile", "work", "service", "install", "--on-demand"]).0, 64);
    home.file(".config/systemd/user/default.target.wants/chatd@home.service", "");
    let (_, out, _) = home.run(&["--profile", "work", "service", "uninstall"]);
    assert!(!out.contains("removed") && home.unit("chatd@.service").exists(), "another profile uses it: {out}");
    home.asked();
    home.run(&["service", "uninstall"]);
    assert_eq!(home.asked()[0], "systemctl --user disable --now chatd.socket");
    assert!(!home.unit("chatd.socket").exists());
}

#[test]
fn what_chatctl_did_not_write_is_neither_overwritten_nor_removed() {
    let home = Home::new();
    let unit = home.file(".config/systemd/user/chatd.service", "[Service]\nExecStart=/my/own\n");
    let (code, out, err) = home.run(&["service", "install"]);
    assert_eq!((code, out.as_str()), (65, ""));
    assert!(
        err.contains("was not written by chatctl\nHint: use it with `systemctl --user enable --now chatd.service`")
    );
    home.run(&["service", "uninstall"]);
    assert_eq!(std::fs::read_to_string(unit).unwrap(), "[Service]\nExecStart=/my/own\n");
}

#[test]
fn units_of_an_installation_are_used_as_they_are() {
    let home = Home::new();
    home.file("unit", "LoadState=loaded\nFragmentPath=/usr/lib/systemd/user/chatd.service\n");
    let (code, out, err) = home.run(&["service", "install", "--json"]);
    assert_eq!(code, 0, "{err}");
    let done: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&done["unit"], &done["written"]), (&json!("chatd.service"), &json!([])));
    assert!(!home.unit("chatd.service").exists());
}

#[test]
fn without_systemd_it_says_so_and_what_to_do() {
    let home = Home::new();
    home.file("no-bus", "");
    for verb in ["install", "status", "uninstall"] {
        let (code, out, err) = home.run(&["service", verb]);
        assert_eq!((code, out.as_str()), (69, ""), "{verb}");
        assert!(
            err.starts_with("Error: there is no systemd for this user\nCaused by: Failed to connect to bus\nHint: "),
            "{err}"
        );
    }
    let output = home.command(&["service", "logs"]).env("PATH", "/nonexistent").output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(!home.unit("chatd.service").exists(), "nothing was written");
}

#[test]
fn what_systemd_refuses_is_told() {
    let home = Home::new();
    home.file("broken", "");
    let (code, _, err) = home.run(&["service", "install"]);
    assert_eq!(code, 70);
    assert_eq!(err, "Error: `systemctl --user enable --now chatd.service` failed\nCaused by: Unit is masked.\n");
    let (code, _, err) = home.run(&["service", "install", "--data-dir", "/srv/bot"]);
    assert!(code == 64 && err.contains("a service is of a profile"), "{err}");
    let (code, _, err) = home.run(&["service", "install", "--chatd", "/nonexistent/chatd"]);
    assert!(code == 66 && err.contains("--chatd FILE"), "{err}");
}
