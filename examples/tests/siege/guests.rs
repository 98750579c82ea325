//! Everything that guests can do to others, again and again.

use std::net::IpAddr;
use std::sync::Arc;

use chat_protocol::fixtures::first_device;
use chat_protocol::message::client::{Enrol, Reset};
use chat_server::fixtures::client::{enrol, now, password, register};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::besiegers::Misdeed::{GuessResets, HavePasswordsHashed, RegisterWithoutEnd, SpeakNonsense};
use crate::besiegers::{Misdeed, Tally, Targets};
use crate::member::Town;

/// A connection is ended after sixteen refusals.
const ATTEMPTS: usize = 15;

/// A guest's life.
pub async fn disturb(kind: Misdeed, town: Town, from: IpAddr, targets: Targets, tally: Arc<Tally>) {
    for round in 0.. {
        let victim = &targets.honest[round % targets.honest.len()];
        let came_to_an_end = match kind {
            HavePasswordsHashed => have_hashed(&town, from, round, &tally).await,
            GuessResets => guess_resets(&town, from, victim, &tally).await,
            RegisterWithoutEnd => register_many(&town, from, round, &tally).await,
            SpeakNonsense => speak(&town, from, &rand::random::<[u8; 32]>()).await,
            _ => speak(&town, from, &[]).await,
        };
        if !matches!(kind, HavePasswordsHashed | GuessResets | RegisterWithoutEnd) || came_to_an_end.is_none() {
            tally.note(None);
        }
    }
}

/// Asks for hashes under names nobody has, until the server has had enough.
async fn have_hashed(town: &Town, from: IpAddr, round: usize, tally: &Tally) -> Option<()> {
    let mut guest = town.guest(from).await?;
    let device = first_device(&"nobody".parse().unwrap(), 3, now());
    let one = enrol(&guest, &device, true);
    for attempt in 0..ATTEMPTS {
        let user = format!("n{from}x{round}x{attempt}").replace('.', "-").parse().unwrap();
        let answer = guest.try_call(&Enrol { user, ..one.clone() }).await;
        tally.answer(&answer);
        answer?.ok();
    }
    Some(())
}

/// Tries to begin somebody's account again under one password after the other.
async fn guess_resets(town: &Town, from: IpAddr, victim: &str, tally: &Tally) -> Option<()> {
    let mut guest = town.guest(from).await?;
    let Enrol { user, cert, signature, genesis, .. } =
        enrol(&guest, &first_device(&victim.parse().unwrap(), 3, now()), true);
    for attempt in 0..ATTEMPTS {
        let (user, cert, signature, genesis) = (user.clone(), cert.clone(), signature.clone(), genesis.clone());
        let guess = Reset { user, password: password(&format!("guess {attempt}")), cert, signature, genesis };
        let answer = guest.try_call(&guess).await;
        tally.answer(&answer);
        answer?.ok();
    }
    Some(())
}

/// Takes one name after the other, until the server has had enough.
async fn register_many(town: &Town, from: IpAddr, round: usize, tally: &Tally) -> Option<()> {
    let mut guest = town.guest(from).await?;
    for attempt in 0..ATTEMPTS {
        let answer = guest.try_call(&register(&format!("r{from}x{round}x{attempt}").replace('.', "-"))).await;
        tally.answer(&answer);
        answer?.ok();
    }
    Some(())
}

/// Says so much of no handshake, and waits until the server has had enough.
async fn speak(town: &Town, from: IpAddr, words: &[u8]) -> Option<()> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((from, 0).into()).ok()?;
    let mut stream = socket.connect(town.at()).await.ok()?;
    stream.write_all(words).await.ok()?;
    stream.read_to_end(&mut Vec::new()).await.ok().map(drop)
}
