//! What the fake daemon holds and how it changes: what a test makes happen, and what the methods have in common.

use super::*;

pub struct State {
    pub info: DaemonInfoAnswer,
    pub health: Health,
    pub log: Vec<Event>,
    pub oldest: u64,
    pub messages: Vec<Message>,
    /// What `chat.list` answers.
    pub chats: Vec<Chat>,
    pub(super) keys: HashMap<String, Sent>,
    pub online: HashSet<String>,
    /// Every secret that arrived.
    pub secrets: Vec<String>,
    pub logged_in: bool,
    /// How the account stands, if not as [`Self::logged_in`] has it.
    pub account: Option<AccountStatusAnswer>,
    /// What is said instead of entering an account.
    pub enrolment: Option<RpcError>,
    /// What is said instead of sending to these.
    pub refuses: HashMap<String, RpcError>,
    pub consumers: BTreeMap<Name, u64>,
    pub settings: Settings,
    pub trust: BTreeMap<Username, IdentityState>,
    pub policies: BTreeMap<ChatId, TrustPolicy>,
    pub devices: Vec<Device>,
    pub contacts: BTreeMap<Username, Contact>,
    pub profiles: BTreeMap<Username, Profile>,
    pub values: BTreeMap<(Name, String), KvEntry>,
    /// How often a consumer's place was stored.
    pub acks: u64,
    /// Whether `msg.wait` is not answered, as if its time were not over.
    pub waits: bool,
    pub tokens: BTreeMap<Name, (Token, TokenHash)>,
    /// What tokens were used for, the oldest first.
    pub journal: Vec<AuditEntry>,
}

pub struct Fake {
    pub(super) state: Mutex<State>,
    pub(super) newest: watch::Sender<u64>,
    pub(super) metrics: Metrics,
    pub(super) volatile: broadcast::Sender<WrittenEvent>,
    /// `presence.list` waits for a permit and gives it back.
    pub gate: Semaphore,
    pub stop: CancellationToken,
    /// By method: a `Reply` each.
    pub(super) replies: HashMap<&'static str, Box<dyn Any + Send + Sync>>,
}

pub fn user(name: &str) -> Username {
    name.parse().unwrap()
}

