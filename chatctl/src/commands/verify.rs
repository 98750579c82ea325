//! `verify`: comparing identities, with the words a careful person needs at that moment.

use std::io::{self, BufRead, Write};

use chat_protocol::identity::code::IdentityCode;
use chat_protocol::identity::safety_number::SafetyNumber;
use chat_protocol::ids::Username;
use chat_protocol::rpc::types::{
    IdentityGet, IdentitySelf, IdentityState, IdentityVerify, OwnIdentity, PeerIdentity, SeenIdentity,
};
use chat_protocol::rpc::{Kind, RpcError};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use crate::cli::trust::{Code, Verify};
use crate::error::Failure;
use crate::input;
use crate::output::text::time;
use crate::session::Session;

/// Groups of five digits on a line.
const ON_A_LINE: usize = 4;

/// `chatctl verify …`
pub(super) async fn run(verify: Verify, session: &mut Session) -> Result<(), Failure> {
    let Verify { user, safety_number, qr } = verify;
    let Some(user) = user else { return show_code(session).await };
    let code = match qr {
        Some(Some(Code::Text(code))) => Some(code),
        Some(Some(Code::Stdin)) => Some(from_stdin(session)?),
        Some(None) => return Err(Failure::Usage("say what their QR code says: --qr TEXT, or --qr -".to_owned())),
        None => None,
    };
    if safety_number.is_some() || code.is_some() {
        return noted(IdentityVerify { user, fingerprint: None, safety_number, qr: code }, session).await;
    }
    let identity = session.client().await?.call(&IdentityGet { user: user.clone() }).await?;
    if session.out.is_json() {
        return session.out.object(&identity);
    }
    session.out.answer(&identity, explained)?;
    if !input::has_terminal() {
        let why = format!("nobody is there to say whether @{user} sees the same: use --safety-number or --qr -");
        return Err(Failure::Usage(why));
    }
    let number = ask(&identity)?;
    noted(IdentityVerify { user, fingerprint: None, safety_number: Some(number), qr: None }, session).await
}

async fn noted(params: IdentityVerify, session: &mut Session) -> Result<(), Failure> {
    let done = |identity: &PeerIdentity| vec![format!("verified: messages to @{0} go to @{0}", identity.user)];
    session.simple(&params, done).await
}

fn from_stdin(session: &Session) -> Result<IdentityCode, Failure> {
    let text = session.line("text of the QR code")?;
    text.expose().parse().map_err(|error| Failure::Refused(RpcError::invalid("qr", format!("{error}"))))
}

/// The own code, to be scanned by the other's camera.
async fn show_code(session: &mut Session) -> Result<(), Failure> {
    let own = session.client().await?.call(&IdentitySelf {}).await?;
    if session.out.is_json() {
        return session.out.object(&own);
    }
    let lines = drawn(&own)?;
    session.out.answer(&own, |_| lines)
}

fn drawn(own: &OwnIdentity) -> Result<Vec<String>, Failure> {
    let text = own.qr.to_string();
    let code = QrCode::with_error_correction_level(&text, EcLevel::L)
        .map_err(|error| Failure::Malformed(format!("no QR code holds it: {error}")))?;
    // terminals are dark more often than not: what is light in the code is drawn
    let picture = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let mut lines: Vec<_> = picture.lines().map(str::to_owned).collect();
    lines.push(text);
    Ok(lines)
}

/// A safety number as people read it to each other.
pub(super) fn grouped(number: &SafetyNumber) -> Vec<String> {
    let groups: Vec<_> = number.groups().collect();
    groups.chunks(ON_A_LINE).map(|line| format!("    {}", line.join(" "))).collect()
}

