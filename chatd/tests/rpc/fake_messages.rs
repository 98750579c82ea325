//! The fake's chats and messages.

use super::*;

/// Adds them.
pub(super) fn add(fake: &mut Fake) {
    fake.on(|fake, _: ChatList| Ok(ChatPage { chats: fake.state().chats.clone(), cursor: None }));
    fake.on(|fake, params: ChatGet| {
        let Target::User(peer) = &params.to else { return Err(Kind::NotFound.into()) };
        let identity = fake.state().trust.get(peer).copied().ok_or(Kind::NotFound)?;
        let set = ChatSet { to: params.to.clone(), muted_until_ms: None, ttl_s: None, archived: None };
        Ok(Chat { peer: Some(peer.clone()), identity: Some(identity), ..fake.answer(set)? })
    });
    fake.on(|fake, params: ChatSet| {
        let id = ChatId::from(&params.to);
        let last = fake.state().messages.iter().rev().find(|message| message.chat == id).cloned();
        Ok(Chat {
            id,
            kind: ChatKind::Direct,
            title: params.to.to_string(),
            end_to_end: true,
            unread: 0,
            last,
            peer: None,
            identity: None,
            muted_until_ms: params.muted_until_ms.filter(|until| *until > 0),
            ttl_s: params.ttl_s.filter(|ttl_s| *ttl_s > 0),
            archived: params.archived.unwrap_or(false),
        })
    });
    fake.on(|_, params: ChatCanSend| {
        let changed = params.to == Target::User(user("changed"));
        Ok(CanSend { ok: !changed, reasons: changed.then(|| "identity_changed".to_owned()).into_iter().collect() })
    });
    fake.on(|fake, _: ChatUnread| {
        let messages = fake.state().messages.iter().filter(|message| !message.outgoing).count() as u64;
        Ok(Unread { messages, chats: messages.min(1), mentions: 0 })
    });
    fake.on(|fake, params: MsgSend| {
        if let Target::User(name) = &params.to {
            if let Some(refusal) = fake.state().refuses.get(name.as_str()) {
                return Err(refusal.clone());
            }
            match name.as_str() {
                "nobody" => return Err(RpcError::new(Kind::NotFound, "there is no user nobody")),
                "unknown" if params.require_user == Some(true) => {
                    return Err(RpcError::new(Kind::NotFound, "there is no user unknown"));
                }
                "changed" => return Err(RpcError::new(Kind::IdentityChanged, "the identity of @changed has changed")),
                _ => {}
            }
        }
        let known = params.client_id.as_ref().and_then(|key| fake.state().keys.get(key).cloned());
        if let Some(sent) = known {
            return Ok(Sent { duplicate: true, ..sent });
        }
        let id = fake.store(&params.to, "alice", &params.text, Some(MessageState::Queued));
        let sent = Sent { id, chat: ChatId::from(&params.to), state: MessageState::Queued, duplicate: false };
        if let Some(key) = params.client_id {
            fake.state().keys.insert(key, sent.clone());
        }
        Ok(sent)
    });
    fake.on(|fake, params: MsgGet| {
        let found = fake.state().messages.iter().find(|message| message.id == params.id).cloned();
        found.ok_or(Kind::NotFound.into())
    });
    fake.on(|fake, params: MsgList| {
        let (chat, state) = (ChatId::from(&params.to), fake.state());
        let all: Vec<_> = state.messages.iter().filter(|message| message.chat == chat).collect();
        let place = |id: MessageId| all.iter().position(|message| message.id == id);
        if params.before.or(params.after).is_some_and(|id| place(id).is_none()) {
            return Err(RpcError::new(Kind::NotFound, "no such message in this chat"));
        }
        let low = params.after.and_then(place).map_or(0, |place| place + 1);
        let near = &all[low..params.before.and_then(place).unwrap_or(all.len())];
        // as many as fit a line, as with a daemon
        let (mut room, wanted) = (900_000_usize, params.limit.unwrap_or(50) as usize);
        let mut fits = |message: &&Message| {
            room = room.saturating_sub(message.text.len());
            room > 0
        };
        let ordered: Vec<_> = if params.after.is_some() { near.to_vec() } else { near.iter().rev().copied().collect() };
        let limit = ordered.into_iter().take(wanted).take_while(&mut fits).count();
        let page = if params.after.is_some() { &near[..limit] } else { &near[near.len() - limit..] };
        let messages = page.iter().map(|message| (*message).clone()).collect();
        Ok(MessagePage { messages, more: limit < near.len() })
    });
    fake.on(|_, params: MsgStatus| {
        Ok(MessageStatus { id: params.id, state: MessageState::Queued, recipients: Vec::new() })
    });
    fake.on(|fake, params: MsgWait| {
        let found = fake.state().messages.iter().find(|message| message.id == params.id).cloned();
        let state = found.ok_or(Kind::NotFound)?.state.ok_or(Kind::InvalidParams)?;
        if state == params.state {
            return Ok(MessageStatus { id: params.id, state, recipients: Vec::new() });
        }
        // nothing will change here: whoever waits has waited long enough
        Err(Kind::Timeout.into())
    });
    fake.on(|fake, params: MsgCancel| {
        let message = fake.change(params.id, |message| message.state = Some(MessageState::Cancelled))?;
        fake.moved(message.id, MessageState::Cancelled);
        Ok(MessageStatus { id: message.id, state: MessageState::Cancelled, recipients: Vec::new() })
    });
    fake.on(|fake, params: MsgResend| {
        let message = fake.change(params.id, |_| {})?;
        let chat = message.chat;
        let to = chat.as_str().parse().map_err(|_| Kind::NotFound)?;
        let id = fake.store(&to, "alice", &message.text, Some(MessageState::Queued));
        Ok(Sent { id, chat, state: MessageState::Queued, duplicate: false })
    });
    fake.on(|fake, params: MsgEdit| {
        let message = fake.change(params.id, |message| {
            message.text = params.text;
            message.edited_ms = Some(NOW);
        })?;
        fake.append(None, &EventBody::MessageEdited(message.clone()));
        Ok(message)
    });
    fake.on(|fake, params: MsgDelete| {
        fake.change(params.id, |message| {
            message.text.clear();
            message.deleted = true;
        })?;
        let why = if params.scope == DeleteScope::All { "author" } else { "here" };
        fake.append(None, &EventBody::MessageDeleted(Deleted { id: params.id, why: why.to_owned() }));
        Ok(Done {})
    });
    fake.on(|fake, params: MsgReact| {
        let given = Reaction { emoji: params.emoji, users: vec![user("alice")] };
        let emoji = Some(given.emoji.clone()).filter(|_| params.remove != Some(true));
        let message = fake.change(params.id, |message| {
            message.reactions = if emoji.is_some() { vec![given] } else { Vec::new() };
        })?;
        fake.append(None, &EventBody::MessageReaction(Reacted { id: params.id, user: user("alice"), emoji }));
        Ok(message)
    });
    // a message a page
    fake.on(|fake, params: MsgOutbox| {
        let state = fake.state();
        let place: usize = params.cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let unsent = |message: &&Message| matches!(message.state, Some(MessageState::Queued | MessageState::Failed));
        let mut messages: Vec<_> = state.messages.iter().filter(unsent).skip(place).cloned().collect();
        let cursor = (messages.len() > 1).then(|| (place + 1).to_string());
        messages.truncate(1);
        for message in messages.iter_mut().filter(|message| message.state == Some(MessageState::Queued)) {
            message.held = (message.chat.as_str() == "@changed").then(|| "identity_changed".to_owned());
        }
        Ok(OutboxPage { messages, cursor })
    });
}
