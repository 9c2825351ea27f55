use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use super::*;

/// Objects that do what their name says, and a record of what was done to them when.
#[derive(Default)]
struct Scripted {
    rounds: Mutex<Vec<(String, Instant)>>,
    told: Mutex<HashMap<String, Accident>>,
    round_ended: Notify,
}

impl Reconcile for Scripted {
    const KIND: &'static str = "Scripted";

    async fn reconcile(&self, key: &Key, _: u32) -> Outcome {
        self.rounds.lock().unwrap().push((key.name.clone(), Instant::now()));
        self.round_ended.notify_waiters();
        match key.name.as_str() {
            "panics" => panic!("boom"),
            "hangs" => std::future::pending().await,
            "fails" => Outcome::Failed("no".into()),
            "waits" => Outcome::Waiting {
                again: Some(Duration::from_secs(5)),
            },
            "stalls" => Outcome::Stalled { again: None },
            "never" => Outcome::Settled {
                again: Some(Duration::MAX),
            },
            "gone" => Outcome::Gone,
            "slow" => {
                sleep(Duration::from_secs(2)).await;
                Outcome::Settled { again: None }
            }
            _ => Outcome::Settled { again: None },
        }
    }

    async fn tell(&self, key: &Key, accident: &Accident) {
        self.told.lock().unwrap().insert(key.name.clone(), accident.clone());
        assert!(key.name != "panics", "telling may panic as well");
    }
}

impl Scripted {
    /// When `name` was worked on, in whole seconds after the beginning.
    fn times(&self, name: &str, began: Instant) -> Vec<u64> {
        let rounds = self.rounds.lock().unwrap();
        rounds
            .iter()
            .filter(|(other, _)| other == name)
            .map(|(_, at)| (*at - began).as_secs())
            .collect()
    }
}

struct Running {
    scripted: Arc<Scripted>,
    metrics: Arc<Metrics>,
    events: UnboundedSender<(Key, Cause)>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
    began: Instant,
}

fn start() -> Running {
    let (events, receiver) = unbounded_channel();
    let (stop, stopped) = oneshot::channel();
    let (scripted, metrics) = (Arc::new(Scripted::default()), Arc::new(Metrics::default()));
    let driver = Driver {
        reconciler: scripted.clone(),
        events: receiver,
        limits: Limits {
            concurrency: 4,
            deadline: Duration::from_mins(1),
            resync: Duration::from_hours(1),
            backoff: Growth {
                first: Duration::from_secs(1),
                cap: Duration::from_mins(5),
            },
        },
        metrics: metrics.clone(),
        random: || 0.5,
    };
    let stopped = async move { drop(stopped.await) };
    Running {
        scripted,
        metrics,
        events,
        stop,
        task: tokio::spawn(driver.run(stopped)),
        began: Instant::now(),
    }
}

impl Running {
    fn notice(&self, name: &str, cause: Cause) {
        self.events
            .send((
                Key {
                    namespace: "blue".into(),
                    name: name.into(),
                },
                cause,
            ))
            .unwrap();
    }

    fn times(&self, name: &str) -> Vec<u64> {
        self.scripted.times(name, self.began)
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics.text(|| {}).unwrap().lines().any(|other| other == line)
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_and_a_hanging_object_disturb_nobody() {
    let running = start();
    for name in ["panics", "hangs", "well"] {
        running.notice(name, Cause::Itself);
    }
    sleep(Duration::from_secs(61)).await;
    running.notice("well", Cause::Itself);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(running.times("well"), [0, 61]);
    assert!(running.times("panics").len() > 3, "it is tried again");
    let told = running.scripted.told.lock().unwrap().clone();
    assert_eq!(told["panics"], Accident::Panicked("boom".into()));
    assert_eq!(told["hangs"], Accident::Overdue(Duration::from_mins(1)));
    assert!(running.metric(r#"tremplin_reconciles_total{kind="Scripted",result="overdue"} 1"#));
    assert!(running.metrics.panics.get_or_create(&Kind { kind: "Scripted" }).get() > 3);
}

#[tokio::test(start_paused = true)]
async fn a_failing_object_is_tried_at_growing_intervals() {
    let running = start();
    running.notice("fails", Cause::Itself);
    sleep(Duration::from_mins(1)).await;
    // Three quarters of 1, 2, 4, 8, 16, 32 seconds, in whole seconds.
    assert_eq!(running.times("fails"), [0, 0, 2, 5, 11, 23, 47]);
    running.notice("fails", Cause::Related);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        running.times("fails").len(),
        7,
        "what happens around it does not hasten it"
    );
    running.notice("fails", Cause::Itself);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(running.times("fails").len(), 8);
}

#[tokio::test(start_paused = true)]
async fn an_object_at_rest_is_looked_at_again_at_the_resync() {
    let running = start();
    for name in ["well", "stalls", "waits", "gone", "never"] {
        running.notice(name, Cause::Itself);
    }
    sleep(Duration::from_secs(3601)).await;
    assert_eq!(running.times("well"), [0, 3600]);
    assert_eq!(running.times("stalls"), [0, 3600]);
    assert_eq!(running.times("never"), [0, 3600]);
    assert_eq!(running.times("waits")[..3], [0, 5, 10]);
    assert_eq!(running.times("gone"), [0]);
}

#[tokio::test(start_paused = true)]
async fn rounds_on_one_object_never_overlap() {
    let running = start();
    running.notice("slow", Cause::Itself);
    sleep(Duration::from_secs(1)).await;
    running.notice("slow", Cause::Related);
    running.notice("slow", Cause::Related);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(running.times("slow"), [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_rounds_end_and_abandons_the_rest_in_time() {
    let running = start();
    running.notice("slow", Cause::Itself);
    running.notice("hangs", Cause::Itself);
    sleep(Duration::from_secs(1)).await;
    running.notice("never started", Cause::Itself);
    running.stop.send(()).unwrap();
    let stopping = Instant::now();
    running.task.await.unwrap();
    assert_eq!(stopping.elapsed(), STOP_GRACE);
    assert!(
        running.metrics.text(|| {}).unwrap().contains(r#"result="settled"} 1"#),
        "the slow round ended"
    );
    assert_eq!(
        running.scripted.times("never started", running.began),
        Vec::<u64>::new()
    );
}
