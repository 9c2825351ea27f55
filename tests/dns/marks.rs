//! Our marks at names below which nothing can stand, on a real server.

use serde_json::json;
use tremplin_e2e::dns::query::RecordType;

use crate::common::start;
use crate::world::{Server, World};

/// The name, and where its mark is.
const NAMES: [(&str, &str, &str); 3] = [
    ("apex", "marks.example", "_tremplin._apex.marks.example"),
    ("wild", "*.marks.example", "_tremplin._wildcard.marks.example"),
    ("below", "*.app.marks.example", "_tremplin._wildcard.app.marks.example"),
];

#[tokio::test]
async fn the_apex_and_wildcards_are_marked_and_let_go_like_other_names() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("marks.example", "").await;
    let adopted = "{claims: {releaseAfterSeconds: 3600}, adoptions: [
        {name: marks.example, namespaceSelector: {matchLabels: {team: web}}},
        {name: '*.marks.example', namespaceSelector: {matchLabels: {team: web}}}]}";
    world.open("marks", "marks.example", &server, adopted).await;
    let web = world.team(control_plane, "web").await;
    world
        .label(&web, &json!({"metadata": {"labels": {"team": "web"}}}))
        .await;
    let before = server.all("marks.example").await;
    let ask = async |name: &str, kind| server.ask(name, kind).await;

    for address in ["192.0.2.7", "192.0.2.8"] {
        for (object, name, _) in NAMES {
            let spec = format!("{{name: '{name}', targets: [{address}]}}");
            world.commit(&web, object, &spec).await;
        }
        for (object, name, mark) in NAMES {
            world.record(&web, object, "Published").await;
            let texts = ask(mark, RecordType::TXT).await;
            let says = format!("namespace={web},");
            assert!(
                texts.len() == 1 && texts[0].contains(&says) && texts[0].ends_with("types=A\""),
                "{name}: {texts:?}"
            );
        }
        // A wildcard answers for what is not there, and beside its mark.
        for name in ["marks.example", "any.marks.example", "any.app.marks.example"] {
            assert_eq!(ask(name, RecordType::A).await, [address], "{name}");
        }
    }
    // What is ours is told as ours.
    world.audit("marks").await;
    let counts = world.zone("marks", "Synced").await.status.unwrap().records.unwrap();
    assert_eq!((counts.owned, counts.orphaned), (3, 0));

    for (object, ..) in NAMES {
        world.delete(&web, object).await;
    }
    for claim in ["marks.example", "app.marks.example"] {
        world.claim(claim, "Releasing").await;
    }
    world.audit("marks").await;
    crate::common::eventually("the zone is as it was", async || {
        (server.all("marks.example").await == before).then_some(())
    })
    .await;
}
