//! What packages and shells want of a program: completions and manual pages, made from its command line.
//!
//! One place for all programs: what the generators do wrong is mended here once. No page refers to one that
//! [`manual`] does not make.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
pub use clap_complete::Shell;
use thiserror::Error;

/// The completions of a shell for a program of this name.
#[must_use]
pub fn completions(mut program: Command, shell: Shell) -> Vec<u8> {
    let (name, mut script) = (program.get_name().to_owned(), Vec::new());
    clap_complete::generate(shell, &mut program, &name, &mut script);
    if shell == Shell::Bash { same_labels(&name, script) } else { script }
}

/// clap_complete 4.6 remembers the way to a verb under one name and looks its options up under another, as soon as the
/// program's own has a hyphen: nothing was completed behind it.
fn same_labels(name: &str, script: Vec<u8>) -> Vec<u8> {
    let (looked_up, remembered) = (name.replace('-', "__subcmd__"), name.replace('-', "__"));
    match String::from_utf8(script) {
        Ok(script) => script.replace(&looked_up, &remembered).into_bytes(),
        Err(unchanged) => unchanged.into_bytes(),
    }
}

/// Which manual pages are wanted.
#[derive(Clone, Debug, Args)]
pub struct Wanted {
    /// Of this verb
    #[arg(conflicts_with = "all")]
    pub verb: Vec<String>,
    /// Write every page into this directory
    #[arg(long, value_name = "DIR", value_parser = crate::named::named())]
    pub all: Option<PathBuf>,
}

/// Why there is no page.
#[derive(Debug, Error)]
pub enum ManualError {
    /// The program has no such verb.
    #[error("there is no verb {0}")]
    NoVerb(String),
    /// The system refuses.
    #[error("the manual cannot be written")]
    Io(#[from] io::Error),
}

/// The manual page that is wanted; nothing where all are, which are written into their directory.
///
/// # Errors
/// [`ManualError`].
pub fn manual(program: Command, wanted: &Wanted) -> Result<Vec<u8>, ManualError> {
    let mut command = program.disable_help_subcommand(true);
    // gives every verb the name its page has; `help`, which prints pages, has none
    command.build();
    if let Some(directory) = &wanted.all {
        std::fs::create_dir_all(directory)?;
        write(command, directory)?;
        return Ok(Vec::new());
    }
    for word in &wanted.verb {
        let found = command.find_subcommand(word).cloned();
        command = found.ok_or_else(|| ManualError::NoVerb(wanted.verb.join(" ")))?;
    }
    Ok(rendered(command)?.1)
}

fn write(command: Command, directory: &Path) -> io::Result<()> {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        write(verb.clone(), directory)?;
    }
    let (file, page) = rendered(command)?;
    std::fs::write(directory.join(file), page)
}

/// A page and the name of its file. Words are left whole: a hyphen in the middle of an option or a path is read as
/// part of it.
fn rendered(command: Command) -> io::Result<(String, Vec<u8>)> {
    let page = clap_mangen::Man::new(command);
    let (mut text, file) = (Vec::new(), page.get_filename());
    page.render(&mut text)?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    let lines = text.split_inclusive('\n').flat_map(|line| {
        let rule = if line.starts_with(".TH ") { ".nh\n.ad l\n" } else { "" };
        [line, rule]
    });
    Ok((file, lines.collect::<String>().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Command {
        let passwd = Command::new("passwd").about("Set it").arg(clap::Arg::new("stdin").long("stdin-only"));
        let user = Command::new("user").about("Look after them").subcommand(passwd);
        let hidden = Command::new("complete-name").hide(true);
        Command::new("some-server").about("Serve").subcommands([user, Command::new("change-key"), hidden])
    }

    #[test]
    fn every_page_that_is_named_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let of = |verb: &[&str]| Wanted { verb: verb.iter().map(|&word| word.to_owned()).collect(), all: None };
        manual(program(), &Wanted { all: Some(dir.path().join("new")), ..of(&[]) }).unwrap();
        let dir = dir.path().join("new");
        let mut made: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|page| page.unwrap().path()).collect();
        made.sort();
        let names: Vec<_> = made.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(
            names,
            ["some-server-change-key.1", "some-server-user-passwd.1", "some-server-user.1", "some-server.1"]
        );
        let mut named = 0;
        for page in &made {
            let text = std::fs::read_to_string(page).unwrap().replace("\\-", "-");
            for word in text.split_whitespace().filter_map(|word| word.strip_suffix("(1)")) {
                assert!(names.contains(&format!("{word}.1").as_str()), "{word} in {}", page.display());
                named += 1;
            }
            assert!(text.contains("\n.nh\n"), "{}", page.display());
        }
        assert_eq!(named, 3);
        assert_eq!(manual(program(), &of(&[])).unwrap(), std::fs::read(dir.join("some-server.1")).unwrap());
        assert_eq!(manual(program(), &of(&["user", "passwd"])).unwrap(), std::fs::read(&made[1]).unwrap());
        let nothing = manual(program(), &of(&["nothing"])).unwrap_err();
        assert_eq!(nothing.to_string(), "there is no verb nothing");
    }

    /// What bash completes after these words.
    fn completed(words: &str) -> String {
        let script = String::from_utf8(completions(program(), Shell::Bash)).unwrap();
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             _some__server some-server \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let answer = std::process::Command::new("bash").args(["-c", &ask]).output().unwrap();
        String::from_utf8(answer.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn bash_completes_options_and_verbs_of_every_depth_in_a_program_with_a_hyphen() {
        assert_eq!(completed("some-server us"), "user");
        assert_eq!(completed("some-server change-key --he"), "--help");
        assert_eq!(completed("some-server user pa"), "passwd");
        assert_eq!(completed("some-server user passwd --st"), "--stdin-only");
    }
}
