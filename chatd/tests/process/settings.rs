//! Settings as people meet them: shown with who says so, refused with what helps, and read again.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::home::Home;
use rustix::process::Signal;
use serde_json::{Value, json};

#[test]
fn every_setting_is_shown_with_who_says_so() {
    let home = Home::new();
    let path = home.configure("log = \"warn\"\n[http]\norigins = [\"https://chat.example\"]\n");
    let shown = home.prints(&["config", "--effective", "--key-file", "/stick/key"]);
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (data, file) = (home.data(), path.display());
    assert_eq!(line("data_dir"), format!("data_dir = \"{}\" # command line --data-dir", data.display()));
    assert_eq!(line("socket"), format!("socket = \"{}/chat.sock\" # default", data.display()));
    assert_eq!(line("key_file"), "key_file = \"/stick/key\" # command line --key-file");
    assert_eq!(line("log"), format!("log = \"warn\" # {file}, line 1"));
    assert_eq!(line("#http.listen"), "#http.listen = # not set");
    assert_eq!(line("http.origins"), format!("http.origins = [\"https://chat.example\"] # {file}, line 3"));

    let output = home.command(&["config", "--json"]).env("CHATD_LOG", "trace").output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let log = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|line| line["key"] == "log");
    let said = json!({"key": "log", "value": "trace", "origin": {"from": "environment", "name": "CHATD_LOG"}});
    assert_eq!(log, Some(said));
}

#[test]
fn the_printed_defaults_are_a_file_that_changes_nothing() {
    let home = Home::new();
    let before = home.prints(&["config"]);
    home.configure(&home.prints(&["config", "--defaults"]));
    assert_eq!(home.prints(&["config"]), before);
}

#[test]
fn a_wrong_file_keeps_the_daemon_from_starting_and_says_where() {
    let home = Home::new();
    let path = home.configure("\nlgo = \"debug\"\n");
    let (code, told) = home.ends(&[]);
    let words = format!("Error: {}, line 2: unknown key `lgo`; did you mean `log`?\n", path.display());
    assert_eq!((code, told), (78, words));

    home.configure("[http]\nlisten = \"0.0.0.0:8898\"\n");
    let (code, told) = home.ends(&[]);
    assert!(code == 78 && told.contains(", line 2: `http.listen`: ") && told.contains("in the clear"), "{told}");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    let (code, told) = home.ends(&[]);
    assert_eq!(code, 73);
    assert!(told.contains(&format!("fix it with `chmod go-w {}`", path.display())), "{told}");
}

#[test]
fn a_hang_up_has_the_files_read_again_and_names_what_has_to_wait() {
    let home = Home::new();
    home.configure("log = \"info\"\n");
    let mut daemon = home.start(&[]);
    let mut reload = |text: &str, words: &str| {
        home.configure(text);
        daemon.signal(Signal::HUP);
        daemon.logs(words)
    };
    reload("log = \"debug\"\n", "the settings were read again changed=\"log\"");
    // only a log that has changed says this
    reload("log = \"debug\"\n", "nothing has changed");
    let waits = reload("log = \"debug\"\nimport_key = \"/k\"\n", "count at the next start");
    assert!(waits.contains("changed=\"import_key\""), "{waits}");
    let refused = reload("lgo = \"error\"\n", "the settings stay as they are");
    assert!(refused.contains("line 1: unknown key `lgo`"), "{refused}");
    reload("log = \"debug\"\n", "nothing has changed");
    assert!(daemon.call("daemon.info", &json!({}))["result"].is_object());
}

/// Asks for `/health/live` under the name of a host: the status.
fn asked_as(address: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /health/live HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn who_may_call_the_port_follows_the_file() {
    let home = Home::new();
    home.configure("[http]\nlisten = \"127.0.0.1:0\"\n");
    let mut daemon = home.start(&[]);
    let address = daemon.said.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert_eq!((asked_as(&address, "localhost"), asked_as(&address, "chat.test")), ("200".into(), "403".into()));
    home.configure("[http]\nlisten = \"127.0.0.1:0\"\nhosts = [\"chat.test\"]\n");
    daemon.signal(Signal::HUP);
    daemon.logs("changed=\"http.hosts\"");
    assert_eq!(asked_as(&address, "chat.test"), "200");
}

#[test]
fn the_service_manager_hears_when_settings_are_read_again() {
    let home = Home::new();
    let path = home.outer.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let hears = || {
        let mut said = [0; 4096];
        let length = manager.recv(&mut said).unwrap();
        String::from_utf8_lossy(&said[..length]).into_owned()
    };
    let daemon = home.start_with(&[], |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    assert!(hears().starts_with("READY=1"));
    daemon.signal(Signal::HUP);
    let reloading = hears();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert!(hears().starts_with("READY=1"));
}

#[test]
fn shells_and_manuals_are_printed_without_a_daemon() {
    let home = Home::new();
    assert!(home.prints(&["man"]).contains(".TH chatd 1"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(home.prints(&["completions", shell]).contains("chatd"), "{shell}");
    }
}

#[test]
fn bash_completes_profiles_by_asking_chatctl_and_a_level_as_no_file() {
    let home = Home::new();
    let script = home.prints(&["completions", "bash"]);
    let programs = tempfile::tempdir().unwrap();
    let chatctl = programs.path().join("chatctl");
    std::fs::write(
        &chatctl,
        "#!/bin/sh\n[ \"$*\" = 'complete -- chatctl --profile ' ] && printf 'default\\nwork\\n'\n",
    )
    .unwrap();
    std::fs::set_permissions(&chatctl, std::fs::Permissions::from_mode(0o755)).unwrap();
    let completed = |words: &str| {
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             _chatd chatd \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
        let answer = std::process::Command::new("bash").args(["-c", &ask]).env("PATH", path).output().unwrap();
        String::from_utf8(answer.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(completed("chatd --profile w"), "work");
    assert_eq!(completed("chatd config --profile d"), "default");
    assert_eq!(completed("chatd --log /et"), "/et");
    assert_eq!(completed("chatd --config /et"), "/etc");
}
