//! Others, as the fake has them: presence, identities, contacts, profiles.

use super::*;

/// Adds them.
pub(super) fn add(fake: &mut Fake) {
    fake.on(|fake, _: PresenceList| {
        let mut names: Vec<String> = fake.state().online.iter().cloned().collect();
        names.sort();
        let users = names.iter().map(|name| PresentUser { user: user(name), me: name == "alice" }).collect();
        Ok(PresenceAnswer { users })
    });
    fake.on(|_, params: UserLookup| {
        let info = |user: Username| UserInfo {
            exists: !matches!(user.as_str(), "nobody" | "unknown"),
            user,
            online: false,
            fingerprint: None,
            profile: None,
        };
        Ok(LookupAnswer { users: params.users.into_iter().map(info).collect() })
    });
    fake.on(|_, _: IdentitySelf| Ok(identity::own(user("alice"))));
    fake.on(|fake, params: IdentityGet| Ok(fake.peer(params.user)));
    fake.on(|fake, params: IdentityVerify| {
        if identity::fits(&params)? {
            return Ok(fake.trust(params.user, IdentityState::Verified));
        }
        Err(RpcError::new(Kind::IdentityUnverified, "this is not the safety number"))
    });
    fake.on(|fake, params: IdentityUnverify| Ok(fake.trust(params.user, IdentityState::Tofu)));
    fake.on(|fake, params: IdentityAccept| Ok(fake.trust(params.user, IdentityState::Tofu)));
    fake.on(|fake, params: PolicyGet| {
        let state = fake.state();
        let default = state.settings.trust_policy;
        let chat = params.chat.as_ref().map(ChatId::from);
        let own = chat.as_ref().and_then(|chat| state.policies.get(chat)).copied();
        Ok(PolicyAnswer { chat, policy: own.unwrap_or(default), default })
    });
    fake.on(|fake, params: PolicySet| {
        let PolicySet { chat, policy } = params;
        match (chat.as_ref().map(ChatId::from), policy) {
            (Some(chat), Some(policy)) => drop(fake.state().policies.insert(chat, policy)),
            (Some(chat), None) => drop(fake.state().policies.remove(&chat)),
            (None, Some(policy)) => fake.state().settings.trust_policy = policy,
            (None, None) => return Err(RpcError::invalid("policy", "missing")),
        }
        fake.answer(PolicyGet { chat })
    });
    // a contact a page
    fake.on(|fake, params: ContactList| {
        let state = fake.state();
        let behind = |user: &Username| params.after.as_ref().is_none_or(|after| user > after);
        let mut contacts: Vec<_> = state.contacts.values().filter(|one| behind(&one.user)).cloned().collect();
        let more = contacts.len() > 1;
        contacts.truncate(1);
        Ok(Contacts { contacts, more })
    });
    fake.on(|fake, params: ContactGet| Ok(fake.contact(&params.user, |_| {})));
    fake.on(|fake, params: ContactSet| {
        Ok(fake.contact(&params.user, |contact| {
            contact.alias = params.alias.clone().or(contact.alias.take());
            contact.note = params.note.clone().or(contact.note.take());
        }))
    });
    fake.on(|fake, params: ContactBlock| Ok(fake.contact(&params.user, |contact| contact.blocked = true)));
    fake.on(|fake, params: ContactUnblock| Ok(fake.contact(&params.user, |contact| contact.blocked = false)));
    fake.on(|fake, params: ProfileGet| {
        let who = params.user.unwrap_or_else(|| user("alice"));
        fake.state().profiles.get(&who).cloned().ok_or(Kind::NotFound.into())
    });
    fake.on(|fake, params: ProfileSet| {
        let mut state = fake.state();
        let empty = Profile { display_name: None, about: None, bot: false };
        let profile = state.profiles.entry(user("alice")).or_insert(empty);
        profile.display_name = params.display_name.or(profile.display_name.take());
        profile.about = params.about.or(profile.about.take());
        profile.bot = params.bot.unwrap_or(profile.bot);
        Ok(profile.clone())
    });
}
