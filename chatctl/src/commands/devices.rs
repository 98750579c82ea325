//! `device`: who belongs to this account, with the words a careful person needs before letting anybody in.

use std::time::Duration;

use chat_protocol::ids::DeviceId;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{self};
use chat_protocol::rpc::types::{
    AccountState, AccountStatus, AccountStatusAnswer, Approval, Approved, DeviceApprove, DeviceList, DeviceRevoke,
    DeviceState, Devices,
};
use chat_protocol::rpc::{Kind, RpcError};

use super::verify::asked;
use crate::cli::devices::Device;
use crate::error::Failure;
use crate::input;
use crate::output::progress::during;
use crate::output::reader::heard;
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::output::text::{time, word};
use crate::session::Session;

/// How often the daemon is asked whether a thing has happened.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often at most, where it needs the server: ten seconds.
const LOOKS: u32 = 20;
/// Groups of five digits on a line.
const ON_A_LINE: usize = 4;

/// `chatctl device …`
pub(super) async fn run(device: Device, session: &mut Session) -> Result<(), Failure> {
    match device {
        Device::List => list(session).await,
        Device::Approve { device, digits } => approve(device, digits, session).await,
        Device::Revoke { devices, with_let_in, yes } => revoke(devices, with_let_in, yes, session).await,
    }
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let known = session.client().await?.call(&DeviceList {}).await?;
    if session.out.is_json() {
        return known.devices.iter().try_for_each(|one| session.out.object(one));
    }
    session.out.table(&known, |known| known.devices.iter().map(line).collect(), table)
}

fn line(device: &types::Device) -> String {
    let this = if device.this { "  this one" } else { "" };
    let by = device.added_by.map(|by| format!("  let in by {by}")).unwrap_or_default();
    format!("{}  {}  since {}{by}{this}", device.device_id, word(&device.state), since(device))
}

fn since(device: &types::Device) -> String {
    time(device.added_ms.unwrap_or(device.created_ms))
}

fn table(known: &Devices) -> Table {
    let look = |state| match state {
        DeviceState::Active => Look::Good,
        DeviceState::Waiting => Look::Warn,
        DeviceState::Revoked => Look::Faint,
    };
    Table::new(&["DEVICE", "STATE", "SINCE", "LET IN BY", ""]).rows(&known.devices, |device| {
        vec![
            Cell::new(Look::Name, device.device_id.to_string()),
            Cell::new(look(device.state), word(&device.state)),
            since(device).as_str().into(),
            device.added_by.map(|by| by.to_string()).unwrap_or_default().as_str().into(),
            if device.this { "this one" } else { "" }.into(),
        ]
    })
}

/// The digits in groups, as both screens show them.
pub(super) fn grouped(digits: &str) -> Vec<String> {
    let digits: Vec<char> = digits.chars().filter(char::is_ascii_digit).collect();
    let groups: Vec<String> = digits.chunks(5).map(|five| five.iter().collect()).collect();
    groups.chunks(ON_A_LINE).map(|line| format!("    {}", line.join(" "))).collect()
}

async fn approve(device: Option<DeviceId>, digits: Option<String>, session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let waiting = one_that_waits(&client.call(&DeviceList {}).await?, device)?;
    let digits = match digits {
        Some(digits) => digits,
        None => compared(&waiting, session)?,
    };
    let answer = client.call(&DeviceApprove { device_id: waiting.device_id, digits }).await?;
    let answer = settled(&client, waiting.device_id, answer).await?;
    session.out.answer(&answer, |answer| {
        vec![match answer.state {
            Approval::Added => format!("device {} belongs to the account", waiting.device_id),
            Approval::Approved if waiting.this => {
                "noted; this device begins by itself once one of the account has let it in".to_owned()
            }
            Approval::Approved => {
                "noted; it is let in once its user has said there that the digits are alike".to_owned()
            }
        }]
    })
}

fn one_that_waits(known: &Devices, named: Option<DeviceId>) -> Result<types::Device, Failure> {
    let waits = |device: &&types::Device| device.state == DeviceState::Waiting;
    let mut found = known.devices.iter().filter(waits).filter(|device| named.is_none_or(|id| id == device.device_id));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(_), Some(_)) => {
            Err(Failure::Usage("several devices wait: name one of those in `chatctl device list`".to_owned()))
        }
        (None, _) => Err(RpcError::new(Kind::NotFound, "no such device waits to be let in")
            .with_hint("log in on the new device first: `chatctl login NAME`")
            .into()),
    }
}

/// Shows the digits and asks a person.
fn compared(waiting: &types::Device, session: &mut Session) -> Result<String, Failure> {
    let digits = waiting.digits.clone().unwrap_or_default();
    if !input::has_terminal() {
        return Err(Failure::Usage(
            "nobody is there to compare: use --digits with what the other screen shows".to_owned(),
        ));
    }
    for line in explained(waiting) {
        session.out.talk(&line);
    }
    if asked("Type yes if the other screen shows the same: ")? == "yes" {
        Ok(digits)
    } else {
        Err(differs(waiting.this))
    }
}

/// What a person has to know before saying that the digits are alike.
fn explained(waiting: &types::Device) -> Vec<String> {
    let before = if waiting.this {
        "This device has to see whether it enters the right account. A device of the account shows, with `chatctl device approve`:"
    } else {
        "A device asks to be let into this account. It would get every message from then on, and could let others in. Its own screen shows:"
    };
    let mut lines = vec![before.to_owned()];
    lines.extend(grouped(waiting.digits.as_deref().unwrap_or_default()));
    lines.push("Look at that screen yourself, and compare all of them.".to_owned());
    if waiting.this {
        lines.push(
            "If no other device is left, `chatctl reset` begins the account anew, with a new identity.".to_owned(),
        );
    }
    lines
}

