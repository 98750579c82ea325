//! The settings of a program that is only told of.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, Command};

use super::*;
use crate::settings;

settings! {
    /// All of them.
    Toy {
        /// Where things are.
        #[example("/srv/toy")] #[effect(Restart)]
        home: Option<PathBuf> = None,
        /// What is logged.
        log: String = "info".to_owned(),
        /// Over HTTP.
        http: Http = Http::default(),
        /// How often.
        rates: Rates = Rates::default(),
    }
}

settings! {
    /// Over HTTP.
    Http {
        /// Where.
        #[example("127.0.0.1:80")] #[effect(Restart)]
        listen: Option<SocketAddr> = None,
        /// To whom.
        hosts: Vec<String> = Vec::new(),
    }
}

settings! {
    /// How often.
    Rates {
        /// At once.
        burst: u32 = 9,
        /// For how long,
        /// at most.
        #[key("wait_seconds")] #[effect(Restart)]
        wait: Duration = Duration::from_secs(5),
    }
}

impl Settings for Toy {
    const HELP: &'static str = "toy config --defaults";
}

fn file(text: &str) -> Result<Layer, String> {
    let source = Source::new(Path::new("/toy.toml"), text.as_bytes()).unwrap();
    source.layer::<Toy>(|_, value| Ok(value)).map_err(|wrong| wrong.to_string())
}

fn environment(pairs: &[(&str, &str)]) -> Result<Layer, String> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Layer::environment::<Toy>("TOY_", pairs, &["DATA"]).map_err(|wrong| wrong.to_string())
}

fn pairs(pairs: &[&str]) -> Result<Layer, String> {
    let pairs: Vec<_> = pairs.iter().map(|&pair| pair.to_owned()).collect();
    Layer::pairs::<Toy>(&pairs).map_err(|wrong| wrong.to_string())
}

fn toy(layers: &[&Layer]) -> Result<Layered<Toy>, String> {
    read(layers).map_err(|wrong| wrong.to_string())
}

#[test]
fn nothing_said_means_the_defaults() {
    let layered = toy(&[]).unwrap();
    assert_eq!((layered.config, layered.origins), (Toy::default(), Origins::new()));
}

#[test]
fn command_line_counts_before_environment_before_files_key_by_key() {
    let system = file("log = \"a\"\nrates.burst = 1\nhttp.hosts = [\"h\"]\n").unwrap();
    let user = file("log = \"b\"\n\n[rates]\nwait_seconds = 2\nburst = 2\n").unwrap();
    let environment = environment(&[("TOY_RATES__BURST", "3"), ("TOY_LOG", "c"), ("TOY_DATA", "x"), ("PATH", "y")]);
    let (environment, line) = (environment.unwrap(), pairs(&["log=d"]).unwrap());
    let Layered { config, origins } = toy(&[&line, &environment, &user, &system]).unwrap();
    assert_eq!((config.log.as_str(), config.rates.burst, config.rates.wait), ("d", 3, Duration::from_secs(2)));
    assert_eq!((config.http.hosts.as_slice(), config.home), (["h".to_owned()].as_slice(), None));
    let said = |key: &str| origins.get(key).cloned().unwrap_or_default().to_string();
    assert_eq!(
        (said("log"), said("rates.burst")),
        ("command line --set".into(), "environment TOY_RATES__BURST".into())
    );
    assert_eq!(
        (said("rates.wait_seconds"), said("http.hosts")),
        ("/toy.toml, line 4".into(), "/toy.toml, line 3".into())
    );
    assert_eq!(said("home"), "default");
}

#[test]
fn options_and_their_variables_are_two_layers() {
    let option = |id: &'static str, name: &'static str| Arg::new(id).long(name);
    let command = Command::new("toy").args([option("http_listen", "http-listen"), option("log", "log")]);
    let matches = command.get_matches_from(["toy", "--http-listen", "127.0.0.1:1"]);
    let [line, environment] = Layer::options::<Toy>(&matches, "TOY_");
    assert_eq!(line.get("http.listen").unwrap().1, Origin::CommandLine("--http-listen".to_owned()));
    assert!(environment.get("http.listen").is_none() && line.get("log").is_none());
    assert_eq!(toy(&[&line]).unwrap().config.http.listen, "127.0.0.1:1".parse().ok());
}

