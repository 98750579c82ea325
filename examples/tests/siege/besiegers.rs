//! Everything that members and guests can do to others, again and again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chat_protocol::fixtures::{first_device, worthless_envelope};
use chat_protocol::ids::{DeviceId, SessionId};
use chat_protocol::message::client::{
    BundleFetch, Enrol, LogFetch, Lookup, OneTimeStatus, PresenceWatch, RoomPost, RoomSince,
};
use chat_protocol::message::{Call, Envelope};
use chat_server::fixtures::client::{enrol, now, register};
use chat_stories::{DEADLINE, Stage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use Misdeed::*;

use crate::member::{Member, Town, Victim};

/// What came of one kind of misdeed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deeds {
    /// The server did as it was asked.
    pub done: u64,
    pub refused: u64,
    /// The server ended the connection, or took none.
    pub cut: u64,
}

/// The same, while it goes on.
#[derive(Debug)]
struct Tally {
    /// Told of every deed.
    changed: Arc<Notify>,
    done: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
}

impl Tally {
    fn new(changed: &Arc<Notify>) -> Arc<Self> {
        let (done, refused, cut) = Default::default();
        Arc::new(Self { changed: Arc::clone(changed), done, refused, cut })
    }

    /// Notes an answer, or that none came since the connection ended.
    fn note<T, E>(&self, outcome: &Option<Result<T, E>>) {
        let count = match outcome {
            Some(Ok(_)) => &self.done,
            Some(Err(_)) => &self.refused,
            None => &self.cut,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    fn note_cut(&self) {
        self.note::<(), ()>(&None);
    }

    fn deeds(&self) -> Deeds {
        let [done, refused, cut] = [&self.done, &self.refused, &self.cut].map(|count| count.load(Ordering::Relaxed));
        Deeds { done, refused, cut }
    }
}

/// What members and guests do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misdeed {
    FloodRoom,
    FillMailbox,
    MakeUpIdentities,
    AskWithoutEnd,
    GrowLog,
    StopReading,
    /// Of guests, as those below.
    HavePasswordsHashed,
    RegisterWithoutEnd,
    SpeakNonsense,
    SayNothing,
}

impl Misdeed {
    /// Whether the server has stopped it at least once, after it had its way where there is anything to have.
    const fn has_met_its_bound(self, deeds: Deeds) -> bool {
        match self {
            FloodRoom | FillMailbox | AskWithoutEnd | GrowLog | RegisterWithoutEnd => {
                deeds.done > 0 && deeds.refused > 0
            }
            // kept by daemons, not refused by the server
            MakeUpIdentities => deeds.done > 0,
            StopReading | SpeakNonsense | SayNothing => deeds.cut > 0,
            HavePasswordsHashed => deeds.refused > 0,
        }
    }
}

const OF_MEMBERS: [Misdeed; 6] = [FloodRoom, FillMailbox, MakeUpIdentities, AskWithoutEnd, GrowLog, StopReading];
const OF_GUESTS: [Misdeed; 4] = [HavePasswordsHashed, RegisterWithoutEnd, SpeakNonsense, SayNothing];

/// How many of so many members do this.
pub fn doing(kind: Misdeed, members: usize) -> u64 {
    (0..members).filter(|number| OF_MEMBERS[number % OF_MEMBERS.len()] == kind).count() as u64
}

/// Those who misbehave, on threads of their own.
pub struct Siege {
    runtime: Runtime,
    stop: CancellationToken,
    besiegers: Vec<JoinHandle<()>>,
    tallies: BTreeMap<Misdeed, Arc<Tally>>,
    changed: Arc<Notify>,
}

impl Siege {
    pub fn begin(stage: &Stage, members: usize, guests: usize, honest: &[String], away: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            // the machine they would bring along is not the server's
            .on_thread_start(|| {
                rustix::process::nice(19).unwrap();
            })
            .build()
            .unwrap();
        let town = Town::of(&stage.server.invite());
        let kinds = OF_MEMBERS.iter().chain(&OF_GUESTS);
        let changed = Arc::default();
        let mut siege = Self {
            runtime,
            stop: CancellationToken::new(),
            besiegers: Vec::new(),
            tallies: kinds.map(|kind| (*kind, Tally::new(&changed))).collect(),
            changed,
        };
        for number in 0..members {
            let kind = OF_MEMBERS[number % OF_MEMBERS.len()];
            let (town, honest, away) = (town.clone(), honest.to_vec(), away.to_owned());
            siege.spawn(kind, move |tally| misbehave(kind, town, u8::try_from(number).unwrap(), honest, away, tally));
        }
        for number in 0..guests {
            let kind = OF_GUESTS[number % OF_GUESTS.len()];
            let (town, from) = (town.clone(), IpAddr::from([127, 0, 9, u8::try_from(number).unwrap() + 1]));
            siege.spawn(kind, move |tally| disturb(kind, town, from, tally));
        }
        siege
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(&mut self, kind: Misdeed, deed: impl FnOnce(Arc<Tally>) -> F) {
        let (stop, deed) = (self.stop.clone(), deed(Arc::clone(&self.tallies[&kind])));
        self.besiegers.push(self.runtime.spawn(async move { stop.run_until_cancelled(deed).await.unwrap_or(()) }));
    }

    /// Waits until every kind has come up against its bound.
    pub fn until_under_way(&self) {
        let met = async {
            while self.tallies.iter().any(|(kind, tally)| !kind.has_met_its_bound(tally.deeds())) {
                assert!(!self.besiegers.iter().any(JoinHandle::is_finished), "a besieger gave up");
                self.changed.notified().await;
            }
        };
        let in_time = self.runtime.block_on(async { tokio::time::timeout(DEADLINE, met).await });
        assert!(in_time.is_ok(), "{:?}", self.tallies);
    }

    /// Ends it. Fails if anybody had given up before.
    pub fn end(self) -> Vec<(Misdeed, Deeds)> {
        assert!(!self.besiegers.iter().any(JoinHandle::is_finished), "a besieger gave up");
        self.stop.cancel();
        self.runtime.shutdown_background();
        self.tallies.into_iter().map(|(kind, tally)| (kind, tally.deeds())).collect()
    }
}

/// A member's life: what is refused is tried again, who is cut off comes back.
async fn misbehave(kind: Misdeed, town: Town, number: u8, honest: Vec<String>, away: String, tally: Arc<Tally>) {
    let mut member = Member::join(&town, number).await;
    let mut victims = Vec::new();
    for name in &honest {
        victims.push(member.look_up(name).await);
    }
    let away = member.look_up(&away).await;
    for round in 0.. {
        let victim = &victims[round % victims.len()];
        let goes_on = match kind {
            FloodRoom => flood_room(&mut member, &tally).await,
            FillMailbox => fill_mailbox(&mut member, &away, &tally).await,
            MakeUpIdentities => make_up_identity(&mut member, victim, &tally).await,
            AskWithoutEnd => ask_much(&mut member, victim, round, &tally).await,
            GrowLog => grow_log(&mut member, victim, &tally).await,
            _ => stop_reading(&mut member, &tally).await,
        };
        member.client.forget_pushes();
        while goes_on.is_none() && !member.come_back().await {
            tally.note_cut();
        }
    }
}

async fn flood_room(member: &mut Member, tally: &Tally) -> Option<()> {
    let post = RoomPost { submit_id: member.next_submit(), text: "x".repeat(8 * 1024) };
    tried(member, &post, tally).await
}

async fn fill_mailbox(member: &mut Member, away: &Victim, tally: &Tally) -> Option<()> {
    let answer = member.submit(away, worthless_envelope(64 * 1024)).await;
    tally.note(&answer);
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
        tally.note(&answer);
        answer?.ok();
    }
    Some(())
}

async fn ask_much(member: &mut Member, victim: &Victim, round: usize, tally: &Tally) -> Option<()> {
    let nobody = format!("nobody{round}").parse().unwrap();
    let fetch = |user, device| BundleFetch { user, device };
    tried(member, &fetch(nobody, DeviceId::new(rand::random())), tally).await?;
    tried(member, &fetch(victim.user.clone(), victim.device()), tally).await?;
    tried(member, &LogFetch { user: victim.user.clone(), from: 0 }, tally).await?;
    tried(member, &Lookup { users: vec![victim.user.clone(); 100] }, tally).await?;
    tried(member, &PresenceWatch { visible: round.is_multiple_of(2) }, tally).await
}

/// Makes the account's log longer, and has a victim read it, as far as bundles are given out.
async fn grow_log(member: &mut Member, victim: &Victim, tally: &Tally) -> Option<()> {
    let answer = member.grow_log().await;
    tally.note(&answer);
    answer?.ok();
    match member.under_own_log(victim).await {
        Some(init) => member.submit(victim, init).await.map(drop),
        None => member.client.try_call(&OneTimeStatus {}).await.map(drop),
    }
}

/// Asks for the room's newest posts again and again, and reads none of the answers, until the server has had enough.
async fn stop_reading(member: &mut Member, tally: &Tally) -> Option<()> {
    while member.client.try_ask(&RoomSince { seq: None, max: 100 }).await.is_some() {
        tokio::task::yield_now().await;
    }
    tally.note_cut();
    None
}

async fn tried<T: Call>(member: &mut Member, call: &T, tally: &Tally) -> Option<()> {
    let answer = member.client.try_call(call).await;
    tally.note(&answer);
    answer.map(drop)
}

/// A guest's life.
async fn disturb(kind: Misdeed, town: Town, from: IpAddr, tally: Arc<Tally>) {
    for round in 0.. {
        let came_to_an_end = match kind {
            HavePasswordsHashed => have_hashed(&town, from, round, &tally).await,
            RegisterWithoutEnd => register_many(&town, from, round, &tally).await,
            SpeakNonsense => speak(&town, from, &rand::random::<[u8; 32]>()).await,
            _ => speak(&town, from, &[]).await,
        };
        if !matches!(kind, HavePasswordsHashed | RegisterWithoutEnd) || came_to_an_end.is_none() {
            tally.note_cut();
        }
    }
}

/// Asks for hashes under names nobody has, until the server has had enough.
async fn have_hashed(town: &Town, from: IpAddr, round: usize, tally: &Tally) -> Option<()> {
    let mut guest = town.guest(from).await?;
    let device = first_device(&"nobody".parse().unwrap(), 3, now());
    let one = enrol(&guest, &device, true);
    for attempt in 0..15 {
        let user = format!("n{from}x{round}x{attempt}").replace('.', "-").parse().unwrap();
        let answer = guest.try_call(&Enrol { user, ..one.clone() }).await;
        tally.note(&answer);
        answer?.ok();
    }
    Some(())
}

/// Takes one name after the other, until the server has had enough.
async fn register_many(town: &Town, from: IpAddr, round: usize, tally: &Tally) -> Option<()> {
    let mut guest = town.guest(from).await?;
    for attempt in 0..15 {
        let answer = guest.try_call(&register(&format!("r{from}x{round}x{attempt}").replace('.', "-"))).await;
        tally.note(&answer);
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
