//! What comes, what is to go, and the history.

use super::*;
use chat_protocol::rpc::types::{FailReason, MessageState};

samples! {
    Raw: Raw {
        position: 71, from: user("bob"), device: device(0xd1), envelope: envelope(), arrived: at(72), told: true,
    };
    WaitingInit: waiting_init(), WaitingInit { fingerprint: None, ..waiting_init() };
    Refused: Refused { user: user("bob"), device: device(0xd1), since: at(73), times: 74 };
    Stream: Stream { epoch: 75, next: 76, given_up: vec![77, 78] };
    StreamId: StreamId { chat: text("@bob"), user: user("bob"), device: device(0xd1) };
    Buffered: early(AuthorEvent::Message(Box::new(message(None)))),
        early(AuthorEvent::Change(change(ChangeKind::Delete))), early(AuthorEvent::Unheard);
    Request: Request {
        user: user("mallory"), number: 131, since: at(132), kept: at(133), messages: 134, bytes: 135,
        text: Some(text("hello")), declined: true, dropped: true,
    };
    RequestedMessage: RequestedMessage {
        number: 136, device: device(0xd2), author: fingerprint(0xf7), speaks: true, plaintext: blob(0xab),
    };
    AheadMessage: AheadMessage { number: 80, user: user("bob"), device: device(0xd1), plaintext: blob(0xaa) };
}

fn waiting_init() -> WaitingInit {
    WaitingInit {
        position: 71,
        from: user("bob"),
        device: device(0xd1),
        fingerprint: Some(fingerprint(0xf1)),
        arrived: at(72),
        told: true,
        times: 74,
    }
}

fn envelope() -> message::Envelope {
    message::Envelope { sid: session_id(0x54), header: blob(0x91), token: blob(0x92), init: Some(blob(0x93)) }
}

fn early(said: AuthorEvent) -> Buffered {
    Buffered { said, until: at(79) }
}

// what is to go
samples! {
    Item: item();
    PendingReceipt: PendingReceipt { user: user("bob"), device: device(0xd1), due: at(81), read: Some((82, 83)) };
    PendingOwnReceipt: own_receipt();
    PendingLog: PendingLog { user: user("bob"), device: device(0xd1), subject: user("carol") };
    ToldProfile: ToldProfile { version: 84, session: session_id(0x55), at: at(85) };
    Change: change(ChangeKind::Edit(text("better"))), change(ChangeKind::Delete), change(ChangeKind::React(text("+")));
    PendingSubmit: pending(SubmitKind::Message(item())), pending(SubmitKind::Post(message_id(0x2d))),
        pending(SubmitKind::Receipt(user("bob"), device(0xd1), Some((86, 87)))),
        pending(SubmitKind::Profile(user("bob"), device(0xd1))), pending(SubmitKind::Log(user("bob"), device(0xd1))),
        pending(SubmitKind::OwnDevice(own_receipt())), pending(SubmitKind::Reset(user("bob"), device(0xd1)));
}

fn item() -> Item {
    Item {
        position: 91,
        id: message_id(0x1d),
        to: user("bob"),
        number: Some((92, 93)),
        refused: 94,
        after: at(95),
        only: Some(device(0xd1)),
    }
}

fn own_receipt() -> PendingOwnReceipt {
    let reads = vec![Read { device: device(0xd6), number: (96, 97) }];
    PendingOwnReceipt { device: device(0xd1), peer: user("bob"), reads, after: at(98) }
}

fn change(kind: ChangeKind) -> Change {
    Change {
        chat: text("@bob"),
        by: user("carol"),
        author: Some(fingerprint(0xf5)),
        target: message_id(0x3d),
        at: at(101),
        kind,
        kept: at(102),
    }
}

fn pending(kind: SubmitKind) -> PendingSubmit {
    let submit_id = SubmitId::new(103, [0x5c; 8]);
    PendingSubmit { submit_id, number: 104, payload: blob(0xb7), kind, after: at(105), put_off: 106 }
}

// the history
samples! {
    // one flag each, so that none is taken for another
    Message: Message { mine: true, ..message(Some(MessageState::Queued)) }, Message { late: true, ..message(Some(MessageState::Accepted)) },
        Message { deleted: true, ..message(Some(MessageState::NotReceived)) }, Message { from_bot: true, ..message(Some(MessageState::Delivered)) },
        Message { unverified_log: true, ..message(Some(MessageState::Read)) },
        Message { unverified_device: true, ..message(Some(MessageState::Failed)) },
        Message { resent: true, ..message(Some(MessageState::Cancelled)) }, message(None),
        of_kind(MessageKind::Unsupported), of_kind(MessageKind::Malformed), of_kind(MessageKind::Notice);
    Chat: Chat {
        id: text("@bob"), unread: 111, read_to: 112, last: 113, muted_until: at(114), archived: true, activity: 115,
        ttl_s: Some(116), mentions: 117, bytes: 121, wrote: true,
    };
    ReadThere: ReadThere { read: Read { device: device(0xd7), number: (118, 119) }, by: device(0xd8) };
    KeptEvent: KeptEvent { json: None, at: at(120), written: Some(written()), total: Some(122) };
}

fn written() -> Written {
    Written { time_ms: 121, kind: text("chat.read"), chat: Some(text("@bob")), outgoing: true, data: text("{}") }
}

fn of_kind(kind: MessageKind) -> Message {
    Message { kind, ..message(None) }
}

fn message(state: Option<MessageState>) -> Message {
    Message {
        id: message_id(0x1d),
        chat: text("@bob"),
        from: user("carol"),
        device: Some(device(0xd1)),
        mine: false,
        kind: MessageKind::Text,
        text: text("what it says"),
        sent: at(1),
        stored: at(2),
        state,
        late: false,
        error: Some(FailReason::Expired),
        delivered: Some(at(3)),
        read: Some(at(4)),
        client_id: Some(text("a-name")),
        room_seq: Some(5),
        reply_to: Some(message_id(0x2d)),
        number: Some((6, 7)),
        mentions: vec![user("dave")],
        ttl_s: Some(8),
        expires: Some(at(9)),
        at: Some(at(10)),
        edited: Some(at(11)),
        deleted: false,
        reactions: vec![Reaction { user: user("erin"), emoji: text("+") }],
        author: Some(fingerprint(0xf6)),
        queued_at: Some(12),
        told_in: vec![13, 14],
        accepted: Some(at(15)),
        from_bot: false,
        unverified_log: false,
        unverified_device: false,
        kept: at(16),
        silent: Some(at(17)),
        resent: false,
    }
}
