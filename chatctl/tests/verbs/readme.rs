//! The README's table of verbs is the program's: nothing is missing in it, and nothing in it is not there.

use std::collections::BTreeSet;

use clap::CommandFactory;

/// Every verb, and `VERB BELOW` for what is below one.
fn offered(tree: &clap::Command) -> BTreeSet<String> {
    let shown = |command: &&clap::Command| !command.is_hide_set() && command.get_name() != "help";
    let mut names = BTreeSet::new();
    for verb in tree.get_subcommands().filter(shown) {
        let below: Vec<_> = verb.get_subcommands().filter(shown).collect();
        // one that does nothing by itself is named by what is below it
        if below.is_empty() || !verb.is_subcommand_required_set() {
            names.insert(verb.get_name().to_owned());
        }
        names.extend(below.iter().map(|below| format!("{} {}", verb.get_name(), below.get_name())));
    }
    names
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The words of one, without brackets and quotes.
fn words(code: &str) -> Vec<&str> {
    code.split(' ').map(|word| word.trim_matches(['[', ']', '\'', '{', '}'])).collect()
}

#[test]
fn the_table_of_verbs_in_the_readme_is_what_the_program_offers() {
    let readme = include_str!("../../README.md");
    let mut tree = chatctl::cli::Cli::command();
    tree.build();
    let table: Vec<_> = readme.lines().skip_while(|line| !line.starts_with("| verb |")).skip(2).collect();
    let rows = table.iter().take_while(|line| line.starts_with('|'));
    let mut named = BTreeSet::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').splitn(2, '|').collect();
        let mut here: Vec<&clap::Command> = Vec::new();
        for code in quoted(cells[0]) {
            let words = words(code);
            let verb = tree.find_subcommand(words[0]).unwrap_or_else(|| panic!("there is no verb `{code}`: {row}"));
            let below = words.get(1).and_then(|word| verb.find_subcommand(word));
            let full = below.map(|below| format!("{} {}", words[0], below.get_name()));
            named.insert(full.unwrap_or_else(|| words[0].to_owned()));
            here.extend([Some(verb), below].into_iter().flatten());
        }
        for option in
            cells.iter().flat_map(|cell| quoted(cell)).flat_map(words).filter_map(|word| word.strip_prefix("--"))
        {
            let known =
                here.iter().flat_map(|command| command.get_arguments()).any(|one| one.get_long() == Some(option));
            assert!(known, "no verb of the row has --{option}: {row}");
        }
    }
    assert_eq!(named, offered(&tree));
}

#[test]
fn the_readme_and_the_help_name_the_exit_codes_of_every_kind_and_no_other() {
    use chat_protocol::rpc::Kind;
    let readme = include_str!("../../README.md");
    let help = chatctl::cli::Cli::command().render_help().to_string();
    let own = [0, 1, 64, 66, 69, 70, 73, 74, 77, 79];
    let codes: BTreeSet<u8> = Kind::ALL.iter().map(|kind| kind.exit_code()).chain(own).collect();
    let of_table = readme.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse::<u8>().ok());
    assert_eq!(of_table.collect::<BTreeSet<_>>(), codes, "README");
    let of_help = help.lines().filter_map(|line| line.trim_start().split("  ").next()?.parse::<u8>().ok());
    assert_eq!(of_help.collect::<BTreeSet<_>>(), codes, "help");
}