#[test]
fn what_is_wrong_is_named_with_its_place_its_key_and_what_helps() {
    let in_files = [
        ("lgo = \"a\"", "/toy.toml, line 1: unknown key `lgo`; did you mean `log`?"),
        ("\n[http]\n\nlisten_on = 1", "/toy.toml, line 4: unknown key `http.listen_on`; did you mean `http.listen`?"),
        ("listen = 1", "/toy.toml, line 1: unknown key `listen`; did you mean `http.listen`?"),
        ("rates.wiat = 1", "/toy.toml, line 1: unknown key `rates.wiat`; did you mean `rates.wait_seconds`?"),
        ("colour = 1", "/toy.toml, line 1: unknown key `colour`; `toy config --defaults` lists all there are"),
        ("http = 1", "/toy.toml, line 1: unknown key `http`; `toy config --defaults` lists all there are"),
        ("[log]\nx = 1", "/toy.toml, line 1: `log` takes a text, in quotes"),
        ("\nhome = 1", "/toy.toml, line 2: `home` takes a path, in quotes"),
        ("http.listen = 80", "/toy.toml, line 1: `http.listen` takes an address with a port, in quotes"),
        ("http.listen = \"80\"", "/toy.toml, line 1: `http.listen` takes an address with a port"),
        ("http.hosts = [1]", "/toy.toml, line 1: `http.hosts` takes a list of texts"),
        ("rates.burst = -1", "/toy.toml, line 1: `rates.burst` takes a whole number"),
        ("rates.burst = \"1\"", "/toy.toml, line 1: `rates.burst` takes a whole number"),
        ("rates.wait_seconds = 0.5", "/toy.toml, line 1: `rates.wait_seconds` takes a whole number of seconds"),
    ];
    for (text, words) in in_files {
        assert_eq!(file(text).unwrap_err(), words, "{text:?}");
    }
    assert!(file("log = \"a\"\nlog = \"a\"").unwrap_err().starts_with("/toy.toml, line 2: duplicate key"));
    let told = environment(&[("TOY_RATES__BURTS", "1")]).unwrap_err();
    assert_eq!(told, "environment TOY_RATES__BURTS: unknown key `rates.burts`; did you mean `rates.burst`?");
    let told = pairs(&["rates.burts=1"]).unwrap_err();
    assert_eq!(told, "command line --set: unknown key `rates.burts`; did you mean `rates.burst`?");
    assert_eq!(pairs(&["log"]).unwrap_err(), "command line --set: takes KEY=VALUE");
    let told = toy(&[&environment(&[("TOY_RATES__BURST", "many")]).unwrap()]).unwrap_err();
    assert_eq!(told, "environment TOY_RATES__BURST: `rates.burst` takes a whole number");
}

#[test]
fn a_value_that_does_not_fit_is_wrong_also_where_another_layer_goes_before() {
    let (line, environment) = (pairs(&["rates.burst=1"]).unwrap(), environment(&[("TOY_RATES__BURST", "x")]).unwrap());
    assert!(toy(&[&line, &environment]).is_err());
}

#[test]
fn atk_62_no_error_and_no_debug_text_shows_a_value() {
    let layer = pairs(&["rates.burst=hunter2"]).unwrap();
    let wrong = read::<Toy>(&[&layer]).unwrap_err();
    assert!(!format!("{wrong} {wrong:?} {layer:?}").contains("hunter2"));
    for text in ["log = \"hunter2", "rates.burst = \"hunter2\"", "[hunter"] {
        assert!(!file(text).unwrap_err().contains("hunter"), "{text}");
    }
}

#[test]
fn a_file_that_is_no_text_is_wrong_in_the_line_where_it_stops_being_one() {
    let wrong = Source::new(Path::new("/toy.toml"), b"log = \"a\"\n# \xff").err().unwrap();
    assert_eq!(wrong.to_string(), "/toy.toml, line 2: this is not UTF-8");
}

