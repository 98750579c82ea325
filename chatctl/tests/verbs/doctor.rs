//! Each of the usual mistakes is found, and told with the command that mends it.

use std::os::unix::fs::PermissionsExt;

use chat_protocol::rpc::events::{ConnectionChanged, Skew};
use chat_protocol::rpc::types::ConnectionState;

use super::service::Home;
use super::*;

/// Findings as `(ok, what, fix)`.
fn findings(mut command: Command) -> Vec<(bool, String, String)> {
    let output = command.arg("--json").output().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let read = |finding: Value| (finding["ok"] == true, text(&finding["what"]), text(&finding["fix"]));
    let found: Vec<_> = lines.lines().map(parse).map(read).collect();
    let wrong = found.iter().any(|(ok, ..)| !ok);
    assert_eq!(output.status.code(), Some(i32::from(wrong)), "{lines}");
    found
}

/// A daemon in good order, and a home for what else is looked at.
fn healthy() -> (Served, Home) {
    let (served, home) = (serve(), Home::new());
    let data = served.path.parent().unwrap().to_str().unwrap().to_owned();
    served.fake.state().info.data_dir = data;
    served.fake.state().info.pid = u32::MAX;
    (served, home)
}

fn examine(served: &Served, home: &Home) -> Vec<(bool, String, String)> {
    let mut command = home.command(&["doctor"]);
    command.env("CHATD_SOCKET", &served.path);
    findings(command)
}