impl Fake {
    pub fn new() -> Arc<Self> {
        let state = State {
            info: info(),
            health: health(),
            log: Vec::new(),
            oldest: 1,
            messages: Vec::new(),
            chats: Vec::new(),
            keys: HashMap::new(),
            online: HashSet::new(),
            secrets: Vec::new(),
            logged_in: true,
            account: None,
            enrolment: None,
            refuses: HashMap::new(),
            consumers: BTreeMap::new(),
            settings: Settings {
                read_receipts: true,
                presence: true,
                history_days: 0,
                event_days: 30,
                max_events: 1_000_000,
                trust_policy: TrustPolicy::Tofu,
                outbox_days: 30,
            },
            trust: BTreeMap::new(),
            policies: BTreeMap::new(),
            devices: Vec::new(),
            contacts: BTreeMap::new(),
            profiles: BTreeMap::new(),
            values: BTreeMap::new(),
            acks: 0,
            waits: false,
            tokens: BTreeMap::new(),
            journal: Vec::new(),
        };
        let mut fake = Self {
            state: Mutex::new(state),
            newest: watch::Sender::new(0),
            metrics: Metrics::new().unwrap(),
            volatile: broadcast::Sender::new(16),
            gate: Semaphore::new(1),
            stop: CancellationToken::new(),
            replies: HashMap::new(),
        };
        account::add(&mut fake);
        people::add(&mut fake);
        messages::add(&mut fake);
        values::add(&mut fake);
        Arc::new(fake)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn contact(&self, user: &Username, change: impl FnOnce(&mut Contact)) -> Contact {
        let empty = || Contact { user: user.clone(), alias: None, note: None, blocked: false, profile: None };
        let mut state = self.state();
        let contact = state.contacts.entry(user.clone()).or_insert_with(empty);
        change(contact);
        contact.clone()
    }

    /// Appends to the durable log, as a commit would.
    pub fn append(&self, chat: Option<&Target>, body: &EventBody) {
        let mut state = self.state();
        let seq = state.oldest + state.log.len() as u64;
        state.log.push(Event::durable(seq, NOW, chat.map(ChatId::from), body));
        drop(state);
        self.newest.send_replace(seq);
    }

    /// Wakes when the log grows.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Waits until somebody listens.
    pub async fn subscribed(&self) {
        while self.newest.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
    }

    pub fn say(&self, body: &EventBody) {
        self.volatile.send(WrittenEvent::volatile(NOW, None, body)).unwrap();
    }

    /// Forgets the oldest events.
    pub fn trim(&self, count: usize) {
        let mut state = self.state();
        state.log.drain(..count);
        state.oldest += count as u64;
    }

    /// A message arrives.
    pub fn receive(&self, from: &str, text: &str) -> MessageId {
        let target = Target::User(user(from));
        self.store(&target, from, text, None)
    }

    /// A message is said in the room.
    pub fn overhear(&self, from: &str, text: &str) -> MessageId {
        self.store(&Target::Room, from, text, None)
    }

    pub fn moved(&self, id: MessageId, state: MessageState) {
        let moved = StatusChanged { id, state, user: None, error: None };
        self.append(None, &EventBody::MessageStatus(moved));
    }

    pub(super) fn store(&self, chat: &Target, from: &str, text: &str, state: Option<MessageState>) -> MessageId {
        let number = self.state().messages.len() as u128 + 1;
        let id = number.to_be_bytes();
        let message = Message {
            reply_to: None,
            mentions: Vec::new(),
            edited_ms: None,
            deleted: false,
            reactions: Vec::new(),
            expires_ms: None,
            at_ms: None,
            from_bot: false,
            unverified_log: false,
            unverified_device: false,
            notice: false,
            id: MessageId::new(id),
            chat: ChatId::from(chat),
            from: user(from),
            outgoing: state.is_some(),
            text: text.to_owned(),
            sent_ms: NOW,
            stored_ms: NOW,
            state,
            error: None,
            held: None,
            late: false,
            client_id: None,
        };
        self.state().messages.push(message.clone());
        self.append(Some(chat), &EventBody::MessageNew(message));
        MessageId::new(id)
    }

    /// Changes a message that is there.
    pub(super) fn change(&self, id: MessageId, change: impl FnOnce(&mut Message)) -> Answer<Message> {
        let mut state = self.state();
        let message = state.messages.iter_mut().find(|message| message.id == id).ok_or(Kind::NotFound)?;
        change(message);
        Ok(message.clone())
    }

    pub(super) fn enter(
        &self,
        user: Username,
        password: Answer<PasswordFrom>,
        server: Answer<Option<ServerAccess>>,
    ) -> Answer<Entered> {
        if let Some(refusal) = self.state().enrolment.clone() {
            return Err(refusal);
        }
        if let Some(ServerAccess::Invite(invite)) = server? {
            self.state().secrets.push(invite.expose().to_owned());
        }
        let PasswordFrom::Given(password) = password? else {
            return Err(RpcError::invalid("password_file", "not here"));
        };
        self.state().secrets.push(password.expose().to_owned());
        if password.expose() != PASSWORD {
            return Err(RpcError::new(Kind::BadCredentials, "wrong user or password"));
        }
        self.state().logged_in = true;
        Ok(Entered {
            state: EnteredState::Ready,
            user,
            device_id: DeviceId::new([2; 16]),
            fingerprint: Some(Fingerprint::new([3; 32])),
            digits: None,
        })
    }

    pub(super) fn peer(&self, user: Username) -> PeerIdentity {
        let state = self.state().trust.get(&user).copied();
        identity::peer(user, state)
    }

    pub(super) fn trust(&self, user: Username, state: IdentityState) -> PeerIdentity {
        self.state().trust.insert(user.clone(), state);
        self.peer(user)
    }
}

fn info() -> DaemonInfoAnswer {
    DaemonInfoAnswer {
        version: "0.1.0".to_owned(),
        api: "1".to_owned(),
        profile: "default".to_owned(),
        data_dir: "/data".to_owned(),
        socket: "/data/chat.sock".to_owned(),
        pid: 7,
        uptime_ms: 1_000,
        limits: DaemonLimits::current(),
        features: Vec::new(),
    }
}

fn health() -> Health {
    let connection = Connection {
        state: ConnectionState::Online,
        since_ms: NOW,
        server: Some("chat.example:8897".to_owned()),
        last_rx_ms: None,
        trouble: None,
        rtt_ms: Some(12),
        clock_offset_ms: Some(0),
        reason: None,
        next_retry_ms: None,
    };
    Health {
        live: true,
        ready: true,
        reason: None,
        connection,
        outbox: OutboxHealth { queued: 0, failed: 0 },
        consumers: Vec::new(),
        store: StoreHealth { bytes: 4096, locked: false, failure: None },
    }
}
