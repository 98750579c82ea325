//! Accounts, as adopted and as made by us.

use chat_server::store::{Account, Creation, Invite, LogWrite, NewAccount, PasswordHash, Renaming};

use super::{Shared, account, at, bytes, fresh, genesis, name, person};
use crate::support::Home;

fn new(user: &str, invite: Option<[u8; 32]>) -> NewAccount {
    NewAccount { user: name(user), hash: PasswordHash::new("$2b$04$hash".into()), invite, at: at(0) }
}

async fn hash_of(store: &Shared, user: &str) -> Option<String> {
    store.account(&name(user)).await.unwrap().map(|account| account.hash.expose().to_owned())
}

pub async fn name_is_one_account_in_every_spelling(home: &Home) {
    let store = &home.store;
    assert_eq!(store.create_account(new("Alice.One", None)).await.unwrap(), Creation::Created);
    assert_eq!(store.create_account(new("aLICE.oNE", None)).await.unwrap(), Creation::Exists);
    let found = store.account(&name("ALICE.ONE")).await.unwrap().unwrap();
    assert_eq!(found, Account { user: name("alice.one"), hash: PasswordHash::new("$2b$04$hash".into()) });
    assert_eq!(store.account(&name("alice.two")).await.unwrap(), None);
}

pub async fn adopted_capitals_are_the_account_of_the_small_letters(home: &Home) {
    let store = &home.store;
    assert!(home.insert_adopted(&[("IBRAHIM", "hash-i"), ("RicHard", "hash-r")]).await);
    for (user, hash) in [("ibrahim", "hash-i"), ("richard", "hash-r")] {
        assert_eq!(hash_of(store, user).await.as_deref(), Some(hash), "{user} logs in");
        assert_eq!(store.create_account(new(user, None)).await.unwrap(), Creation::Exists, "nobody takes the name");
        assert!(store.set_password(&name(user), PasswordHash::new("new".into()), None).await.unwrap());
        assert_eq!(hash_of(store, user).await.as_deref(), Some("new"));
        assert_eq!(store.heads(&[name(user)]).await.unwrap().len(), 1);
    }
    assert_eq!(store.accounts(0, 10).await.unwrap().len(), 2);
    assert_eq!(store.rename_account("IBRAHIM", &name("ibrahim")).await.unwrap(), Renaming::Renamed);
    assert_eq!(store.begin_log(genesis(&name("ibrahim"))).await.unwrap(), LogWrite::Written);
}

pub async fn invite_is_used_once(home: &Home) {
    let store = &home.store;
    let (good, old) = (bytes(fresh()), bytes(fresh()));
    store.create_invite(Invite { hash: good, at: at(0), expires: at(1_000) }).await.unwrap();
    store.create_invite(Invite { hash: old, at: at(0), expires: at(0) }).await.unwrap();
    assert_eq!(store.create_account(new("late", Some(old))).await.unwrap(), Creation::InviteRefused);
    assert_eq!(store.create_account(new("guest", Some(bytes(fresh())))).await.unwrap(), Creation::InviteRefused);
    assert_eq!(store.create_account(new("guest", Some(good))).await.unwrap(), Creation::Created);
    assert_eq!(store.create_account(new("guest2", Some(good))).await.unwrap(), Creation::InviteRefused);
    // a taken name does not use the invite up
    store.create_invite(Invite { hash: old, at: at(0), expires: at(1_000) }).await.unwrap();
    assert_eq!(store.create_account(new("guest", Some(old))).await.unwrap(), Creation::Exists);
    assert_eq!(store.create_account(new("guest3", Some(old))).await.unwrap(), Creation::Created);
}

pub async fn password_changes_by_compare_and_set(home: &Home) {
    let store = &home.store;
    let user = account(store, "pass").await;
    let hash = |text: &str| PasswordHash::new(text.to_owned());
    assert!(store.set_password(&user, hash("one"), None).await.unwrap());
    assert!(!store.set_password(&user, hash("three"), Some(hash("two"))).await.unwrap());
    assert!(store.set_password(&user, hash("two"), Some(hash("one"))).await.unwrap());
    assert_eq!(hash_of(store, user.as_str()).await.as_deref(), Some("two"));
    assert!(!store.set_password(&name("nobody"), hash("x"), None).await.unwrap());
}