/// What a person has to know before saying that numbers are alike.
fn explained(identity: &PeerIdentity) -> Vec<String> {
    let user = &identity.user;
    let undecided = undecided(identity);
    let mut lines = match undecided.len() {
        0 | 1 => {
            let mut lines = vec![format!("Safety number of you and @{user}:")];
            lines.extend(identity.safety_number.iter().flat_map(grouped));
            lines
        }
        _ => {
            let mut lines = vec![format!("Somebody else claims to be @{user} now. Each claim has its own number:")];
            for (place, seen) in undecided.iter().enumerate() {
                let what = if seen.state == IdentityState::Changed { "claimed" } else { "known" };
                lines.push(format!("  {}. {what} since {}", place + 1, time(seen.first_seen_ms)));
                lines.extend(seen.safety_number.iter().flat_map(grouped));
            }
            lines
        }
    };
    lines.push(format!(
        "Ask {user} for theirs where nobody can lie to you: face to face, or by telephone. `chatctl verify` shows it \
         there.\nNot in this chat: whoever sits in the middle would write what you want to read."
    ));
    if !identity.refreshed {
        lines.push("The server cannot be asked now: the numbers may be out of date.".to_owned());
    }
    if identity.log_withheld {
        lines
            .push(format!("{user} has said that their devices changed, and the server does not show how. Be careful."));
    }
    lines
}

/// The identities that can be decided for, the known one first.
fn undecided(identity: &PeerIdentity) -> Vec<&SeenIdentity> {
    identity.seen.iter().filter(|seen| seen.safety_number.is_some()).collect()
}

/// Asks which number the other side shows.
fn ask(identity: &PeerIdentity) -> Result<SafetyNumber, Failure> {
    let all = undecided(identity);
    let user = &identity.user;
    let question = match all.len() {
        0 | 1 => format!("Does @{user} see the same 60 digits? Type yes or no: "),
        many => format!("Which does @{user} see? Type 1 to {many}, or none: "),
    };
    let answer = asked(&question)?;
    let chosen = match (all.len(), answer.as_str()) {
        (0 | 1, "yes") => all.first(),
        (0 | 1, _) => None,
        (_, number) => number.parse::<usize>().ok().and_then(|place| all.get(place.checked_sub(1)?)),
    };
    chosen.and_then(|seen| seen.safety_number.clone()).ok_or_else(|| Failure::Refused(differs(user)))
}

/// Asks a person for a word.
pub(super) fn asked(question: &str) -> Result<String, Failure> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_ascii_lowercase())
}

fn differs(user: &Username) -> RpcError {
    RpcError::new(Kind::IdentityUnverified, format!("not verified: @{user} sees something else, or you do not know"))
        .with_hint("if the digits differ, somebody may be in the middle: write nothing secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(seen: &serde_json::Value) -> PeerIdentity {
        serde_json::from_value(serde_json::json!({
            "user": "bob", "state": "tofu", "safety_number": "12345".repeat(12), "seen": seen, "policy": "tofu",
            "refreshed": true
        }))
        .unwrap()
    }

    fn seen(byte: &str, state: &str, number: &str) -> serde_json::Value {
        serde_json::json!({
            "fingerprint": byte.repeat(32), "head": { "seq": 0, "hash": byte.repeat(32) }, "first_seen_ms": 0,
            "state": state, "safety_number": number.repeat(12)
        })
    }

    #[test]
    fn a_number_is_shown_in_groups_with_the_words_it_needs() {
        let text = explained(&identity(&serde_json::json!([seen("03", "tofu", "12345")]))).join("\n");
        assert!(text.contains("    12345 12345 12345 12345\n    12345"), "{text}");
        assert!(text.contains("Not in this chat"), "{text}");
    }

    #[test]
    fn while_a_change_is_open_each_number_says_whose_it_is() {
        let all = serde_json::json!([seen("03", "tofu", "12345"), seen("04", "changed", "67890")]);
        let text = explained(&identity(&all)).join("\n");
        let (known, claimed) = (text.find("1. known").unwrap(), text.find("2. claimed").unwrap());
        assert!(known < text.find("12345").unwrap() && text.find("12345").unwrap() < claimed, "{text}");
        assert!(claimed < text.find("67890").unwrap(), "{text}");
    }
}
