//! `.env` is read as the library of the first application reads it: by the same table of files, and by generated ones.

use std::collections::BTreeMap;

use chat_server::config::dotenv::Dotenv;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::support::python;

const GENERATED: usize = 4_000;
const NAMES: [&str; 6] = ["DB_PASSWORD", "DB_HOST", "A", "export", "n", "\u{feff}A"];
/// Values by name, and the lines of what cannot be read.
type Answer = (BTreeMap<String, Option<String>>, Vec<usize>);

/// What the library makes of each file: its names and values, and the lines of what it cannot read.
const READ: &str = r#"
import io, json, logging, os, sys
from dotenv.main import DotEnv
from dotenv.parser import parse_stream
logging.disable()
os.environ.clear()
os.environ["OUTER"] = "outer ${A}"
def stream(text):
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
files = json.load(open(sys.argv[1], encoding="utf-8"))
print(json.dumps([[DotEnv(None, stream=stream(text), override=False).dict(),
    [each.original.line for each in parse_stream(stream(text)) if each.error]] for text in files]))
"#;

fn table() -> Vec<String> {
    let values = [
        "simple",
        "abc#def",
        "'p#ss w\"rd$HOME'",
        "pa$word",
        "\"pa$word\"",
        "two words",
        "it's",
        "back\\slash",
        "\"a\\\"b\"",
        "'a\\'b\\\\'",
        "\"a\\nb\\tc\\qd\\\\\"",
        "'a\\nb'",
        "\"two\nlines\"",
        "'two\r\nlines' # c",
        "x # comment",
        "x#y # c",
        "# c",
        "#c",
        "",
        "\"\"",
        "''",
        "\"open",
        "'open",
        "\"a\"b",
        "'a' b",
        "${A}",
        "'${A}'",
        "\"${A:-d}\"",
        "${OUTER}",
        "${NONE:-x y}",
        "${NONE:-}",
        "${",
        "${A",
        "${A:x}",
        "$A",
        "$${A}",
        "a\u{a0}#b",
        "é\u{2028}x",
        "a\\",
        "\"a\\\\\"",
        "=b",
        "a=b",
        " padded ",
    ];
    let lines = values.iter().map(|value| format!("A=first\nDB_PASSWORD={value}\nDB_HOST=db\n"));
    let files = [
        "\u{feff}A=1\n",
        "A=1\rDB_HOST=2\r\nn=3",
        "export A=1\nexport  DB_HOST = 2\nexport=3\nexport\n",
        "'A'=1\n'n' = 2\n",
        "DEBUG\nmy-var=1\nCONF={\"a\": 1}\nMOTD=it's me\nA=1",
        "A=1\nA=2\nDB_HOST=${A}\nA\nn=${A}\n",
        " A = 1 \n\n\n\tn=2",
        "A: 1\nn=1",
        "not a line\nDB_HOST=1",
        "A='x\nDB_HOST=1\nn='y'",
        "A\n#c\n  # c\nn=1 #",
        "DB_HOST='a\\'\nA=1\n",
        "=1\n==\nA=1",
    ];
    lines.chain(files.map(str::to_owned)).collect()
}

const PIECES: [&str; 36] = [
    "DB_PASSWORD=",
    "DB_PASSWORD=",
    "DB_PASSWORD=",
    "A=",
    "\n",
    "DB_PASSWORD=",
    "A=",
    "\n",
    "\r\n",
    "\r",
    "=",
    " ",
    "\t",
    "'",
    "\"",
    "\\",
    "#",
    "$",
    "${A}",
    "${",
    "}",
    ":-",
    "export ",
    "n",
    "DB_HOST",
    "é",
    "\u{a0}",
    "\u{1c}",
    "\u{2028}",
    "\u{feff}",
    "\\n",
    "word",
    " # ",
    "${OUTER}",
    "\u{b}",
    "\u{85}",
];

/// Files out of the pieces that mean something to it.
fn generated() -> Vec<String> {
    let files = proptest::collection::vec(proptest::sample::select(&PIECES), 0..14).prop_map(|pieces| pieces.concat());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    (0..GENERATED).map(|_| files.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn every_file_is_read_as_python_dotenv_reads_it() {
    let files = [table(), generated()].concat();
    let input = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&input, &files).unwrap();
    let answers = python(READ, &[input.path().to_str().unwrap()]);
    let answers: Vec<Answer> = serde_json::from_str(&answers).unwrap();
    assert_eq!(answers.len(), files.len());
    let (mut values, mut unread) = (0, 0);
    for (file, (theirs, errors)) in files.iter().zip(answers) {
        let ours = Dotenv::read(file.as_bytes(), |name| (name == "OUTER").then(|| "outer ${A}".to_owned()));
        for name in theirs.keys().map(String::as_str).chain(NAMES) {
            let wanted = theirs.get(name).and_then(Option::as_deref);
            assert_eq!(ours.get(name), wanted, "{name} in {file:?}");
            values += usize::from(wanted.is_some());
        }
        assert_eq!(ours.unread().len(), errors.len(), "{file:?}");
        unread += errors.len();
    }
    assert!(
        values > GENERATED / 2 && unread > GENERATED / 10,
        "{values} values and {unread} errors are worth comparing"
    );
}
