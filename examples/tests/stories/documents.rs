//! The documents are true: every snippet in them is run, and what they say will be seen is seen.

use std::fs;

use chat_stories::binaries;
use chat_stories::documents::{self, Block, Reader};
use serde_json::Value;

/// Every document: `new` ones can be followed by somebody who has nothing yet, `settled` ones by somebody who has been
/// through the top README, and those without a test have nothing to follow.
macro_rules! documents {
    (followed { $($test:ident: $reader:ident $path:literal)* } read { $($read:literal)* }) => {
        const DOCUMENTS: &[&str] = &[$($path,)* $($read,)*];
        const READ: &[&str] = &[$($read),*];
        $(
            #[test]
            fn $test() {
                follow($path, stringify!($reader) == "settled");
            }
        )*
    };
}

documents! {
    followed {
        the_readme_can_be_followed: new "README.md"
        the_readme_of_chatd_can_be_followed: settled "chatd/README.md"
        the_readme_of_the_server_can_be_followed: new "server/README.md"
        the_readme_of_the_window_can_be_followed: settled "examples/desktop/README.md"
        the_readme_of_the_python_package_can_be_followed: settled "examples/python/README.md"
    }
    read {
        "BENCHMARKS.md"
        "CHANGELOG.md"
        "CONTRIBUTING.md"
        "SECURITY.md"
        "chatctl/README.md"
        "protocol/PROTOCOL.md"
        "protocol/tests/fixtures/README.md"
    }
}

fn follow(document: &str, settled: bool) {
    let outcome = Reader::new().follow(document, settled);
    assert_eq!(outcome.code, Some(0), "{document}:\n{}\n{}", outcome.stdout, outcome.stderr);
    assert!(documents::refusals(&outcome).is_empty(), "{document}:\n{}", outcome.stdout);
}

fn blocks(document: &str) -> Vec<Block> {
    documents::blocks(&fs::read_to_string(binaries::repository().join(document)).unwrap())
}

#[test]
fn no_document_is_forgotten() {
    let mut known: Vec<_> = DOCUMENTS.iter().map(|path| (*path).to_owned()).collect();
    known.sort();
    assert_eq!(documents::all(), known);
}

#[test]
fn no_block_is_left_out_without_a_reason() {
    for document in DOCUMENTS {
        for block in blocks(document) {
            let place = format!("{document}:{}", block.line);
            let (language, excused) = (block.language.as_str(), block.excuse.is_some());
            assert!(language != "text" || !excused, "{place}: nobody would run it; the comment can go");
            let run = matches!(language, "sh" | "python" | "json" | "text");
            assert!(run || excused, "{place}: nobody runs `{language}`; say why above it: <!-- not run: … -->");
            let followed = !matches!(language, "sh" | "python") || !READ.contains(document);
            assert!(followed || excused, "{place}: no test follows {document}");
        }
    }
}

#[test]
fn no_command_hides_in_what_is_not_run() {
    const PROGRAMS: [&str; 6] = ["chatctl ", "chatd ", "chat-server ", "make ", "python3 ", "curl "];
    for document in DOCUMENTS {
        for block in blocks(document).iter().filter(|block| block.language == "text") {
            let command = block.lines.iter().find(|line| {
                let line = line.trim_start().trim_start_matches("$ ");
                PROGRAMS.iter().any(|program| line.starts_with(program))
            });
            assert_eq!(command, None, "{document}:{}: this is `sh`", block.line);
        }
    }
}

#[test]
fn json_in_the_documents_is_json() {
    for document in DOCUMENTS {
        for block in blocks(document).iter().filter(|block| block.language == "json") {
            for value in serde_json::Deserializer::from_str(&block.lines.join("\n")).into_iter::<Value>() {
                assert!(value.is_ok(), "{document}:{}: {value:?}", block.line);
            }
        }
    }
}

/// What the map shows, as paths: directories end with a slash, as do the modules of a file and a directory.
fn map() -> Vec<String> {
    let is_map = |block: &Block| block.lines.first().is_some_and(|line| line.starts_with("protocol/ "));
    let map = blocks("README.md").into_iter().find(is_map).expect("a map");
    let mut shown = Vec::new();
    let mut top = "";
    for line in &map.lines {
        if let Some(inside) = line.strip_prefix("  ") {
            let names = inside.split("  ").next().unwrap_or_default().split_whitespace();
            shown.extend(names.map(|name| place(top, name)));
        } else {
            let mut names = line.split([' ', ',']).filter(|word| word.ends_with('/'));
            top = names.next().expect("a line of the map begins with a directory");
            shown.push(top.to_owned());
            shown.extend(names.map(|name| place(top, name)));
        }
    }
    shown.into_iter().map(|path| path.replace(".rs", "/")).collect()
}

/// Where something of a package is.
fn place(top: &str, name: &str) -> String {
    let there = |path: &String| binaries::repository().join(path).exists();
    let place = [format!("{top}src/{name}"), format!("{top}{name}")].into_iter().find(there);
    place.unwrap_or_else(|| panic!("README.md: the map shows {name} in {top}, and it is not there"))
}

fn directories(inside: &str) -> Vec<String> {
    let entries = fs::read_dir(binaries::repository().join(inside)).unwrap().map(Result::unwrap);
    let names = entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap());
    let ours = names.filter(|name| !name.starts_with('.') && name != "target");
    ours.map(|name| format!("{inside}{name}/")).collect()
}

#[test]
fn the_map_shows_what_is_there() {
    let map = map();
    for inside in ["", "examples/", "protocol/src/", "server/src/", "chatd/src/", "chatctl/src/"] {
        for directory in directories(inside) {
            assert!(map.contains(&directory), "README.md: the map lacks {directory}");
        }
    }
}

/// The words of a heading, as GitHub makes a fragment of them.
fn fragment(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn no_link_leads_nowhere() {
    for document in DOCUMENTS {
        let path = binaries::repository().join(document);
        let text = fs::read_to_string(&path).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in links.filter(|link| !link.starts_with("http")) {
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{document}: {link}");
            let there = |text: String| text.lines().any(|line| line.starts_with('#') && fragment(line) == part);
            assert!(part.is_empty() || there(fs::read_to_string(target).unwrap()), "{document}: {link}");
        }
    }
}

#[test]
fn a_line_is_typed_as_its_comment_says() {
    let text = "```sh\nchatd &  # says `ready`\nfalse || echo 66   # 66: not there\nchatctl listen\ntrue\n```\n";
    let script = documents::script(text, true);
    let lines: Vec<_> = script.lines().collect();
    let expected = ["", "start 2 'chatd' 'ready'", "promised 3 'false || echo 66' '66' 'not there'"];
    assert_eq!(lines, [&expected[..], &["elsewhere 4 'chatctl listen'", "true", ""]].concat());
}
