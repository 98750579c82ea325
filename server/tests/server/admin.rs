//! The administrator's command line: exact words, exit codes, what is written where.

mod backups;
mod keys;
mod monitoring;
pub mod operator;
mod settings;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use chat_protocol::invite::Invite;
use chat_server::store::copy::SCHEMA;

use self::operator::{Operator, Running, mode};
use crate::support::mariadb::MariaDb;

#[test]
fn init_makes_private_keys_and_prints_an_invite() {
    let operator = Operator::new();
    let made = operator.run(&["init", "--public", "chat.example.org:8897", "--listen", "127.0.0.1:8897"]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert_eq!(
        made.err,
        "A server is set up in ROOT/data\n\
         Give this invite to the people who may join; it contains the secret key:\n"
    );
    let invite = Invite::parse(&made.out).unwrap();
    assert_eq!((invite.host.as_str(), invite.port, invite.token), ("chat.example.org", 8897, None));
    let secret = fs::read_to_string(operator.data().join("secret.key")).unwrap();
    assert_eq!(secret.len(), 44, "the first application's format");
    assert_eq!(secret, *invite.secret.to_base64());
    assert_eq!(mode(&operator.data()), 0o700);
    for file in ["server.key", "secret.key", "server.toml"] {
        assert_eq!(mode(&operator.data().join(file)), 0o600, "{file}");
    }
    let again = operator.run(&["invite"]);
    assert_eq!((again.code, again.out), (0, made.out.clone()), "the address is remembered");
    let json: serde_json::Value = serde_json::from_str(&operator.run(&["invite", "--json"]).out).unwrap();
    assert_eq!(json["invite"], made.out.trim());
}

#[test]
fn init_never_overwrites() {
    let operator = Operator::set_up();
    let before = fs::read(operator.data().join("server.key")).unwrap();
    let again = operator.run(&["init"]);
    assert_eq!(again.code, 73);
    assert_eq!(
        again.err,
        "Error: there is a server in ROOT/data already\n\
         Hint: print its invite: `chat-server invite --data ROOT/data`\n"
    );
    assert_eq!(fs::read(operator.data().join("server.key")).unwrap(), before);
}

#[test]
fn init_takes_the_secret_key_that_is_there() {
    let operator = Operator::new();
    fs::create_dir(operator.data()).unwrap();
    fs::set_permissions(operator.data(), fs::Permissions::from_mode(0o700)).unwrap();
    let key = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    fs::write(operator.data().join("secret.key"), key).unwrap();
    let open = operator.run(&["init"]);
    assert_eq!(open.code, 77);
    assert!(
        open.err.contains("is open to others (mode 0644); fix it with `chmod 600 ROOT/data/secret.key`"),
        "{}",
        open.err
    );
    fs::set_permissions(operator.data().join("secret.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let made = operator.run(&["init"]);
    assert!(made.err.starts_with("Keeping the secret.key that is there\n"), "{}", made.err);
    assert!(
        made.err
            .ends_with("Note: it names 127.0.0.1:8897; `--public HOST:PORT` names what clients reach from elsewhere\n")
    );
    assert_eq!(*Invite::parse(&made.out).unwrap().secret.to_base64(), key);
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let operator = Operator::new();
    let missing = operator.run(&["run"]);
    assert_eq!(missing.code, 78);
    assert_eq!(
        missing.err,
        "Error: there is no server in ROOT/data\n\
         Hint: set a server up first: `chat-server init --data ROOT/data`\n"
    );
    let operator = Operator::set_up();
    assert_eq!(operator.run(&["dance"]).code, 64);
    assert_eq!(operator.run(&["--help"]).code, 0);
    let public = operator.run(&["invite", "--public", "nowhere"]);
    assert_eq!(
        (public.code, public.err.as_str()),
        (64, "Error: `nowhere` is not HOST:PORT, as in chat.example.org:8897\n")
    );
    let key = operator.run(&["invite", "--set", "rates.burts=1"]);
    assert_eq!(key.code, 78);
    assert_eq!(key.err, "Error: command line --set: unknown key `rates.burts`; did you mean `rates.submits_burst`?\n");
    fs::write(operator.data().join("server.toml"), "[mailbox]\ndays = 1\ndays = 2\n").unwrap();
    assert!(operator.run(&["invite"]).err.starts_with("Error: ROOT/data/server.toml, line 3: duplicate key"));
    fs::write(operator.data().join("server.toml"), "").unwrap();
    fs::write(operator.data().join("server.key"), "short").unwrap();
    let damaged = operator.run(&["invite"]);
    assert_eq!(damaged.code, 65);
    assert!(damaged.err.starts_with("Error: ROOT/data/server.key is damaged\n"), "{}", damaged.err);
}

#[test]
fn a_directory_without_a_server_is_refused_and_not_made() {
    let verbs = [
        "run",
        "invite",
        "key rotate",
        "key finish",
        "user list",
        "user passwd bob",
        "user rename bob alice",
        "mailbox peek --user bob",
        "config",
        "migrate",
        "backup all.tar",
    ];
    for there in [false, true] {
        let operator = Operator::new();
        if there {
            fs::create_dir(operator.data()).unwrap();
        }
        for verb in verbs {
            let refused = operator.run(&verb.split(' ').collect::<Vec<_>>());
            assert_eq!((refused.code, refused.out.as_str()), (78, ""), "{verb}");
            let words = "Error: there is no server in ROOT/data\n\
                         Hint: set a server up first: `chat-server init --data ROOT/data`\n";
            assert_eq!(refused.err, words, "{verb}");
        }
        assert_eq!(operator.data().exists(), there);
        assert!(!there || fs::read_dir(operator.data()).unwrap().next().is_none(), "nothing is made in it");
    }
}

#[test]
fn what_cannot_be_read_is_no_backup_and_nothing_is_made() {
    let operator = Operator::new();
    for file in ["nothere", "."] {
        let refused = operator.run(&["restore", file]);
        assert_eq!(refused.code, 65, "{file}: {}", refused.err);
        assert!(refused.err.contains("Hint: nothing was changed; "), "{file}: {}", refused.err);
        assert!(!operator.data().exists(), "{file}");
    }
}

#[test]
fn a_dash_is_no_directory() {
    let operator = Operator::new();
    for words in [&["man", "--all", "-"][..], &["init", "--data", "-"], &["init", "--offline-key", "-"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
        command.env_clear().env("HOME", operator.root.path()).current_dir(operator.root.path()).args(words);
        let refused = operator.finish(command, "");
        assert_eq!(refused.code, 64, "{words:?}: {}", refused.err);
        assert!(refused.err.contains("a file of that name is ./-"), "{words:?}: {}", refused.err);
    }
    assert!(fs::read_dir(operator.root.path()).unwrap().next().is_none(), "nothing is made");
}

#[test]
fn atk_63_links_and_open_modes_are_refused_with_the_fix() {
    let operator = Operator::set_up();
    fs::set_permissions(operator.data(), fs::Permissions::from_mode(0o755)).unwrap();
    let open = operator.run(&["run", "--listen", "127.0.0.1:0"]);
    assert_eq!(open.code, 77);
    assert_eq!(open.err, "Error: ROOT/data is open to others (mode 0755); fix it with `chmod 700 ROOT/data`\n");
    fs::set_permissions(operator.data(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::rename(operator.data().join("secret.key"), operator.root.path().join("elsewhere.key")).unwrap();
    symlink(operator.root.path().join("elsewhere.key"), operator.data().join("secret.key")).unwrap();
    let link = operator.run(&["invite"]);
    assert_eq!(link.code, 77);
    let told = "Error: ROOT/data/secret.key is a symbolic link; use what it points to, ";
    assert!(link.err.starts_with(told), "{}", link.err);
}

#[test]
fn accounts_are_listed_renamed_and_given_passwords() {
    let operator = Operator::set_up();
    operator.adopt(&["alice", "Bob", "bob", "-rf", "ev\u{202e}il\n"]);
    let listed = operator.run(&["user", "list"]);
    assert_eq!(
        listed.out,
        "alice\tno devices\n\
         Bob\tno devices\tcannot log in: another account has the same name in another spelling\n\
         bob\tno devices\tcannot log in: another account has the same name in another spelling\n\
         -rf\tno devices\tcannot log in: the name is not allowed\n\
         ev\\u{202e}il\\n\tno devices\tcannot log in: the name is not allowed\n"
    );
    let json: serde_json::Value = serde_json::from_str(&operator.run(&["user", "list", "--json"]).out).unwrap();
    assert_eq!(json[0]["name"], "alice");
    assert_eq!(json[3]["refused"], "the name is not allowed");

    let renamed = operator.run(&["user", "rename", "-rf", "Rf-User"]);
    assert_eq!((renamed.code, renamed.err.as_str()), (0, "-rf is now rf-user\n"));
    let taken = operator.run(&["user", "rename", "Bob", "ALICE"]);
    assert_eq!((taken.code, taken.err.as_str()), (65, "Error: there is an account alice already\n"));
    let nobody = operator.run(&["user", "rename", "nobody", "somebody"]);
    assert!(nobody.err.starts_with("Error: there is no account nobody\nHint: "), "{}", nobody.err);
    let name = operator.run(&["user", "rename", "Bob", ".b"]);
    assert_eq!(name.code, 64);

    let passwd = |input: &str| {
        operator.finish(operator.command(&["user", "passwd", "alice", "--set", "passwords.bcrypt_cost=4"]), input)
    };
    let done = passwd("correct horse\n");
    assert_eq!((done.code, done.err.as_str()), (0, "The password of alice is changed; its devices stay logged in\n"));
    let hash: String =
        operator.sqlite().query_row("SELECT password FROM chat_app WHERE id = 1", [], |row| row.get(0)).unwrap();
    assert!(bcrypt::verify("correct horse", &hash).unwrap());
    let long = passwd(&"x".repeat(72));
    assert_eq!(
        (long.code, long.err.as_str()),
        (65, "Error: the password is too long: at most 71 bytes are possible, this one is 72 long\n")
    );
    let short = passwd("1234567\n");
    let words = "Error: the password is too short: a new one needs at least 8 bytes, this one is 7 long\n";
    assert_eq!((short.code, short.err.as_str()), (65, words));
}

#[test]
fn migrate_names_what_it_did_once() {
    let operator = Operator::set_up();
    let first = operator.run(&["migrate"]);
    assert_eq!((first.code, first.out.lines().count()), (0, SCHEMA), "{}{}", first.out, first.err);
    assert_eq!(mode(&operator.data().join("chat.db")), 0o600);
    let again = operator.run(&["migrate"]);
    assert_eq!((again.out.as_str(), again.err.as_str()), ("", "The database is up to date\n"));
}

#[test]
fn personal_invites_carry_a_token_that_only_the_hash_remembers() {
    let operator = Operator::set_up();
    let invite = operator.run(&["invite", "--set", "registration=invite"]);
    let token = Invite::parse(&invite.out).unwrap().token.unwrap();
    let stored: Vec<u8> = operator.sqlite().query_row("SELECT hash FROM invite", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, chat_protocol::crypto::kdf::sha256(&token));
}

#[test]
fn run_says_where_it_listens_and_ends_well_when_asked() {
    let operator = Operator::set_up();
    let mut server = Running::start(operator.command(&["run", "--listen", "127.0.0.1:0"]));
    let address = server.1.strip_prefix("listening on 127.0.0.1:").expect(&server.1).parse::<u16>().unwrap();
    assert!(std::net::TcpStream::connect(("127.0.0.1", address)).is_ok());
    for file in fs::read_dir(operator.data()).unwrap().map(Result::unwrap) {
        assert_eq!(mode(&file.path()), 0o600, "{file:?}, as the README says of every file");
    }
    let second = operator.run(&["run", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, 75);
    assert!(
        second.err.starts_with("Error: another chat-server runs on ROOT/data\nHint: stop it first"),
        "{}",
        second.err
    );
    assert_eq!(operator.run(&["user", "list"]).code, 0, "administration works beside it");
    let port = Operator::set_up().run(&["run", "--listen", &format!("127.0.0.1:{address}")]);
    assert_eq!(port.code, 69);
    assert!(port.err.contains("cannot listen on 127.0.0.1:"), "{}", port.err);
    assert!(Command::new("kill").arg(server.0.id().to_string()).status().unwrap().success());
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
}

#[test]
fn atk_62_no_output_shows_a_database_password() {
    let operator = Operator::set_up();
    let url = "mysql://chat:hunter2@127.0.0.1:1/chat";
    let mut by_argument = operator.command(&["migrate", "--log", "debug", "--database", url]);
    by_argument.env("RUST_BACKTRACE", "0");
    let mut by_env = operator.command(&["user", "list", "--log", "debug"]);
    by_env.env("CHAT_SERVER_DATABASE", url);
    let mut by_seed = operator.command(&["user", "list", "--log", "debug"]);
    by_seed.env("DB_HOST", "127.0.0.1:1").env("DB_USER", "chat").env("DB_PASS", "hunter2").env("DB_NAME", "chat");
    for command in [by_argument, by_env, by_seed] {
        let output = assert_cmd::Command::from_std(command).output().unwrap();
        let all = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(69), "{all}");
        assert!(!all.contains("hunter2"), "{all}");
        assert!(all.contains("the database is mysql://chat@127.0.0.1:1/chat"), "{all}");
    }
    let settings = operator.data().join("server.toml");
    fs::write(&settings, format!("database = \"{url}\"\n")).unwrap();
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o644)).unwrap();
    let open = operator.run(&["user", "list"]);
    assert_eq!(open.code, 77, "settings with a password are as private as a key: {}", open.err);
    fs::write(operator.root.path().join(".env"), "DB_PASS=\"hunter2\nDB_NAME=chat\n").unwrap();
    fs::write(&settings, "").unwrap();
    let dotenv = operator.run(&["user", "list"]);
    assert_eq!(dotenv.code, 78, "{}", dotenv.err);
    assert!(dotenv.err.starts_with("Error: .env, line 1: DB_PASS cannot be read\nHint: "), "{}", dotenv.err);
    assert!(!dotenv.err.contains("hunter2"), "{}", dotenv.err);
}

#[test]
fn lines_of_the_first_applications_file_that_are_not_ours_stop_nothing() {
    let operator = Operator::set_up();
    let lines = "APP_TITLE=My chat app\nnot a line\nDB_OTHER=\"open\nDEBUG\n";
    fs::write(operator.root.path().join(".env"), lines).unwrap();
    let output = assert_cmd::Command::from_std(operator.command(&["user", "list"])).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(log.contains("line=2") && log.contains("line=3") && log.lines().count() == 2, "{log}");
    fs::write(operator.root.path().join(".env"), "DB_USER=u\nDB_NAME=n\nDB_HOST=db\nDB_PORT=x\n").unwrap();
    let port = operator.run(&["user", "list"]);
    assert!(port.code == 78 && port.err.starts_with("Error: DB_PORT is not a port"), "{}", port.err);
}

#[test]
fn half_of_the_first_applications_database_is_not_taken_for_an_own_one() {
    let operator = Operator::set_up();
    fs::write(operator.root.path().join(".env"), "DB_HOST=127.0.0.1\n").unwrap();
    for command in [&["run", "--listen", "127.0.0.1:0"][..], &["user", "list"], &["migrate"]] {
        let refused = operator.run(command);
        assert_eq!(refused.code, 78, "{command:?}: {}", refused.err);
        assert!(refused.err.starts_with("Error: DB_HOST is set, but not DB_USER and DB_NAME\n"), "{}", refused.err);
    }
    assert!(!operator.data().join("chat.db").exists());
}

#[test]
fn server_for_this_machine_alone_is_heard_on_it_alone() {
    let operator = Operator::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(operator.run(&["init", "--public", &format!("localhost:{free}")]).code, 0);
    let listed = operator.run(&["config"]).out;
    assert!(listed.contains(&format!("listen = \"127.0.0.1:{free}\"")) && !listed.contains("0.0.0.0"), "{listed}");
    let mut server = Running::start(operator.command(&["run"]));
    assert_eq!(server.1, format!("listening on 127.0.0.1:{free}"));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn database_that_does_not_let_us_in_is_not_available_and_the_hint_says_what_to_look_at() {
    let database = MariaDb::start();
    let user = "CREATE USER chat IDENTIFIED BY 'right'; GRANT SELECT ON seed.* TO chat";
    assert!(database.execute(&format!("CREATE DATABASE seed; {user};")));
    let operator = Operator::set_up();
    let socket = database.socket();
    let listed = |user: &str, name: &str| {
        let url = format!("mysql://{user}@localhost/{name}?socket={}", socket.display());
        let mut command = operator.command(&["user", "list"]);
        command.env("CHAT_SERVER_DATABASE", url);
        operator.finish(command, "")
    };
    for (user, name) in [("chat:wrong", "seed"), ("nobody", "seed"), ("chat:right", "seed")] {
        let refused = listed(user, name);
        assert_eq!(refused.code, 69, "{user} {name}: {}", refused.err);
        assert!(
            refused.err.contains("user, password and rights") && refused.err.contains("`%23` for `#`"),
            "{}",
            refused.err
        );
        assert!(!refused.err.contains("wrong"), "{}", refused.err);
    }
    let nowhere = listed("root", "no-where");
    let helps = nowhere.err.contains("CREATE DATABASE `no-where` CHARACTER SET utf8mb4;");
    assert!(nowhere.code == 69 && helps && !nowhere.err.contains("password"), "{}", nowhere.err);
}

#[test]
fn database_of_the_first_application_is_found_by_its_variables() {
    let database = MariaDb::start();
    let insert = "INSERT INTO chat_app (username, password) VALUES ('Carol', 'x')";
    assert!(database.execute(&format!("CREATE DATABASE seed; USE seed; {}; {insert};", crate::support::SEED_TABLE)));
    let operator = Operator::set_up();
    let socket = database.socket();
    let lines = format!("DB_HOST={}\nDB_USER=root\nDB_PASSWORD=\nDB_NAME=seed\n", socket.display());
    fs::write(operator.root.path().join(".env"), lines).unwrap();
    let listed = operator.run(&["user", "list"]);
    assert_eq!((listed.code, listed.out.as_str()), (0, "Carol\tno devices\n"), "{}", listed.err);
    assert!(!operator.data().join("chat.db").exists());
}

#[test]
fn the_database_is_taken_from_a_private_file_or_a_credential() {
    let operator = Operator::set_up();
    let file = operator.root.path().join("database");
    fs::write(&file, "sqlite:elsewhere.db\n").unwrap();
    let listed = |credentials: Option<&std::path::Path>, more: &[(&str, &str)]| {
        let mut command = operator.command(&["user", "list"]);
        command.env("CHAT_SERVER_DATABASE_FILE", &file).envs(more.iter().copied());
        command.envs(credentials.map(|dir| ("CREDENTIALS_DIRECTORY", dir)));
        operator.finish(command, "")
    };
    let open = listed(None, &[]);
    assert_eq!(open.code, 77, "others may read it: {}", open.err);
    assert_eq!(listed(Some(operator.root.path()), &[]).code, 0, "the service manager knows what it hands over");
    assert!(operator.data().join("elsewhere.db").exists());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(listed(None, &[]).code, 0);
    let said = listed(None, &[("CHAT_SERVER_DATABASE", "sqlite:said.db")]);
    assert!(said.code == 0 && operator.data().join("said.db").exists(), "what is said goes before: {}", said.err);
    fs::remove_file(&file).unwrap();
    assert_ne!(listed(None, &[]).code, 0, "a file that is not there is not passed over");
}

#[test]
fn completions_and_the_manual_need_no_server() {
    let operator = Operator::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = operator.run(&["completions", shell]);
        assert_eq!((script.code, script.err.as_str()), (0, ""));
        assert!(script.out.contains("mailbox") && script.out.contains("migrate"), "{shell}");
    }
    let page = operator.run(&["man"]);
    assert_eq!((page.code, page.err.as_str()), (0, ""));
    assert!(page.out.starts_with(".ie") && page.out.contains("Exit codes:"), "{}", page.out);
    let pages = operator.root.path().join("pages");
    assert_eq!(operator.run(&["man", "--all", pages.to_str().unwrap()]).code, 0);
    assert_eq!(fs::read_to_string(pages.join("chat-server.1")).unwrap(), page.out);
    assert!(pages.join("chat-server-user-passwd.1").exists());
    assert_eq!(operator.run(&["man", "user", "nothing"]).code, 64);
    assert!(!operator.data().exists(), "nothing is set up for that");
}

#[test]
fn output_that_cannot_be_written_is_a_failure_of_input_or_output() {
    let operator = Operator::set_up();
    let words: [&[&str]; 6] =
        [&["config"], &["config", "--defaults"], &["invite"], &["backup", "-"], &["man"], &["--help"]];
    for command in words {
        let mut full = operator.command(command);
        full.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
        assert_eq!(full.status().unwrap().code(), Some(74), "{command:?}");
    }
}
