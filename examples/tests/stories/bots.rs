//! The Python package and its bots, on the real programs: killed where it hurts, they answer everything once.

use std::fs;
use std::process::Command;

use chat_stories::{Process, binaries};

/// A Python that knows nothing of the tester's own, and leaves nothing beside the sources.
fn python() -> Command {
    let mut command = Command::new("python3");
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("PYTHONDONTWRITEBYTECODE", "1");
    command.current_dir(binaries::repository().join("examples/python"));
    command
}

#[test]
fn the_package_passes_its_own_tests() {
    let tests = binaries::repository().join("examples/python/tests");
    let names = fs::read_dir(tests).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut modules: Vec<_> = names.filter(|name| name.starts_with("test_") && name.ends_with(".py")).collect();
    modules.sort();
    assert!(!modules.is_empty());
    for module in modules {
        let mut command = python();
        command.args(["-m", "unittest", &format!("tests.{}", module.trim_end_matches(".py"))]);
        let outcome = Process::run(&module, command, "");
        assert_eq!(outcome.code, Some(0), "{module}:\n{}", outcome.stderr);
    }
}