fn differs(this: bool) -> Failure {
    let hint = if this {
        "if they differ, somebody is in between: do not use this server before you know why"
    } else {
        "if it is not your device, somebody knows your password: change it with `chatctl passwd`"
    };
    RpcError::new(Kind::Conflict, "nothing was let in").with_hint(hint).into()
}

/// Waits a moment for what the server has to take.
async fn settled(client: &Client, device: DeviceId, answer: Approved) -> Result<Approved, Failure> {
    let is_in = |one: &types::Device| one.device_id == device && one.state == DeviceState::Active;
    let ready = |one: &types::Device| one.device_id == device && (one.this || one.confirmed == Some(true));
    for _ in 0..LOOKS {
        let known = client.call(&DeviceList {}).await?.devices;
        if answer.state == Approval::Added || known.iter().any(is_in) {
            return Ok(Approved { state: Approval::Added });
        }
        if !known.iter().any(ready) || known.iter().any(|one| one.this && one.device_id == device) {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(answer)
}

async fn revoke(mut named: Vec<DeviceId>, with_let_in: bool, yes: bool, session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let known = client.call(&DeviceList {}).await?;
    let more = let_in_by(&known, &named);
    let include = with_let_in || (!more.is_empty() && !yes && asked_for_more(&more)?);
    if include {
        named.extend(more);
    }
    if !yes && !agreed(&known, &named)? {
        return Err(Failure::Usage("nothing was revoked".to_owned()));
    }
    client.call(&DeviceRevoke { device_ids: named.clone() }).await?;
    let gone = during("Revoking", session.out.is_json(), ended(&client, &named)).await?;
    session.out.answer(&gone, |gone| match gone.devices.len() {
        0 => vec!["kept; it happens as soon as the server can be reached".to_owned()],
        _ => gone.devices.iter().map(|device| format!("revoked {}", device.device_id)).collect(),
    })
}

/// Active devices that came in through those named, and are not named themselves.
fn let_in_by(known: &Devices, named: &[DeviceId]) -> Vec<DeviceId> {
    let of_named = known.devices.iter().filter(|device| named.contains(&device.device_id));
    let mut more: Vec<_> = of_named.flat_map(|device| device.let_in.iter().copied()).collect();
    more.retain(|id| !named.contains(id));
    more.sort_unstable();
    more.dedup();
    more
}

fn asked_for_more(more: &[DeviceId]) -> Result<bool, Failure> {
    if !input::has_terminal() {
        return Err(Failure::Usage("these let others in: say --with-let-in, or --yes for these alone".to_owned()));
    }
    let listed: Vec<_> = more.iter().map(|id| format!("    {id}\n")).collect();
    let question = format!(
        "These came in through it; whoever had it may have let in a device of their own:\n{}\
         Type yes to revoke them too: ",
        listed.concat()
    );
    Ok(asked(&question)? == "yes")
}

fn agreed(known: &Devices, named: &[DeviceId]) -> Result<bool, Failure> {
    if !input::has_terminal() {
        return Err(Failure::Usage("say that you mean it: --yes".to_owned()));
    }
    let this = known.devices.iter().any(|device| device.this && named.contains(&device.device_id));
    let this = if this { "This device is one of them: it gets nothing any more.\n" } else { "" };
    let question =
        format!("{this}A revoked device never comes back; it keeps what it has.\nType yes to revoke {}: ", named.len());
    Ok(asked(&question)? == "yes")
}

/// Those of them that are revoked, after a moment.
async fn ended(client: &Client, named: &[DeviceId]) -> Result<Devices, Failure> {
    let mut gone = Vec::new();
    for _ in 0..LOOKS {
        let known = client.call(&DeviceList {}).await?.devices;
        gone = known
            .into_iter()
            .filter(|device| named.contains(&device.device_id) && device.state == DeviceState::Revoked)
            .collect();
        if gone.len() == named.len() {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(Devices { devices: gone })
}

/// After a login that has to wait, where nobody is there to be asked.
pub(super) fn nobody_to_compare() -> Failure {
    RpcError::new(Kind::ApprovalRequired, "a device of the account has to let this one in").into()
}

/// After a login that has to wait: compares, and waits until this device is in.
pub(super) async fn wait(session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let waiting = one_that_waits(&client.call(&DeviceList {}).await?, None)?;
    let digits = compared(&waiting, session)?;
    client.call(&DeviceApprove { device_id: waiting.device_id, digits }).await?;
    session.out.talk(
        "Now `chatctl device approve` on a device of the account. This one waits a day, whether you stay or not.",
    );
    let answer = during("Waiting to be let in", false, heard(let_in(&client))).await?;
    session
        .out
        .answer(&answer, |_| vec!["this device belongs to the account; it begins with an empty history".to_owned()])
}

async fn let_in(client: &Client) -> Result<AccountStatusAnswer, Failure> {
    loop {
        let status = client.call(&AccountStatus {}).await?;
        match status.state {
            AccountState::Ready => return Ok(status),
            AccountState::ApprovalRequired => tokio::time::sleep(LOOK_EVERY).await,
            _ => {
                let refusal = RpcError::new(Kind::ApprovalRequired, "nobody let this device in");
                return Err(refusal.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_of_five() {
        let lines = grouped(&"1234567890".repeat(6));
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], "    12345 67890 12345 67890");
    }
}
