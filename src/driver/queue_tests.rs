use std::time::Duration;

use super::*;

fn key(text: &str) -> Key {
    let (namespace, name) = text.split_once('/').unwrap();
    Key {
        namespace: namespace.into(),
        name: name.into(),
    }
}

fn take(queue: &mut Queue, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| queue.next(now))
        .map(|key| format!("{}/{}", key.namespace, key.name))
        .collect()
}

fn second(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn an_object_noticed_twice_is_worked_on_once() {
    let (mut queue, now) = (Queue::new(9), Instant::now());
    queue.notice(key("blue/a"), Cause::Related);
    queue.notice(key("blue/a"), Cause::Itself);
    assert_eq!(take(&mut queue, now), ["blue/a"]);
}

#[test]
fn what_happens_during_a_round_puts_the_object_back_once() {
    let (mut queue, now) = (Queue::new(9), Instant::now());
    queue.notice(key("blue/a"), Cause::Itself);
    assert_eq!(take(&mut queue, now), ["blue/a"]);
    queue.notice(key("blue/a"), Cause::Related);
    queue.notice(key("blue/a"), Cause::Related);
    assert_eq!(take(&mut queue, now), Vec::<String>::new(), "never twice at once");
    queue.finished(key("blue/a"), After::Nothing);
    assert_eq!(take(&mut queue, now), ["blue/a"]);
    queue.finished(key("blue/a"), After::Nothing);
    assert_eq!(take(&mut queue, now), Vec::<String>::new());
}

#[test]
fn namespaces_take_turns() {
    let (mut queue, now) = (Queue::new(99), Instant::now());
    for name in ["blue/a", "blue/b", "blue/c", "green/d", "red/e", "green/f"] {
        queue.notice(key(name), Cause::Related);
    }
    assert_eq!(
        take(&mut queue, now),
        ["blue/a", "green/d", "red/e", "blue/b", "green/f", "blue/c"]
    );
}

#[test]
fn no_more_objects_run_than_there_are_slots() {
    let (mut queue, now) = (Queue::new(2), Instant::now());
    for name in ["blue/a", "green/b", "red/c"] {
        queue.notice(key(name), Cause::Related);
    }
    assert_eq!(take(&mut queue, now), ["blue/a", "green/b"]);
    assert_eq!(queue.depth(), 1);
    queue.finished(key("green/b"), After::Nothing);
    assert_eq!(take(&mut queue, now), ["red/c"]);
}

#[test]
fn a_namespace_never_holds_every_slot() {
    let (mut queue, now) = (Queue::new(4), Instant::now());
    for name in ["blue/a", "blue/b", "blue/c", "blue/d", "blue/e"] {
        queue.notice(key(name), Cause::Related);
    }
    assert_eq!(take(&mut queue, now), ["blue/a", "blue/b", "blue/c"]);
    queue.notice(key("green/f"), Cause::Related);
    assert_eq!(take(&mut queue, now), ["green/f"]);
    queue.finished(key("blue/b"), After::Nothing);
    assert_eq!(take(&mut queue, now), ["blue/d"]);
}

#[test]
fn one_slot_serves_everybody() {
    let (mut queue, now) = (Queue::new(1), Instant::now());
    queue.notice(key("blue/a"), Cause::Related);
    assert_eq!(take(&mut queue, now), ["blue/a"]);
}

#[test]
fn a_timer_ends_or_is_overtaken_by_an_event() {
    let (mut queue, now) = (Queue::new(9), Instant::now());
    for name in ["blue/a", "blue/b"] {
        queue.notice(key(name), Cause::Related);
    }
    assert_eq!(take(&mut queue, now).len(), 2);
    queue.finished(key("blue/a"), After::LookAt(now + second(10)));
    queue.finished(key("blue/b"), After::LookAt(now + second(20)));
    assert_eq!(queue.wakes_at(), Some(now + second(10)));
    assert_eq!(take(&mut queue, now + second(9)), Vec::<String>::new());
    assert_eq!(take(&mut queue, now + second(10)), ["blue/a"]);
    queue.notice(key("blue/b"), Cause::Related);
    assert_eq!(take(&mut queue, now + second(11)), ["blue/b"]);
    assert_eq!(queue.wakes_at(), None, "an overtaken timer is gone");
}

#[test]
fn a_failed_object_is_retried_early_only_when_it_changed_itself() {
    let (mut queue, now) = (Queue::new(9), Instant::now());
    queue.notice(key("blue/a"), Cause::Related);
    take(&mut queue, now);
    queue.notice(key("blue/a"), Cause::Related);
    queue.finished(key("blue/a"), After::RetryAt(now + second(10)));
    assert_eq!(queue.in_backoff(), 1);
    queue.notice(key("blue/a"), Cause::Related);
    assert_eq!(take(&mut queue, now + second(5)), Vec::<String>::new());
    queue.notice(key("blue/a"), Cause::Itself);
    assert_eq!(take(&mut queue, now + second(5)), ["blue/a"]);
    queue.finished(key("blue/a"), After::RetryAt(now + second(10)));
    assert_eq!(take(&mut queue, now + second(10)), ["blue/a"]);
    assert_eq!(queue.in_backoff(), 0);
}

#[test]
fn a_change_of_the_object_during_a_failing_round_is_tried_at_once() {
    let (mut queue, now) = (Queue::new(9), Instant::now());
    queue.notice(key("blue/a"), Cause::Related);
    take(&mut queue, now);
    queue.notice(key("blue/a"), Cause::Itself);
    queue.finished(key("blue/a"), After::RetryAt(now + second(10)));
    assert_eq!(take(&mut queue, now), ["blue/a"]);
}

#[test]
fn objects_in_backoff_are_those_that_failed_and_wait() {
    let (mut queue, now) = (Queue::new(9), Instant::now());
    for name in ["blue/a", "blue/b", "green/c"] {
        queue.notice(key(name), Cause::Related);
    }
    take(&mut queue, now);
    queue.finished(key("blue/a"), After::RetryAt(now + second(10)));
    queue.finished(key("blue/b"), After::RetryAt(now + second(20)));
    queue.finished(key("green/c"), After::LookAt(now + second(5)));
    assert_eq!(queue.in_backoff(), 2, "one that waits to be looked at did not fail");
    queue.notice(key("green/c"), Cause::Related);
    queue.notice(key("blue/a"), Cause::Related);
    assert_eq!(
        queue.in_backoff(),
        2,
        "what happens around an object does not end its wait"
    );
    queue.notice(key("blue/a"), Cause::Itself);
    assert_eq!(queue.in_backoff(), 1);
    assert_eq!(take(&mut queue, now + second(20)).len(), 3);
    assert_eq!(queue.in_backoff(), 0);
    queue.finished(key("blue/b"), After::RetryAt(now + second(40)));
    assert_eq!(queue.in_backoff(), 1);
    queue.notice(key("blue/b"), Cause::Itself);
    assert_eq!(take(&mut queue, now + second(20)), ["blue/b"]);
    queue.finished(key("blue/b"), After::Nothing);
    assert_eq!(queue.in_backoff(), 0);
}