#[test]
fn a_file_may_mean_another_value_than_it_says_and_refuse_one() {
    let source = Source::new(Path::new("/toy.toml"), b"home = \"~/x\"\nlog = \"a\"").unwrap();
    let meant = |key: &Key, value: Value| match key.name.as_str() {
        "home" => Ok(Value::String("/home/alice/x".to_owned())),
        _ => Err(Problem::Refused { key: key.name.clone(), why: format!("not here: {}", value.is_str()) }),
    };
    assert_eq!(source.layer::<Toy>(meant).unwrap_err().to_string(), "/toy.toml, line 2: `log`: not here: true");
    let source = Source::new(Path::new("/toy.toml"), b"home = \"~/x\"").unwrap();
    let layer = source.layer::<Toy>(meant).unwrap();
    assert_eq!(toy(&[&layer]).unwrap().config.home.as_deref(), Some(Path::new("/home/alice/x")));
}

#[test]
fn what_counts_at_the_next_start_keeps_its_value_and_the_rest_changes() {
    let line =
        pairs(&["home=/x", "log=x", "http.listen=127.0.0.1:1", "rates.burst=1", "rates.wait_seconds=1"]).unwrap();
    let wanted = toy(&[&line]).unwrap().config;
    let mut kept = wanted.clone();
    kept.keep(&Toy::default(), Effect::Reload);
    let names = |one: &Toy, other: &Toy| {
        let entries = |toy| entries(toy, &Origins::new());
        changed(&entries(one), &entries(other)).into_iter().map(|key| key.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&Toy::default(), &kept), ["log", "rates.burst"]);
    assert_eq!(names(&kept, &wanted), ["home", "http.listen", "rates.wait_seconds"]);
    assert!(Toy::keys().iter().filter(|key| key.effect == Effect::Restart).count() == 3);
}

#[test]
fn a_list_is_parted_by_commas_where_only_a_text_can_be_said() {
    let layer = pairs(&["http.hosts=a, b"]).unwrap();
    assert_eq!(toy(&[&layer]).unwrap().config.http.hosts, ["a", "b"]);
}

#[test]
fn the_documented_file_says_nothing_until_a_key_is_switched_on() {
    let printed = documented::<Toy>(&["Of a toy."], |key| (key.name == "log").then(|| "--log, TOY_LOG.".to_owned()));
    let wanted = "# Of a toy.\n\n# Where things are.\n# A change counts at the next start.\n# For example:\n\
                  #home = \"/srv/toy\"\n\n# What is logged.\n# --log, TOY_LOG.\n#log = \"info\"\n\n[http]\n\n# Where.\n\
                  # A change counts at the next start.\n# For example:\n#listen = \"127.0.0.1:80\"\n\n# To whom.\n\
                  #hosts = []\n\n[rates]\n\n# At once.\n#burst = 9\n\n# For how long,\n# at most.\n\
                  # A change counts at the next start.\n#wait_seconds = 5\n";
    assert_eq!(printed, wanted);
    assert_eq!(toy(&[&file(&printed).unwrap()]).unwrap().config, Toy::default());
    for key in Toy::keys() {
        let name = format!("\n#{} = ", key.split().1);
        let layer = file(&printed.replace(&name, &name.replace('#', ""))).unwrap();
        assert!(layer.get(&key.name).is_some(), "{}", key.name);
    }
}

#[test]
fn what_counts_is_shown_as_a_line_of_a_file_and_to_programs() {
    let layer = file("log = \"a\"").unwrap();
    let Layered { config, origins } = toy(&[&layer]).unwrap();
    let entries = entries(&config, &origins);
    let shown: Vec<_> =
        entries.iter().map(|entry| line(entry).split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(shown[..2], ["#home = # not set", "log = \"a\" # /toy.toml, line 1"]);
    assert_eq!(shown[3], "http.hosts = [] # default");
    let origin = serde_json::json!({"from": "file", "name": "/toy.toml", "line": 1});
    assert_eq!(object(&entries[1]), serde_json::json!({"key": "log", "value": "a", "origin": origin}));
    let origin = serde_json::json!({"from": "default", "name": null});
    assert_eq!(object(&entries[0]), serde_json::json!({"key": "home", "value": null, "origin": origin}));
}
