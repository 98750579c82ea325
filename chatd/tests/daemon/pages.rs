//! What is found, listed and written to files, page by page.

use chat_protocol::rpc::types::{
    ContactList, ContactSet, DeleteScope, ExportFormat, Message, MsgDelete, MsgEdit, MsgExport, MsgExportPage, MsgList,
    MsgSearch, SearchPage,
};
use chat_protocol::rpc::{Handle, Kind, Target};
use chatd::api::MAX_ANSWER_BYTES;

use crate::house::{Home, House};

async fn search(home: &Home, query: &str, limit: Option<u32>, cursor: Option<String>) -> SearchPage {
    let query = query.to_owned();
    let asked = MsgSearch { query, to: None, from: None, since_ms: None, until_ms: None, limit, cursor };
    home.daemon.handle(asked).await.unwrap()
}

#[tokio::test]
async fn search_finds_what_is_there_now() {
    let house = House::open().await;
    let alice = Home::registered(&house, "alice").await;
    alice.send("self", "the red fox", None).await;
    let car = alice.send("self", "a red car", None).await;
    let texts = |page: &SearchPage| page.messages.iter().map(|message| message.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&search(&alice, "RED", None, None).await), ["a red car", "the red fox"]);

    alice.send("self", "red again", None).await;
    alice.daemon.handle(MsgEdit { id: car.id, text: "a blue car".into() }).await.unwrap();
    assert_eq!(texts(&search(&alice, "red", None, None).await), ["red again", "the red fox"]);
    let first = search(&alice, "red", Some(1), None).await;
    let second = search(&alice, "red", Some(1), first.cursor.clone()).await;
    assert_eq!(
        (texts(&first), texts(&second), second.cursor),
        (vec!["red again".into()], vec!["the red fox".into()], None)
    );

    for nothing in ["", "!!!"] {
        let query = nothing.to_owned();
        let asked =
            MsgSearch { query, to: None, from: None, since_ms: None, until_ms: None, limit: None, cursor: None };
        assert_eq!(alice.daemon.handle(asked).await.unwrap_err().kind, Kind::InvalidParams, "{nothing:?}");
    }

    alice.daemon.handle(MsgDelete { id: car.id, scope: DeleteScope::All }).await.unwrap();
    assert_eq!(texts(&search(&alice, "blue", None, None).await), [] as [String; 0]);
}

#[tokio::test]
async fn pages_of_long_messages_fit_a_line_and_lead_on() {
    let house = House::open().await;
    let alice = Home::registered(&house, "alice").await;
    let long = "word ".repeat(12_000);
    for _ in 0..20 {
        alice.send("self", &long, None).await;
    }
    let first = search(&alice, "word", None, None).await;
    let second = search(&alice, "word", None, first.cursor.clone()).await;
    assert!(serde_json::to_string(&first).unwrap().len() <= MAX_ANSWER_BYTES);
    assert_eq!((first.messages.len() + second.messages.len(), second.cursor), (20, None));

    let list = |before, after| MsgList { to: Target::Myself, before, after, limit: None };
    let newest = alice.daemon.handle(list(None, None)).await.unwrap();
    let oldest = alice.daemon.handle(list(newest.messages.first().map(|message| message.id), None)).await.unwrap();
    assert!(newest.more && !oldest.more && newest.messages.len() > 10);
    assert_eq!(newest.messages.len() + oldest.messages.len(), 20);
    let first = alice.daemon.handle(list(None, oldest.messages.first().map(|message| message.id))).await.unwrap();
    assert!(first.more && first.messages.len() > 10);
    assert_eq!(first.messages.first().map(|message| message.id), oldest.messages.get(1).map(|message| message.id));
    for page in [newest, first] {
        assert!(serde_json::to_string(&page).unwrap().len() <= MAX_ANSWER_BYTES);
    }
}

/// An export, put together from its pieces, each of which fits a line.
async fn pieces(home: &Home, format: ExportFormat) -> String {
    let (mut text, mut cursor, mut count) = (String::new(), None, 0);
    loop {
        let asked = MsgExportPage { to: None, since_ms: None, format, cursor };
        let piece = home.daemon.handle(asked).await.unwrap();
        assert!(serde_json::to_string(&piece).unwrap().len() < chat_protocol::rpc::MAX_LINE_BYTES);
        text.push_str(&piece.text);
        (cursor, count) = (piece.cursor, count + 1);
        if cursor.is_none() {
            assert!(count > 1, "it takes several");
            return text;
        }
    }
}

#[tokio::test]
async fn contacts_that_do_not_fit_a_line_come_page_by_page() {
    let alice = Home::registered(&House::open().await, "alice").await;
    // as JSON each takes six times as much
    for number in 0..60 {
        let (user, note) = (format!("user{number:03}").parse().unwrap(), Some("\u{1}".repeat(4096)));
        alice.daemon.handle(ContactSet { user, alias: None, note }).await.unwrap();
    }
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = alice.daemon.handle(ContactList { after }).await.unwrap();
        assert!(serde_json::to_string(&page).unwrap().len() < chat_protocol::rpc::MAX_LINE_BYTES);
        names.extend(page.contacts.iter().map(|contact| contact.user.to_string()));
        after = page.contacts.last().map(|contact| contact.user.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(names, (0..60).map(|number| format!("user{number:03}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_export_has_every_message_and_overwrites_nothing() {
    let house = House::open().await;
    let alice = Home::registered(&house, "alice").await;
    for number in 0..600 {
        alice.send("self", &format!("note {number}"), None).await;
    }
    alice.send("self", "# no heading\n\u{1b}[2J\u{202e}\n![](http://who.reads/this) <b> *", None).await;
    let out = |name: &str| alice.outer.path().join(name).display().to_string();
    let export = |format, out: String| alice.daemon.handle(MsgExport { to: None, since_ms: None, format, out });
    let done = export(ExportFormat::Ndjson, out("all.ndjson")).await.unwrap();
    assert_eq!(done.messages, 601);
    let lines = std::fs::read_to_string(out("all.ndjson")).unwrap();
    let texts: Vec<_> = lines.lines().map(|line| serde_json::from_str::<Message>(line).unwrap().text).collect();
    assert_eq!((texts.len(), texts[599].as_str()), (601, "note 599"));

    export(ExportFormat::Md, out("all.md")).await.unwrap();
    let text = std::fs::read_to_string(out("all.md")).unwrap();
    assert!(text.contains("> \\# no heading") && !text.contains(['\u{1b}', '\u{202e}']));
    assert!(text.contains(r"> \!\[\](http://who.reads/this) \<b\> \*"), "nothing of it is obeyed or fetched");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(out("all.md")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(export(ExportFormat::Md, out("all.md")).await.unwrap_err().kind, Kind::AlreadyExists);
    // long enough for several pieces
    for number in 0..6 {
        alice.send("self", &format!("{number} {}", "\u{1}".repeat(50_000)), None).await;
    }
    for (format, name) in [(ExportFormat::Ndjson, "again.ndjson"), (ExportFormat::Md, "again.md")] {
        export(format, out(name)).await.unwrap();
        assert_eq!(std::fs::read_to_string(out(name)).unwrap(), pieces(&alice, format).await, "{name}");
    }
    assert_eq!(export(ExportFormat::Md, "all.md".into()).await.unwrap_err().path.as_deref(), Some("out"));
}
