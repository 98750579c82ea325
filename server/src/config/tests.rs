//! What settings say, and what is refused.

use std::path::Path;

use chat_programs::settings::{Layer, Origins, Source, entries};

use super::*;

/// The settings of such a file.
pub(crate) fn read(file: &str) -> Config {
    layer(file).map(|file| settings::read(&[&file]).unwrap().config).unwrap()
}

/// The settings after one `--set`.
pub(crate) fn set(pair: &str) -> Config {
    tried(pair).unwrap()
}

fn layer(file: &str) -> Result<Layer, String> {
    let source = Source::new(Path::new("/server.toml"), file.as_bytes()).unwrap();
    source.layer::<Config>(|_, value| Ok(value)).map_err(|wrong| format!("{wrong} {wrong:?}"))
}

fn tried(pair: &str) -> Result<Config, String> {
    let layer = Layer::pairs::<Config>(&[pair.to_owned()]).map_err(|wrong| wrong.to_string())?;
    let config = settings::read::<Config>(&[&layer]).map_err(|wrong| wrong.to_string())?.config;
    config.check().map_err(|(key, why)| format!("{key}: {why}"))?;
    Ok(config)
}

#[test]
fn nothing_given_means_the_defaults_of_the_protocol() {
    let config = read("");
    assert_eq!(config, Config::default());
    assert_eq!(config.listens_on().port(), 8897);
    assert_eq!((config.rates.submits_per_minute, config.rates.submits_burst), (600, 2_000));
    assert_eq!((config.mailbox.messages, config.mailbox.per_sender), (100_000, 10_000));
    assert_eq!(config.retention().submits, Duration::from_secs(31 * 24 * 60 * 60));
}

#[test]
fn every_setting_is_in_the_readme_with_its_default() {
    let readme = include_str!("../../README.md");
    for entry in entries(&Config::default(), &Origins::new()) {
        let default = match (&entry.value, entry.key.name.as_str()) {
            (_, "listen") => "see right".to_owned(),
            (None, _) => "absent".to_owned(),
            (Some(Value::String(text)), _) => format!("`\"{text}\"`"),
            (Some(value), _) => value.to_string(),
        };
        let row = format!("| `{}` | {default} |", entry.key.name);
        assert!(readme.contains(&row), "{row}");
    }
}

#[test]
fn values_with_which_nothing_works_are_refused() {
    for pair in ["passwords.bcrypt_cost=3", "mailbox.queue=0", "listen=nowhere", "log=,=,", "registration=all"] {
        assert!(tried(pair).is_err(), "{pair}");
    }
    assert!(tried("listen.port=1").is_err());
}

#[test]
fn every_key_is_explained_and_has_a_default_or_an_example_that_can_be_used() {
    for entry in entries(&Config::default(), &Origins::new()) {
        let key = &entry.key;
        assert!(!key.about.is_empty() && key.about.iter().all(|line| line.starts_with(' ')), "{}", key.name);
        let text = entry.value.as_ref().and_then(|value| value.as_str().map(str::to_owned));
        let text = text.or_else(|| key.example.map(str::to_owned));
        let text = text.or_else(|| entry.value.as_ref().map(ToString::to_string)).unwrap();
        let shown = entries(&set(&format!("{}={text}", key.name)), &Origins::new());
        let shown = shown.into_iter().find(|shown| shown.key == *key).unwrap().value.unwrap();
        assert_eq!(shown.as_str().map_or_else(|| shown.to_string(), str::to_owned), text, "{}", key.name);
    }
}

#[test]
fn atk_62_errors_and_debug_never_show_a_password() {
    for file in ["database = \"mysql://chat:hunter2@\n", "database = \"mysql://chat:hunter2@[x\""] {
        assert!(!layer(file).unwrap_err().contains("hunter2"), "{file}");
    }
    let shown = format!("{:?}", read("database = \"mysql://chat:hunter2@db/chat\""));
    assert!(!shown.contains("hunter2") && shown.contains("mysql://chat@db:3306/chat"), "{shown}");
}
