//! `init` makes a server, `invite` lets people in.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat_programs::private::directory;
use chat_programs::settings::Layer;
use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::crypto::kdf::sha256;
use chat_protocol::crypto::rsa::SigningKey;
use chat_protocol::handshake::ServerKey;
use chat_protocol::invite::Invite;
use rand::Rng;
use serde_json::json;

use super::home::{self, Home, OFFLINE_PUBLIC, SECRET_KEY, SERVER_KEY, SETTINGS};
use super::key;
use super::output::{Done, object, say, talk};
use crate::config::{Config, Registration, public};
use crate::failure::{Exit, Failure};
use crate::serve::Keys;
use crate::{clock, private, store};

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

pub(super) fn init(
    home: &Home,
    listen: Option<SocketAddr>,
    public: Option<String>,
    offline_key: Option<&Path>,
) -> Done {
    if home.path(SERVER_KEY).exists() {
        let words = format!("there is a server in {} already", home.dir.display());
        let hint = format!("print its invite: `chat-server invite --data {}`", home.dir.display());
        return Err(Failure::new(Exit::CannotCreate, words).hint(hint));
    }
    if let Some(public) = &public {
        address_of(public)?;
    }
    directory(&home.dir)?;
    let config = home.config(&over(listen, public.as_deref()))?;
    let mut rng = rand::rng();
    let secret = FernetKey::generate(&mut rng).to_base64();
    let fresh = home::create_or_check(&home.path(SECRET_KEY), &secret, |path| home::read_secret(path).map(drop))?;
    if !fresh {
        talk(&format!("Keeping the {SECRET_KEY} that is there"));
    }
    let settings = home.path(SETTINGS);
    if !home::create_or_check(&settings, &settings_text(listen, public.as_deref()), |_| Ok(()))? {
        talk(&format!("Keeping the {SETTINGS} that is there"));
    }
    if let Some(file) = offline_key {
        make_offline_key(home, file)?;
    }
    // last: with it the server is there, before it everything can be repeated
    let key = ServerKey::generate(&mut rng);
    home::create_or_check(&home.path(SERVER_KEY), &key.to_text(), home::check_server_key)?;
    talk(&format!("A server is set up in {}", home.dir.display()));
    if config.registration == Registration::Invite {
        talk("Registration asks for personal invites: make them with `chat-server invite`");
    }
    let (listens, public) = (config.listens_on(), public.as_deref().and_then(public::parse));
    if public.is_some_and(|(_, port)| listens.port() != 0 && port != listens.port()) {
        talk(&format!(
            "Note: it listens on {listens}: another port must lead there; or say where: `run --listen ADDR`"
        ));
    }
    talk("Give this invite to the people who may join; it contains the secret key:");
    print_invite(home, &config, &home.keys()?, None)
}

/// Makes the key that vouches for later server keys, unless an attempt that was interrupted did; what stays here is its
/// public half.
fn make_offline_key(home: &Home, file: &Path) -> Done {
    let key = if file.exists() {
        talk(&format!("Keeping the key in {}", file.display()));
        key::read_offline(file)?.ok_or_else(|| {
            let words = format!("{} holds no key", file.display());
            Failure::new(Exit::Data, words).hint("name a file that is not there yet")
        })?
    } else {
        let key = SigningKey::generate(&mut rand::rng());
        private::create(file, key.to_plain_pem().as_bytes())?;
        key
    };
    let public = URL_SAFE_NO_PAD.encode(key.verifying_key().to_spki());
    home::create_or_check(&home.path(OFFLINE_PUBLIC), &public, |path| {
        if private::read(path)?.as_slice() == public.as_bytes() {
            return Ok(());
        }
        let words = format!("{} is of another key", path.display());
        Err(Failure::new(Exit::CannotCreate, words).hint("name the file with that key: `--offline-key FILE`"))
    })?;
    talk(&format!(
        "Keep {} off this machine: whoever takes the server cannot announce another key without it",
        file.display()
    ));
    Ok(())
}

pub(super) async fn invite(home: &Home, public: Option<String>) -> Done {
    let keys = home.keys()?;
    let config = home.config(&over(None, public.as_deref()))?;
    address(&config)?;
    let token = match config.registration {
        Registration::Open => None,
        Registration::Invite => Some(personal(home, &config).await?),
    };
    print_invite(home, &config, &keys, token)
}

/// Draws a token and remembers its hash.
async fn personal(home: &Home, config: &Config) -> Result<[u8; 16], Failure> {
    let mut token = [0; 16];
    rand::rng().fill_bytes(&mut token);
    let at = clock::now();
    let days = std::time::Duration::from_secs(SECONDS_PER_DAY * u64::from(config.accounts.invite_days));
    let invite = store::Invite { hash: sha256(&token), at, expires: at + days };
    home.open(config).await?.store.create_invite(invite).await?;
    Ok(token)
}

pub(super) fn print_invite(home: &Home, config: &Config, keys: &Keys, token: Option<[u8; 16]>) -> Done {
    let (host, port) = address(config)?;
    let server_key = keys.server.public();
    let (secret, offline_key) = (keys.secret.clone(), keys.offline);
    let invite = Invite { host, port, server_key, secret, offline_key, token };
    if config.public.is_none() {
        talk(&format!(
            "Note: it names {}; `--public HOST:PORT` names what clients reach from elsewhere",
            invite.address()
        ));
    }
    if home.json {
        return object(&json!({ "invite": *invite.to_text(), "server_key": server_key.to_string() }));
    }
    say(&invite.to_text())
}

/// What the invite names: the public address, else where the server listens, seen from this machine.
fn address(config: &Config) -> Result<(String, u16), Failure> {
    let listens = config.listens_on();
    match &config.public {
        Some(public) => address_of(public),
        None if listens.ip().is_unspecified() => Ok(("127.0.0.1".to_owned(), listens.port())),
        None => Ok((listens.ip().to_string(), listens.port())),
    }
}

/// `HOST:PORT` as an invite has it.
fn address_of(public: &str) -> Result<(String, u16), Failure> {
    let wrong = || Failure::new(Exit::Usage, format!("`{public}` is not HOST:PORT, as in chat.example.org:8897"));
    let (host, port) = public::parse(public).ok_or_else(wrong)?;
    // read back as a client will: what it could not read is not printed
    let (server_key, secret) =
        (chat_protocol::handshake::ServerPublicKey::new([0; 32]), FernetKey::from_bytes([0; 32]));
    let text = Invite { host: host.clone(), port, server_key, secret, offline_key: None, token: None }.to_text();
    Invite::parse(&text).map_err(|_| wrong())?;
    Ok((host, port))
}

fn over(listen: Option<SocketAddr>, public: Option<&str>) -> Layer {
    let mut layer = Layer::default();
    home::say(&mut layer, "listen", listen);
    home::say(&mut layer, "public", public);
    layer
}

fn settings_text(listen: Option<SocketAddr>, public: Option<&str>) -> String {
    let mut text = "# Settings of chat-server; README.md lists them all with their defaults.\n".to_owned();
    for (key, value) in [("listen", listen.map(|listen| listen.to_string())), ("public", public.map(str::to_owned))] {
        if let Some(value) = value {
            // both were checked: neither can hold a quote
            let _ = writeln!(text, "{key} = \"{value}\"");
        }
    }
    text
}
