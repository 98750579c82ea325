//! The devices of an account, as scripts let them in and end them.

use chat_protocol::ids::DeviceId;
use chat_protocol::rpc::types::{Device, DeviceState};

use super::*;

const DIGITS: &str = "123451234512345123451234512345123451234512345123451234512345";

fn device(byte: u8, state: DeviceState) -> Device {
    Device {
        device_id: DeviceId::new([byte; 16]),
        state,
        this: byte == 2,
        created_ms: fake::NOW,
        added_by: None,
        added_ms: None,
        let_in: Vec::new(),
        digits: (state == DeviceState::Waiting).then(|| DIGITS.to_owned()),
        confirmed: (state == DeviceState::Waiting).then_some(true),
        approved: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_lets_a_device_in_with_the_digits_of_its_screen() {
    let served = serve();
    let (code, _, err) = run(&served, &["device", "approve", "--digits", DIGITS]);
    assert!(code == 66 && err.contains("chatctl login NAME"), "{err}");
    served.fake.state().devices = vec![device(2, DeviceState::Active), device(7, DeviceState::Waiting)];
    let (code, _, err) = run(&served, &["device", "approve"]);
    assert!(code == 64 && err.contains("--digits"), "nobody is there to compare: {err}");
    assert_eq!(run(&served, &["device", "approve", "--digits", &"9".repeat(60)]).0, 65);
    let told = says(&served, &["device", "approve", "--digits", DIGITS]);
    assert_eq!(told, format!("device {} belongs to the account\n", "07".repeat(16)));
    let listed = says(&served, &["device", "list"]);
    assert!(listed.lines().count() == 2 && listed.contains("this one"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_is_meant_and_includes_whom_the_device_let_in_when_asked_to() {
    let served = serve();
    let thief = Device { let_in: vec![DeviceId::new([8; 16])], ..device(7, DeviceState::Active) };
    served.fake.state().devices = vec![device(2, DeviceState::Active), thief, device(8, DeviceState::Active)];
    let stolen = "07".repeat(16);
    assert_eq!(run(&served, &["device", "revoke", &stolen]).0, 64, "nobody is there to be asked");
    assert_eq!(run(&served, &["device", "revoke", "nonsense"]).0, 64);
    let told = says(&served, &["device", "revoke", &stolen, "--with-let-in", "--yes"]);
    assert_eq!(told, format!("revoked {stolen}\nrevoked {}\n", "08".repeat(16)));
}
