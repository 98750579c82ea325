//! What packages and shells want of a program: completions and manual pages, made from its command line.
//!
//! One place for all programs: what the generators do wrong is mended here once. No page refers to one that
//! [`manual`] does not make.

use std::any::TypeId;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, Args, Command, ValueHint};
pub use clap_complete::Shell;
use thiserror::Error;

/// The completions of a shell for a program of this name.
#[must_use]
pub fn completions(program: Command, shell: Shell) -> Vec<u8> {
    let (name, mut script) = (program.get_name().to_owned(), Vec::new());
    let mut program = hinted(program);
    clap_complete::generate(shell, &mut program, &name, &mut script);
    if shell == Shell::Bash { same_labels(&name, script) } else { script }
}

/// Only an option that names a file is completed as one: a name, a number or a time never is. Places stay as they are:
/// where one is completed as nothing, zsh offers no options either.
fn hinted(command: Command) -> Command {
    let names_file = |arg: &Arg| arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let is_open = |arg: &Arg| {
        arg.get_value_hint() == ValueHint::Unknown && arg.get_action().takes_values() && !arg.is_positional()
    };
    let hint = |arg: Arg| if is_open(&arg) && !names_file(&arg) { arg.value_hint(ValueHint::Other) } else { arg };
    let verbs: Vec<_> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let command = command.mut_args(hint);
    verbs.into_iter().fold(command, |command, verb| command.mut_subcommand(verb, hinted))
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
    let source = format!("{} {}", program.get_name(), program.get_version().unwrap_or_default());
    let mut command = program.disable_help_subcommand(true);
    // gives every verb the name its page has; `help`, which prints pages, has none
    command.build();
    if let Some(directory) = &wanted.all {
        std::fs::create_dir_all(directory)?;
        write(command, &source, directory)?;
        return Ok(Vec::new());
    }
    let found = named(&command, &wanted.verb).ok_or_else(|| ManualError::NoVerb(wanted.verb.join(" ")))?;
    Ok(rendered(found.clone(), &source)?.1)
}

/// The verb of these words, or of the one that its page is called by: `requests accept`, `chatctl-requests-accept`, or that
/// without the program in front.
fn named<'c>(program: &'c Command, words: &[String]) -> Option<&'c Command> {
    let said = words.join("-");
    match said.strip_prefix(program.get_name()) {
        Some("") => Some(program),
        Some(rest) => below(program, rest.strip_prefix('-').unwrap_or(&said)),
        None => below(program, &said),
    }
}

fn below<'c>(command: &'c Command, page: &str) -> Option<&'c Command> {
    if page.is_empty() {
        return Some(command);
    }
    command.get_subcommands().find_map(|verb| {
        let rest = page.strip_prefix(verb.get_name())?;
        if rest.is_empty() { Some(verb) } else { below(verb, rest.strip_prefix('-')?) }
    })
}

fn write(command: Command, source: &str, directory: &Path) -> io::Result<()> {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        write(verb.clone(), source, directory)?;
    }
    let (file, page) = rendered(command, source)?;
    std::fs::write(directory.join(file), page)
}

/// A page and the name of its file. Words are left whole: a hyphen in the middle of an option or a path is read as
/// part of it. The options have their values where they are explained; a synopsis of all of them would have none.
fn rendered(mut command: Command, source: &str) -> io::Result<(String, Vec<u8>)> {
    let usage = command.render_usage().to_string();
    let command = command.override_usage(usage.trim_start_matches("Usage:").trim().to_owned());
    let page = clap_mangen::Man::new(command).source(source);
    let (mut text, file) = (Vec::new(), page.get_filename());
    page.render(&mut text)?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    let lines = text.split_inclusive('\n').flat_map(|line| {
        let rule = if line.starts_with(".TH ") { ".nh\n.ad l\n" } else { "" };
        [if line == ".SH EXTRA\n" { ".SH NOTES\n" } else { line }, rule]
    });
    Ok((file, lines.collect::<String>().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Command {
        let passwd = Command::new("passwd").about("Set it").after_help("What else to know").args([
            Arg::new("stdin").long("stdin-only").value_name("N"),
            Arg::new("file").long("file").value_parser(clap::value_parser!(PathBuf)),
            Arg::new("name").value_name("NAME").required(true),
        ]);
        let user = Command::new("user").about("Look after them").subcommand(passwd);
        let hidden = Command::new("complete-name").hide(true);
        Command::new("some-server").version("1.0").about("Serve").subcommands([
            user,
            Command::new("change-key"),
            hidden,
        ])
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
            assert!(text.contains("\n.nh\n") && text.contains("\"some-server 1.0\""), "{text}");
            assert!(!text.contains("EXTRA"), "{text}");
        }
        assert_eq!(named, 3);
        let page = String::from_utf8(manual(program(), &of(&["user", "passwd"])).unwrap()).unwrap().replace("\\-", "-");
        assert!(page.contains(".SH SYNOPSIS\n\\fBsome-server user passwd\\fR [OPTIONS] <NAME>\n"), "{page}");
        assert!(page.contains(".SH NOTES\nWhat else to know"), "{page}");
        assert_eq!(manual(program(), &of(&[])).unwrap(), std::fs::read(dir.join("some-server.1")).unwrap());
        assert_eq!(manual(program(), &of(&["user", "passwd"])).unwrap(), std::fs::read(&made[1]).unwrap());
        for (page, of_page) in
            [("user-passwd", 1), ("some-server-user-passwd", 1), ("change-key", 0), ("some-server", 3)]
        {
            assert_eq!(manual(program(), &of(&[page])).unwrap(), std::fs::read(&made[of_page]).unwrap(), "{page}");
        }
        for nobody in [&["user-nothing"][..], &["userpasswd"], &["user", "passwd", "more"], &["some-serveruser"]] {
            assert!(manual(program(), &of(nobody)).is_err(), "{nobody:?}");
        }
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
        assert_eq!(completed("some-server user passwd --file /et"), "/etc");
        assert_eq!(completed("some-server user passwd --stdin-only /et"), "/et", "a number is no file");
    }
}
