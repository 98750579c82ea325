//! Identities on the socket: compared with one thing, decided for, and told in a form that clients know.

use super::*;

#[tokio::test]
async fn an_identity_is_verified_by_one_of_three_things() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let own = script.call("identity.self", json!({})).await["result"].clone();
    assert!(own["qr"].as_str().unwrap().starts_with("chat-id:1:"), "{own}");
    let number = script.call("identity.get", json!({"user": "bob"})).await["result"]["safety_number"].clone();
    let grouped = number.as_str().unwrap().as_bytes().chunks(5).map(|group| std::str::from_utf8(group).unwrap());
    let grouped = grouped.collect::<Vec<_>>().join(" ");
    let verified = script.call("identity.verify", json!({"user": "bob", "safety_number": grouped})).await;
    assert_eq!(verified["result"]["state"], "verified");
    for (params, kind_) in [
        (json!({"user": "bob"}), "invalid_params"),
        (json!({"user": "bob", "safety_number": grouped, "qr": own["qr"]}), "invalid_params"),
        (json!({"user": "bob", "safety_number": "12345"}), "invalid_params"),
        (json!({"user": "bob", "qr": "https://example.org"}), "invalid_params"),
        (json!({"user": "bob", "safety_number": "1".repeat(60)}), "identity_unverified"),
        (json!({"user": "bob", "qr": own["qr"]}), "identity_unverified"),
    ] {
        let refused = script.call("identity.verify", params.clone()).await;
        assert_eq!(kind(&refused), kind_, "{params}: {refused}");
    }
    let taken_back = script.call("identity.unverify", json!({"user": "bob"})).await;
    assert_eq!(taken_back["result"]["state"], "tofu");
}

#[tokio::test]
async fn while_a_change_is_open_each_claim_has_its_number() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let changed = script.call("identity.get", json!({"user": "changed"})).await["result"].clone();
    assert_eq!(changed["state"], "changed");
    let seen = changed["seen"].as_array().unwrap();
    assert_eq!((&seen[0]["state"], &seen[1]["state"]), (&json!("tofu"), &json!("changed")));
    assert_eq!(changed["safety_number"], seen[0]["safety_number"], "that of the one known before");
    assert_ne!(seen[0]["safety_number"], seen[1]["safety_number"]);
}

#[tokio::test]
async fn a_policy_is_for_one_private_chat_or_for_all() {
    let served = serve();
    let mut script = Script::connect(&served).await;
    let set = script.call("identity.policy.set", json!({"policy": "strict"})).await;
    assert_eq!(set["result"], json!({"policy": "strict", "default": "strict"}));
    let settings = script.call("account.settings.get", json!({})).await;
    assert_eq!(settings["result"]["trust_policy"], "strict");
    let set = script.call("identity.policy.set", json!({"chat": "@bob", "policy": "notify"})).await;
    assert_eq!(set["result"], json!({"chat": "@bob", "policy": "notify", "default": "strict"}));
    let back = script.call("identity.policy.set", json!({"chat": "@bob"})).await;
    assert_eq!(back["result"]["policy"], "strict");
    assert_eq!(kind(&script.call("identity.policy.set", json!({"policy": "paranoid"})).await), "invalid_params");
}
