//! Everything that members can do to others, again and again.

use std::sync::Arc;

use chat_protocol::fixtures::worthless_envelope;
use chat_protocol::ids::{DeviceId, SessionId};
use chat_protocol::message::client::{
    BundleFetch, ChangePassword, LogFetch, Lookup, OneTimeStatus, PresenceWatch, ResetCancel, RoomPost, RoomSince,
};
use chat_protocol::message::{Call, Envelope};
use chat_server::fixtures::client::password;
use tokio::io::AsyncReadExt;

use crate::besiegers::Misdeed::{
    AskForNobody, AskWithoutEnd, FillMailbox, FloodRoom, GrowLog, GuessPassword, MakeUpIdentities, NeverEnd,
    SubmitLargest, WriteToStrangers,
};
use crate::besiegers::{Misdeed, Tally, Targets};
use crate::member::{Member, Town, Victim};

/// Bytes of the largest content.
const LARGEST: usize = 64 * 1024;
/// So many of those fit a record.
const IN_ONE: usize = 4;
/// Requests on their way at once.
const AT_ONCE: usize = 16;

/// A member's life: what is refused is tried again, who is cut off comes back.
pub async fn misbehave(kind: Misdeed, town: Town, number: u8, targets: Targets, tally: Arc<Tally>) {
    let mut member = Member::join(&town, number).await;
    let mut victims = Vec::new();
    for name in &targets.honest {
        victims.push(member.look_up(name).await);
    }
    let (away, reserved) = (member.look_up(&targets.away).await, member.look_up(&targets.reserved).await);
    for round in 0.. {
        let victim = &victims[round % victims.len()];
        let stranger = if round.is_multiple_of(2) { &reserved } else { victim };
        let goes_on = match kind {
            FloodRoom => flood_room(&mut member, &tally).await,
            FillMailbox => fill_mailbox(&mut member, &away, &tally).await,
            MakeUpIdentities => make_up_identity(&mut member, victim, &tally).await,
            AskWithoutEnd => ask_much(&mut member, victim, &tally).await,
            AskForNobody => ask_for_nobody(&mut member, round, &tally).await,
            GrowLog => grow_log(&mut member, victim, &tally).await,
            GuessPassword => guess_password(&mut member, round, &tally).await,
            WriteToStrangers => write_to(&mut member, stranger, &tally).await,
            SubmitLargest => submit_largest(&mut member, &victims, &tally).await,
            NeverEnd => never_end(&mut member, &tally).await,
            _ => stop_reading(&mut member, &tally).await,
        };
        member.client.forget_pushes();
        while goes_on.is_none() && !member.come_back().await {
            tally.note(None);
        }
    }
}

async fn flood_room(member: &mut Member, tally: &Tally) -> Option<()> {
    let post = RoomPost { submit_id: member.next_submit(), text: "x".repeat(8 * 1024) };
    tried(member, &post, tally).await
}

async fn fill_mailbox(member: &mut Member, away: &Victim, tally: &Tally) -> Option<()> {
    let answer = member.submit(away, worthless_envelope(LARGEST)).await;
    tally.answer(&answer);
    answer.map(drop)
}

/// Some of one INIT, each on a session of its own.
async fn make_up_identity(member: &mut Member, victim: &Victim, tally: &Tally) -> Option<()> {
    let Some(init) = member.made_up(victim).await else {
        // bundles are rationed
        return member.client.try_call(&OneTimeStatus {}).await.map(drop);
    };
    for _ in 0..20 {
        let envelope = Envelope { sid: SessionId::new(rand::random()), ..init.clone() };
        let answer = member.submit(victim, envelope).await;
        tally.answer(&answer);
        answer?.ok();
    }
    Some(())
}

async fn ask_much(member: &mut Member, victim: &Victim, tally: &Tally) -> Option<()> {
    tried(member, &BundleFetch { user: victim.user.clone(), device: victim.device() }, tally).await?;
    tried(member, &LogFetch { user: victim.user.clone(), from: 0 }, tally).await?;
    let lookup = Lookup { users: vec![victim.user.clone(); 100] };
    tried_at_once(member, vec![lookup; AT_ONCE], tally).await
}

