//! Comparing identities and deciding about them, as scripts do.

use super::*;
use crate::fake::identity::{NUMBER, OTHER_NUMBER};

#[tokio::test(flavor = "multi_thread")]
async fn a_script_verifies_by_number_or_by_code_and_is_told_when_they_differ() {
    let served = serve();
    let told = says(&served, &["verify", "@bob", "--safety-number", NUMBER]);
    assert_eq!(told, "verified: messages to @bob go to @bob\n");
    let shown: Value = serde_json::from_str(&says(&served, &["verify", "@bob", "--json"])).unwrap();
    assert_eq!((&shown["state"], &shown["safety_number"]), (&json!("verified"), &json!(NUMBER)));
    let (code, _, err) = run(&served, &["verify", "@bob", "--safety-number", &"1".repeat(60)]);
    assert_eq!((code, err.lines().next().unwrap()), (76, "Error: this is not the safety number"));
    assert_eq!(run(&served, &["verify", "@bob", "--safety-number", "12345"]).0, 64);

    let own: Value = serde_json::from_str(&says(&served, &["verify", "--qr", "--json"])).unwrap();
    let (code, _, _) = run(&served, &["verify", "@bob", "--qr", own["qr"].as_str().unwrap()]);
    assert_eq!(code, 76, "the own code is not bob's");
    assert_eq!(run(&served, &["verify", "@bob", "--qr", "https://example.org"]).0, 64);
    let output = at(&served, &["verify", "@bob", "--qr", "-"]).write_stdin("nonsense\n").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_person_the_number_is_shown_and_nothing_is_noted() {
    let served = serve();
    let (code, out, err) = run(&served, &["verify", "@bob"]);
    assert_eq!(code, 64);
    assert!(out.contains("    12345 67890 12345 67890\n"), "{out}");
    assert!(out.contains("face to face") && err.contains("--safety-number"), "{out}{err}");
    let (_, out, _) = run(&served, &["verify", "@changed"]);
    let (known, claimed) = (out.find("1. known since").unwrap(), out.find("2. claimed since").unwrap());
    assert!(known < claimed && out.contains("    09876 54321"), "{out}");
    assert_eq!(says(&served, &["verify", "@changed", "--safety-number", OTHER_NUMBER]).lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_code_is_drawn_and_written() {
    let served = serve();
    let drawn = says(&served, &["verify", "--qr"]);
    assert!(drawn.lines().last().unwrap().starts_with("chat-id:1:"), "{drawn}");
    assert!(drawn.lines().count() > 20 && drawn.contains('█'), "{drawn}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_is_shown_accepted_and_taken_back() {
    let served = serve();
    let shown = says(&served, &["trust", "show", "@changed"]);
    assert!(shown.starts_with("@changed: changed, policy tofu\n"), "{shown}");
    let fingerprint = "05".repeat(32);
    assert!(shown.contains(&format!("fingerprint {fingerprint}")), "{shown}");
    let accept = ["trust", "accept", "@changed", &fingerprint];
    assert_eq!(run(&served, &accept).0, 64, "nobody is there to be asked");
    assert!(says(&served, &[&accept[..], &["--yes"]].concat()).starts_with("accepted: messages to @changed leave"));
    let (code, _, err) = run(&served, &["trust", "accept", "@changed", &"ab".repeat(32), "--yes"]);
    assert!(code == 64 && err.contains("chatctl trust show @changed"), "{err}");
    assert_eq!(says(&served, &["trust", "unverify", "@bob"]), "@bob is no longer verified\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_for_all_or_for_one_chat() {
    let served = serve();
    assert_eq!(says(&served, &["trust", "policy"]), "tofu\n");
    assert_eq!(says(&served, &["trust", "policy", "strict"]), "strict\n");
    assert_eq!(says(&served, &["trust", "policy", "--chat", "@bob", "notify"]), "@bob: notify (default: strict)\n");
    assert_eq!(says(&served, &["trust", "policy", "--chat", "@bob", "default"]), "@bob: strict (default: strict)\n");
    assert_eq!(run(&served, &["trust", "policy", "paranoid"]).0, 64);
    assert!(says(&served, &["settings"]).contains("--trust-policy strict\n"));
}
