//! A device's keys are made once, kept encrypted, and used again; the first application's key can be taken over.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chat_protocol::identity::device::DeviceKeys;
use chat_protocol::ids::Username;
use chat_protocol::time::Timestamp;
use chatd::dirs::{DataDir, write_private};
use chatd::keys::{KeyError, KeyRing};
use chatd::store::{Store, Unlock};

struct Home {
    outer: tempfile::TempDir,
    dir: DataDir,
    store: Store,
    user: Username,
}

impl Home {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&outer.path().join("data")).unwrap();
        let store = Store::open(&dir, &Unlock::KeyFile(outer.path().join("key"))).unwrap();
        Self { outer, dir, store, user: "alice".parse().unwrap() }
    }

    fn ring(&self) -> KeyRing<'_> {
        KeyRing::new(&self.store, &self.dir, &self.user)
    }

    fn pem(&self, kind: &str) -> PathBuf {
        self.dir.file(&format!("rsa_{kind}_alice.pem"))
    }
}

/// What tells keys apart: the certificate they give at one instant.
fn public(keys: &DeviceKeys) -> Vec<u8> {
    keys.certify(&"alice".parse().unwrap(), Timestamp::ZERO).unwrap().bytes().to_vec()
}

/// Runs Python with `cryptography`, feeding it `input`.
fn python(script: &str, args: &[&str], input: &str) -> String {
    let fallback = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    let python = std::env::var_os("CHAT_PYTHON").map_or(fallback, PathBuf::from);
    let mut child = Command::new(python)
        .args(["-c", script])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("no Python for the tests: run `make test-setup`");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the script failed");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of the first application that made its key.
const SEED_KEY: &str = "
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import rsa
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
print(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode(), end='')
";

/// Opens an encrypted PEM with a passphrase and prints the public half.
const OPEN_PEM: &str = "
import sys
from cryptography.hazmat.primitives import serialization as s
passphrase = sys.stdin.read()
key = s.load_pem_private_key(open(sys.argv[1], 'rb').read(), passphrase.encode())
print(key.key_size)
print(key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo).decode(), end='')
";

#[test]
fn keys_are_made_once_and_used_again() {
    let home = Home::new();
    let first = home.ring().ready(None).unwrap();
    let before: Vec<_> = ["priv", "sign", "pub"].map(|kind| fs::read(home.pem(kind)).unwrap()).into();
    for (kind, pem) in ["priv", "sign", "pub"].iter().zip(&before) {
        let head = if *kind == "pub" { "-----BEGIN PUBLIC KEY-----" } else { "-----BEGIN ENCRYPTED PRIVATE KEY-----" };
        assert!(pem.starts_with(head.as_bytes()), "rsa_{kind}");
        assert_eq!(fs::metadata(home.pem(kind)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let again = home.ring().ready(None).unwrap();
    assert_eq!(public(&first), public(&again));
    assert_eq!(before, ["priv", "sign", "pub"].map(|kind| fs::read(home.pem(kind)).unwrap()));

    let cert = first.certify(&home.user, Timestamp::ZERO).unwrap();
    assert_eq!(public(&home.ring().of(&cert).unwrap()), public(&first));

    refuses_what_does_not_fit(&home, &first);
    shows_python_the_same_key(&home);
    forgets(&home, &first);
}

/// Keys are slow to make, so these look at the ones above.
fn refuses_what_does_not_fit(home: &Home, keys: &DeviceKeys) {
    let cert = keys.certify(&home.user, Timestamp::ZERO).unwrap();
    let (private, signing) = (fs::read(home.pem("priv")).unwrap(), fs::read(home.pem("sign")).unwrap());
    write_private(&home.pem("priv"), &signing).unwrap();
    assert!(matches!(home.ring().of(&cert), Err(KeyError::Another { .. })), "another key was taken for it");

    fs::remove_file(home.pem("priv")).unwrap();
    let message = home.ring().of(&cert).unwrap_err().to_string();
    assert!(message.contains("rsa_priv_alice.pem is missing"), "{message}");

    write_private(&home.pem("priv"), b"-----BEGIN NONSENSE-----").unwrap();
    assert!(matches!(home.ring().ready(None), Err(KeyError::Unusable { .. })), "a broken key was replaced");

    write_private(&home.pem("priv"), &private).unwrap();
    fs::set_permissions(home.pem("priv"), fs::Permissions::from_mode(0o640)).unwrap();
    let message = home.ring().of(&cert).unwrap_err().to_string();
    assert!(message.contains("chmod 600"), "atk_63: {message}");
    write_private(&home.pem("priv"), &private).unwrap();
}

fn shows_python_the_same_key(home: &Home) {
    for (kind, public) in [("priv", Some(home.pem("pub"))), ("sign", None)] {
        let shown = python(OPEN_PEM, &[home.pem(kind).to_str().unwrap()], &home.store.pem_passphrase());
        let (bits, pem) = shown.split_once('\n').unwrap();
        assert_eq!(bits, "3072");
        if let Some(public) = public {
            assert_eq!(pem, fs::read_to_string(public).unwrap());
        }
    }
}

fn forgets(home: &Home, keys: &DeviceKeys) {
    home.ring().forget().unwrap();
    assert!(["priv", "sign", "pub"].iter().all(|kind| !home.pem(kind).exists()));
    let cert = keys.certify(&home.user, Timestamp::ZERO).unwrap();
    assert!(matches!(home.ring().of(&cert), Err(KeyError::Missing { .. })));
}

#[test]
fn s2_the_first_applications_key_is_taken_over_encrypted() {
    let home = Home::new();
    let pem = python(SEED_KEY, &[], "");
    let file = home.outer.path().join("rsa_priv_alice.pem");
    write_private(&file, pem.as_bytes()).unwrap();

    let keys = home.ring().ready(Some(&file)).unwrap();
    let kept = fs::read_to_string(home.pem("priv")).unwrap();
    assert!(kept.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let shown = python(OPEN_PEM, &[home.pem("priv").to_str().unwrap()], &home.store.pem_passphrase());
    assert_eq!(shown, format!("2048\n{}", fs::read_to_string(home.pem("pub")).unwrap()));

    // the same file again changes nothing, another one is refused
    assert_eq!(public(&home.ring().ready(Some(&file)).unwrap()), public(&keys));
    write_private(&file, python(SEED_KEY, &[], "").as_bytes()).unwrap();
    assert!(matches!(home.ring().ready(Some(&file)), Err(KeyError::Taken { .. })));
    assert_eq!(fs::read_to_string(home.pem("priv")).unwrap(), kept);

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let message = home.ring().ready(Some(&file)).unwrap_err().to_string();
    assert!(message.contains("chmod 600"), "atk_63: {message}");
}

#[test]
fn atk_57_no_private_key_lies_open_in_the_directory() {
    let home = Home::new();
    let keys = home.ring().ready(None).unwrap();
    let agreement = keys.agreement.bytes().expose();
    let passphrase = home.store.pem_passphrase();
    for entry in fs::read_dir(home.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for secret in [&agreement[..], passphrase.as_bytes(), b"BEGIN PRIVATE KEY", b"BEGIN RSA PRIVATE KEY"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
        }
    }
}

#[test]
fn atk_62_keys_do_not_print() {
    let home = Home::new();
    let shown = format!("{:?}", home.ring());
    assert_eq!(shown, format!("KeyRing {{ store: {:?}, dir: {:?}, user: alice }}", home.store, home.dir));
}