pub async fn colliding_rows_are_refused_until_renamed(home: &Home) {
    if !home.insert_adopted(&[("Bob", "hash-1"), ("bob", "hash-2")]).await {
        return; // this database cannot hold two such rows
    }
    let store = &home.store;
    assert_eq!(hash_of(store, "bob").await, None);
    assert_eq!(store.create_account(new("bob", None)).await.unwrap(), Creation::Exists);
    assert_eq!(store.rename_account("BOB", &name("bobby")).await.unwrap(), Renaming::NotFound);
    assert_eq!(store.rename_account("Bob", &name("bobby")).await.unwrap(), Renaming::Renamed);
    assert_eq!(hash_of(store, "bob").await.as_deref(), Some("hash-2"));
    assert_eq!(hash_of(store, "bobby").await.as_deref(), Some("hash-1"));
    assert_eq!(store.rename_account("bobby", &name("bob")).await.unwrap(), Renaming::Exists);
}

pub async fn enrolled_account_keeps_its_name(home: &Home) {
    let store = &home.store;
    let alice = person(store, "keep").await;
    assert_eq!(store.rename_account(alice.user.as_str(), &name("other")).await.unwrap(), Renaming::Enrolled);
    assert!(home.insert_adopted(&[("-rf", "hash")]).await);
    assert_eq!(store.rename_account("-rf", &name("Rf-User")).await.unwrap(), Renaming::Renamed);
    let user = name("rf-user");
    assert_eq!(hash_of(store, "rf-user").await.as_deref(), Some("hash"));
    assert_eq!(store.begin_log(genesis(&user)).await.unwrap(), LogWrite::Written);
}

pub async fn accounts_are_listed_in_pages(home: &Home) {
    let store = &home.store;
    assert!(home.insert_adopted(&[("Zoë", "h")]).await);
    let alice = person(store, "listed").await;
    let nobody = chat_protocol::ids::DeviceId::new([0x77; 16]);
    store.touch_devices(&[nobody, alice.device], at(5)).await.unwrap();
    store.touch_devices(&[alice.device], at(4)).await.unwrap();
    store.touch_devices(&[], at(6)).await.unwrap();
    let all = store.accounts(0, 1_000).await.unwrap();
    assert!(all.iter().any(|row| row.name == "Zoë" && row.devices == 0 && row.last_login.is_none()));
    let row = all.iter().find(|row| row.name == alice.user.as_str()).unwrap();
    assert_eq!((row.devices, row.last_login), (1, Some(at(5))));
    let (mut paged, mut after) = (Vec::new(), 0);
    while let Some(row) = store.accounts(after, 1).await.unwrap().pop() {
        after = row.id;
        paged.push(row);
    }
    assert_eq!(paged, all);
}

pub async fn atk_21_hostile_text_is_only_ever_a_value(home: &Home) {
    let store = &home.store;
    let hostile = ["a'; DROP TABLE chat_app; --", "alice\n", "..", "\u{202e}alice", "ali\u{200b}ce", "%", "_"];
    let rows: Vec<_> = hostile.iter().map(|name| (*name, "h")).collect();
    assert!(home.insert_adopted(&rows).await);
    let user = account(store, "alice").await;
    assert_eq!(store.account(&name("alice")).await.unwrap(), None);
    for text in hostile {
        let target = name(&format!("cleaned{}", fresh()));
        assert_eq!(store.rename_account(text, &target).await.unwrap(), Renaming::Renamed, "{text:?}");
    }
    assert!(store.account(&user).await.unwrap().is_some());
    let quoted = NewAccount { hash: PasswordHash::new("'); DELETE FROM chat_app; --".into()), ..new("quoted", None) };
    assert_eq!(store.create_account(quoted).await.unwrap(), Creation::Created);
    assert_eq!(hash_of(store, "quoted").await.as_deref(), Some("'); DELETE FROM chat_app; --"));
}

pub async fn atk_22_corrupt_hashes_come_out_as_they_are(home: &Home) {
    let corrupt = [("nohash", ""), ("cuthash", "$2b$12$abc"), ("uni", "pässwörd \u{1f980}"), ("plain", "hunter2")];
    assert!(home.insert_adopted(&corrupt).await);
    for (user, hash) in corrupt {
        assert_eq!(hash_of(&home.store, user).await.as_deref(), Some(hash));
    }
}