/// Asks for people who do not exist, and about what was never begun.
async fn ask_for_nobody(member: &mut Member, round: usize, tally: &Tally) -> Option<()> {
    let user = format!("nobody{round}").parse().unwrap();
    let nobody = BundleFetch { user, device: DeviceId::new(rand::random()) };
    tried_at_once(member, vec![nobody; AT_ONCE], tally).await?;
    tried(member, &ResetCancel {}, tally).await?;
    tried(member, &PresenceWatch { visible: round.is_multiple_of(2) }, tally).await
}

/// Makes the account's log longer, and has a victim read it, as far as bundles are given out.
async fn grow_log(member: &mut Member, victim: &Victim, tally: &Tally) -> Option<()> {
    let answer = member.grow_log().await;
    tally.answer(&answer);
    answer?.ok();
    match member.under_own_log(victim).await {
        Some(init) => member.submit(victim, init).await.map(drop),
        None => member.client.try_call(&OneTimeStatus {}).await.map(drop),
    }
}

/// Tries passwords, as whoever found a device that is logged in.
async fn guess_password(member: &mut Member, round: usize, tally: &Tally) -> Option<()> {
    let change = ChangePassword { old: password(&format!("guess {round}")), new: password("a new horse") };
    tried(member, &change, tally).await
}

/// Writes to somebody who does not know the member: real messages, in their order.
async fn write_to(member: &mut Member, stranger: &Victim, tally: &Tally) -> Option<()> {
    let Some(envelope) = member.said_to(stranger).await else {
        return member.client.try_call(&OneTimeStatus {}).await.map(drop);
    };
    let answer = member.submit(stranger, envelope).await;
    tally.answer(&answer);
    if answer?.is_ok() {
        member.was_taken(stranger);
    }
    Some(())
}

/// Submits of the largest size, more of them at once than the server lets wait.
async fn submit_largest(member: &mut Member, victims: &[Victim], tally: &Tally) -> Option<()> {
    let to: Vec<_> = victims.iter().take(IN_ONE).map(|victim| (victim, worthless_envelope(LARGEST))).collect();
    let mut asked = Vec::new();
    for _ in 0..AT_ONCE {
        asked.push(member.ask_submit(&to).await);
    }
    for id in asked {
        let answer = member.submitted(id).await;
        tally.answer(&answer);
        answer?.ok();
    }
    Some(())
}

/// Begins a record of the largest size, and waits for the server to lose its patience.
async fn never_end(member: &mut Member, tally: &Tally) -> Option<()> {
    member.client.send_raw(&500_000u32.to_be_bytes()).await;
    member.client.send_raw(&[b'A'; 100_000]).await;
    tally.note(Some(true));
    let mut rest = Vec::new();
    let _ended = member.client.socket.read_to_end(&mut rest).await;
    tally.note(None);
    None
}

/// Asks for the room's newest posts again and again, and reads none of the answers, until the server has had enough.
async fn stop_reading(member: &mut Member, tally: &Tally) -> Option<()> {
    while member.client.try_ask(&RoomSince { seq: None, max: 100 }).await.is_some() {
        tokio::task::yield_now().await;
    }
    tally.note(None);
    None
}

/// Asks for several things without waiting in between.
async fn tried_at_once<T: Call>(member: &mut Member, calls: Vec<T>, tally: &Tally) -> Option<()> {
    let mut asked = Vec::new();
    for call in calls {
        asked.push(member.client.ask(&call).await);
    }
    for id in asked {
        let answer = member.client.try_answer::<T>(id).await;
        tally.answer(&answer);
        answer?.ok();
    }
    Some(())
}

async fn tried<T: Call>(member: &mut Member, call: &T, tally: &Tally) -> Option<()> {
    let answer = member.client.try_call(call).await;
    tally.answer(&answer);
    answer.map(drop)
}
