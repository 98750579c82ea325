//! The benchmark measures what it says: `make bench`, on a small scale and without looking at any time.

use std::fs;
use std::process::Command;

use chat_stories::{Process, Stage, binaries};
use serde_json::Value;

fn python(home: &std::path::Path) -> Command {
    let mut command = binaries::tool("python3", home);
    command.current_dir(binaries::repository().join("examples/bench")).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn what_was_measured_becomes_the_report() {
    let stage = Stage::dark();
    let mut command = python(&stage.room("reader"));
    command.args(["-m", "unittest", "discover", "-t", ".", "-s", "tests"]);
    let outcome = Process::run("unittest", command, "");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

#[test]
fn the_benchmark_runs_and_loses_nothing() {
    let stage = Stage::dark();
    let home = stage.room("runner");
    let mut command = python(&home);
    command.args([".", "--scale", "smoke", "--alone", "--growth", "--programs"]).arg(binaries::directory());
    command.arg("--out").arg(home.join("out")).arg("--state").arg(home.join("s"));
    let outcome = Process::run_within("bench", command, "", 10);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);

    let report = fs::read_to_string(home.join("out/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let rows = report["rows"].as_array().unwrap();
    for step in ["room/10/64", "pairs/paced", "store/100", "idle", "drained"] {
        let row = rows.iter().find(|row| row["step"] == step).unwrap_or_else(|| panic!("{step} is missing"));
        let came = row.get("arrived").or(row.get("count")).and_then(Value::as_f64);
        assert!(came > Some(0.0) && row["lost"] == 0, "{row}");
    }
    for judged in report["growth"].as_array().unwrap() {
        assert!(judged["grows"].is_string(), "not measured: {judged}");
    }
    let text = fs::read_to_string(home.join("out/report.md")).unwrap();
    assert!(text.contains("| durable store, W=1: server CPU |"), "{text}");
}
