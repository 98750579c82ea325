//! What people see on a terminal, and scripts do not.

use super::*;

/// chatctl on a terminal of its own, by script(1).
fn on_a_terminal(served: &Served, args: &[&str], variables: &[(&str, &str)]) -> String {
    let words: Vec<_> = args.iter().map(|word| format!("'{word}'")).collect();
    let line = format!("stty cols 60 rows 20; '{}' {}", env!("CARGO_BIN_EXE_chatctl"), words.join(" "));
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).stdin(std::process::Stdio::null());
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("TERM", "xterm");
    command.env("CHATD_SOCKET", &served.path).envs(variables.iter().copied());
    String::from_utf8(command.output().unwrap().stdout).unwrap().replace('\r', "")
}

/// The same, and what is typed there once a question stands: what is shown of it is no echo of ours.
pub(crate) fn typed(served: &Served, args: &[&str], keys: &str) -> String {
    let words: Vec<_> = args.iter().map(|word| format!("'{word}'")).collect();
    let line = format!("'{}' {}", env!("CARGO_BIN_EXE_chatctl"), words.join(" "));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).write_stdin(keys);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("TERM", "xterm");
    command.env("CHATD_SOCKET", &served.path);
    String::from_utf8(command.output().unwrap().stdout).unwrap().replace('\r', "")
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_columns_and_scripts_the_lines_they_know() {
    let served = serve();
    says(&served, &["contact", "set", "@bob", "--alias", "Bobby", "--note", "tea"]);
    says(&served, &["contact", "block", "@caroline"]);
    assert_eq!(
        on_a_terminal(&served, &["contact", "list"], &[("NO_COLOR", "1")]),
        "USER       ALIAS  NOTE\n@bob       Bobby  tea\n@caroline               blocked\n"
    );
    assert_eq!(says(&served, &["contact", "list"]), "@bob  alias: Bobby  note: tea\n@caroline  blocked\n");
    served.fake.state().online.extend(["bob".to_owned(), "alice".to_owned()]);
    assert_eq!(on_a_terminal(&served, &["who"], &[("NO_COLOR", "1")]), "alice  (you)\nbob\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn colour_is_for_terminals_that_want_it() {
    let served = serve();
    served.fake.state().online.insert("bob".to_owned());
    let coloured = |args: &[&str], variables: &[(&str, &str)]| {
        on_a_terminal(&served, &[&["who"], args].concat(), variables).contains('\u{1b}')
    };
    assert!(coloured(&[], &[]));
    assert!(!coloured(&[], &[("NO_COLOR", "1")]));
    assert!(!coloured(&[], &[("TERM", "dumb")]));
    assert!(!coloured(&[], &[("CLICOLOR", "0")]));
    assert!(!coloured(&["--color", "never"], &[]));
    assert!(coloured(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(!says(&served, &["status"]).contains('\u{1b}'), "a pipe is no terminal");
    let mut forced = at(&served, &["doctor"]);
    let output = forced.env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains('\u{1b}'), "it was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn atk_61_on_a_terminal_nobody_writes_in_the_place_of_another() {
    let served = serve();
    let spaces = " ".repeat(80);
    served.fake.receive("bob", &format!("\u{1b}[2Jred{spaces}22:13Z alice: no\n22:13Z alice: yes\u{202e}"));
    for verb in [&["history", "@bob"][..], &["search", "red"]] {
        let shown = on_a_terminal(&served, verb, &[("NO_COLOR", "1")]);
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
        assert!(!shown.lines().any(|line| line.starts_with("22:13Z alice")), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() < 60), "{shown}");
    }
}