/// The one thing that is wrong, and what mends it.
fn wrong(served: &Served, home: &Home) -> (String, String) {
    let mut bad: Vec<_> = examine(served, home).into_iter().filter(|(ok, ..)| !ok).collect();
    assert_eq!(bad.len(), 1, "{bad:#?}");
    let (_, what, fix) = bad.remove(0);
    (what, fix)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_daemon_has_nothing_wrong() {
    let (served, home) = healthy();
    let found = examine(&served, &home);
    assert!(found.iter().all(|(ok, ..)| *ok), "{found:#?}");
    assert!(found.iter().any(|(_, what, _)| what == "chatd and chatctl have the same version"));
    let (_, out, _) = run(&served, &["doctor"]);
    assert!(out.starts_with("ok     chatd 0.1.0 runs as process "), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_not_there_is_told_with_its_start() {
    let home = Home::new();
    let found = findings(home.command(&["doctor", "--socket", "/nonexistent/x.sock"]));
    assert_eq!(found[0].2, "start it with `chatd`, or `systemctl --user start chatd`");
    let mut foreign = home.command(&["doctor", "--socket", "/nonexistent/x.sock"]);
    foreign.env("XDG_RUNTIME_DIR", "/nonexistent");
    let found = findings(foreign);
    assert!(found[1].1.starts_with("XDG_RUNTIME_DIR is /nonexistent, which is not"), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_daemon_after_an_upgrade_is_found() {
    let (served, home) = healthy();
    served.fake.state().info.version = "0.0.9".to_owned();
    let (what, fix) = wrong(&served, &home);
    assert_eq!(what, format!("chatctl is {}, chatd is 0.0.9", env!("CARGO_PKG_VERSION")));
    assert!(fix.ends_with("systemctl --user restart chatd"), "{fix}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_was_replaced_under_a_running_daemon_is_found() {
    let (served, home) = healthy();
    let copy = home.path("bin/old-chatd");
    std::fs::copy("/bin/sleep", &copy).unwrap();
    let mut old = std::process::Command::new(&copy).arg("600").spawn().unwrap();
    std::fs::remove_file(&copy).unwrap();
    served.fake.state().info.pid = old.id();
    let (what, fix) = wrong(&served, &home);
    old.kill().unwrap();
    old.wait().unwrap();
    assert!(what.contains("/bin/old-chatd was replaced"), "{what}");
    assert!(fix.starts_with("systemctl --user restart chatd"), "{fix}");
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_that_are_too_open_are_found() {
    let (served, home) = healthy();
    let data = served.path.parent().unwrap().to_owned();
    let key = data.join("key");
    std::fs::write(&key, "x").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(wrong(&served, &home).1, format!("chmod 600 {}", key.display()));
    std::fs::remove_file(&key).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(wrong(&served, &home).1, format!("chmod 700 {}", data.display()));
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    // the directory of the socket is another one when there is a runtime directory
    let elsewhere = home.path("data");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o700)).unwrap();
    served.fake.state().info.data_dir = elsewhere.to_str().unwrap().to_owned();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o711)).unwrap();
    assert_eq!(wrong(&served, &home).1, format!("chmod 700 {}", data.display()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_found_until_it_was_mended() {
    let (served, home) = healthy();
    // told once by an event, but true at every connection
    served.fake.append(None, &EventBody::ClockSkew(Skew { offset_ms: -400 * 86_400_000 }));
    served.fake.state().health.connection.clock_offset_ms = Some(-400 * 86_400_000);
    for _connection in 0..2 {
        let change =
            ConnectionChanged { state: ConnectionState::Online, reason: None, trouble: None, next_retry_ms: None };
        served.fake.append(None, &EventBody::Connection(change));
        let (what, fix) = wrong(&served, &home);
        assert_eq!(what, "this machine's clock is 400 days ahead of the server's");
        assert!(fix.starts_with("timedatectl set-ntp true"), "{fix}");
    }
    for (offset_ms, said) in [(7_200_000, "2 hours behind"), (-5_400_000, "90 minutes ahead of")] {
        served.fake.state().health.connection.clock_offset_ms = Some(offset_ms);
        assert_eq!(wrong(&served, &home).0, format!("this machine's clock is {said} the server's"));
    }
    served.fake.state().health.connection.clock_offset_ms = Some(3_000_000);
    assert!(examine(&served, &home).iter().all(|(ok, ..)| *ok));
    served.fake.state().health.connection.clock_offset_ms = None;
    assert!(examine(&served, &home).iter().all(|(_, what, _)| !what.contains("clock")), "nothing was compared");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_not_ready_says_why() {
    let (served, home) = healthy();
    let mut state = served.fake.state();
    state.health.ready = false;
    state.health.connection.reason = Some("the disk is full".to_owned());
    drop(state);
    assert!(wrong(&served, &home).0.ends_with("chatd is not ready: the disk is full"));
    served.fake.state().health.connection.state = ConnectionState::Offline;
    assert_eq!(wrong(&served, &home).0, "offline to chat.example:8897: the disk is full");
    served.fake.state().health.store.locked = true;
    assert_eq!(wrong(&served, &home).1, "chatd --passphrase");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_of_the_profile_is_found() {
    let (served, home) = healthy();
    let second = serve();
    second.fake.state().info.pid = 4242;
    let place = home.path("run/chatd");
    std::fs::create_dir_all(&place).unwrap();
    std::os::unix::fs::symlink(&second.path, place.join("default.sock")).unwrap();
    let look = |asked: &std::path::Path| {
        let mut command = home.command(&["doctor"]);
        command.env("CHATD_SOCKET", asked).env("XDG_RUNTIME_DIR", home.path("run"));
        findings(command).into_iter().filter(|(ok, ..)| !ok).collect::<Vec<_>>()
    };
    let two = look(&served.path);
    assert_eq!(two.len(), 1, "{two:#?}");
    assert!(two[0].1.starts_with("another chatd of profile default runs: process 4242"), "{two:#?}");
    assert!(two[0].2.starts_with("chatctl --socket ") && two[0].2.ends_with("not wanted: kill 4242"), "{two:#?}");
    let lost = look(&home.path("nowhere.sock"));
    assert!(lost.iter().any(|(_, what, _)| what.starts_with("chatd of profile default listens on ")), "{lost:#?}");
    second.fake.state().info.profile = "work".to_owned();
    assert!(look(&served.path).is_empty(), "another profile is another matter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_daemon_beside_the_one_whose_data_were_named_is_left_alone() {
    let (own, home) = healthy();
    let normal = serve();
    normal.fake.state().info.pid = 4242;
    home.file(".config/systemd/user/chatd.service", "");
    home.file("linger", "Linger=yes\n");
    let place = home.path("run/chatd");
    std::fs::create_dir_all(&place).unwrap();
    std::os::unix::fs::symlink(&normal.path, place.join("default.sock")).unwrap();
    let data = own.path.parent().unwrap().to_owned();
    let look = || {
        let mut command = home.command(&["doctor", "--data-dir", data.to_str().unwrap()]);
        command.env("XDG_RUNTIME_DIR", home.path("run"));
        findings(command).into_iter().filter(|(ok, ..)| !ok).collect::<Vec<_>>()
    };
    assert_eq!(look(), []);
    std::fs::remove_file(&own.path).unwrap();
    let lost = look();
    assert!(!lost.is_empty() && lost.iter().all(|(.., fix)| !fix.contains("4242")), "{lost:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_of_another_profile_in_the_place_of_ours_is_found() {
    let (served, home) = healthy();
    served.fake.state().info.profile = "work".to_owned();
    let place = home.path("run/chatd");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink(&served.path, place.join("default.sock")).unwrap();
    let mut command = home.command(&["doctor"]);
    command.env("XDG_RUNTIME_DIR", home.path("run"));
    let bad: Vec<_> = findings(command).into_iter().filter(|(ok, ..)| !ok).collect();
    assert!(bad.len() == 1 && bad[0].1.ends_with("is of profile work, not default"), "{bad:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ends_with_the_login_or_is_not_the_one_that_answers_is_found() {
    let (served, home) = healthy();
    home.file(".config/systemd/user/chatd.service", "");
    served.fake.state().info.pid = 7;
    assert!(examine(&served, &home).iter().any(|(ok, what, _)| *ok && what == "the service chatd runs"));
    home.file("linger", "Linger=no\n");
    assert_eq!(
        wrong(&served, &home),
        ("the service chatd ends when you log out".to_owned(), "loginctl enable-linger".to_owned())
    );
    home.file("linger", "Linger=yes\n");
    served.fake.state().info.pid = u32::MAX;
    let (what, fix) = wrong(&served, &home);
    assert!(what.ends_with("another chatd, answers"), "{what}");
    assert_eq!(fix, format!("kill {}; systemctl --user restart chatd", u32::MAX));
}
