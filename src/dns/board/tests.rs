use tremplin_core::api::dns::AuthorityAnswer;
use tremplin_core::dns::status::Served;

use super::*;

const ZONE: &str = "shared";

fn record() -> Key {
    Key {
        namespace: "blue".into(),
        name: "app".into(),
    }
}

fn wanted(type_: &str) -> Vec<ProgrammedSet> {
    vec![ProgrammedSet {
        name: "app.z.org".into(),
        type_: type_.into(),
        hash: String::new(),
    }]
}

/// Its round has written this for the record.
fn note_written(board: &Board, type_: &str) {
    let served = Served::default();
    board.note(
        &record(),
        Progress {
            wanted: wanted(type_),
            result: Ok(served),
            drift: None,
            findings: Vec::new(),
        },
    );
}

#[test]
fn what_every_server_answers_is_not_behind_although_others_are_asked_about_it() {
    let board = Board::default();
    let answer = |matches| AuthorityAnswer {
        server: "ns1".into(),
        serial: None,
        matches,
        message: None,
    };
    let note = |matches| {
        let served = Served {
            answers: vec![answer(matches)],
            ..Served::default()
        };
        let progress = Progress {
            wanted: wanted("NS"),
            result: Ok(served),
            drift: None,
            findings: Vec::new(),
        };
        board.note(&record(), progress)
    };
    board.ask_again(ZONE, record());
    note(true);
    assert!(!board.is_behind(ZONE));
    note(false);
    assert!(board.is_behind(ZONE));
}

#[test]
fn withdrawals_are_news_to_a_zone_once_for_each_spec() {
    let board = Board::default();
    let given = |zone: &str, uid: &str, generation| {
        Some(Given {
            zone: zone.into(),
            uid: Some(uid.into()),
            generation: Some(generation),
        })
    };
    for news in [
        given(ZONE, "u1", 1),
        given(ZONE, "u1", 2),
        given("other", "u1", 2),
        given("other", "u2", 2),
        None,
        given("other", "u2", 2),
    ] {
        assert!(board.note_given("app.z.org", news.clone()), "{news:?}");
        // Whatever is told of it meanwhile.
        let why = Fault::stalled(Reason::CredentialInvalid, "in words that are others each time", "");
        board.note_stuck("app.z.org", Some(why));
        assert!(!board.note_given("app.z.org", news.clone()), "{news:?}");
    }
}

#[test]
fn what_is_written_meanwhile_is_no_work() {
    let board = Board::default();
    board.ask(ZONE, record(), wanted("A"));
    assert_eq!(board.take(ZONE).records, [record()].into());
    // The record's next round does not know yet that a zone's round has taken it.
    board.ask(ZONE, record(), wanted("A"));
    note_written(&board, "A");
    assert!(board.take(ZONE).is_empty());
}

#[test]
fn what_is_asked_for_meanwhile_is_work() {
    let board = Board::default();
    board.ask(ZONE, record(), wanted("A"));
    board.ask(ZONE, record(), wanted("CNAME"));
    note_written(&board, "A");
    assert_eq!(board.take(ZONE).records, [record()].into());
}

#[test]
fn what_is_to_be_looked_at_is_work_although_it_was_written() {
    let board = Board::default();
    note_written(&board, "A");
    for look in [
        |board: &Board| {
            board.ask(ZONE, record(), wanted("A"));
            board.record(ZONE, record());
        },
        |board: &Board| {
            board.record(ZONE, record());
            board.ask(ZONE, record(), wanted("A"));
        },
    ] {
        look(&board);
        assert_eq!(board.take(ZONE).records, [record()].into());
    }
}
