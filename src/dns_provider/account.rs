//! What the zones of one account share: how often the provider may be asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tremplin_core::dns::profile::{Profile, Rate};

use super::Failure;

/// For how long an account is left alone after "too often" without a word of when.
const UNTOLD: Duration = Duration::from_secs(1);
/// The shortest and the longest that an account is left alone, whatever the provider says.
const TOLD: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(1));

/// How long a request waits for its turn.
const LONGEST_TURN: Duration = Duration::from_mins(1);

/// What all zones share. One for the whole program.
#[derive(Default)]
pub struct Shared {
    fence: Fence,
    accounts: Mutex<BTreeMap<[u8; 32], Weak<Account>>>,
}

/// Whether this program may still write: asked before each write is sent, since it may have been frozen meanwhile, and
/// another have taken its place.
#[derive(Clone)]
pub(super) struct Fence(Arc<dyn Fn() -> bool + Send + Sync>);

impl Default for Fence {
    fn default() -> Self {
        Self(Arc::new(|| true))
    }
}

impl Fence {
    /// # Errors
    /// When it may not.
    pub(super) fn pass(&self) -> Result<(), Failure> {
        if (self.0)() {
            return Ok(());
        }
        let why = "nothing was sent: this replica no longer holds the lease";
        Err(Failure::Unavailable(why.to_owned()))
    }
}

impl Shared {
    /// For a program that may write as long as this says so.
    pub fn fenced(may_write: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            fence: Fence(Arc::new(may_write)),
            accounts: Mutex::default(),
        }
    }

    pub(super) fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// The account of this identity (the address of the API and the credential; only its hash is kept) at a provider.
    pub(super) fn account(&self, profile: &Profile, identity: &[&str]) -> Arc<Account> {
        let mut hash = Sha256::new();
        for part in [&[profile.name], identity].concat() {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|_, account| account.strong_count() > 0);
        let key = hash.finalize().into();
        if let Some(account) = accounts.get(&key).and_then(Weak::upgrade) {
            return account;
        }
        let account = Arc::new(Account::new(profile.rate, self.fence()));
        accounts.insert(key, Arc::downgrade(&account));
        account
    }
}

/// What a request does, as limits tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// One account at one provider.
pub(super) struct Account {
    rate: Option<Rate>,
    fence: Fence,
    turns: Mutex<Turns>,
    /// Held while writes that belong together are made.
    together: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Turns {
    /// When the last requests were, or will be made, in order.
    all: VecDeque<Instant>,
    writes: VecDeque<Instant>,
    /// The provider wants no request before.
    closed_until: Option<Instant>,
}

impl Account {
    fn new(rate: Option<Rate>, fence: Fence) -> Self {
        Self {
            rate,
            fence,
            turns: Mutex::default(),
            together: tokio::sync::Mutex::default(),
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request may be made: at no time more of them in the rate's window than the rate allows.
    ///
    /// # Errors
    /// While the provider wants no requests at all, and where the wait were long: there is something else to do meanwhile.
    /// Where it would write and this program no longer may.
    pub(super) async fn turn(&self, kind: Kind) -> Result<(), Failure> {
        self.open()?;
        if let Some(rate) = self.rate {
            let at = self.turns().reserve(rate, kind, Instant::now())?;
            tokio::time::sleep_until(at).await;
            self.open()?;
        }
        match kind {
            Kind::Read => Ok(()),
            Kind::Write => self.fence.pass(),
        }
    }

    /// How many more writes may be made, each of which waits for no longer than a request does. `None`: any number.
    pub(super) fn room(&self) -> Option<usize> {
        let (rate, now) = (self.rate?, Instant::now());
        let mut turns = self.turns().clone();
        let reserved = std::iter::repeat_with(|| turns.reserve(rate, Kind::Write, now));
        Some(reserved.take_while(Result::is_ok).count())
    }

    /// Begins with writes that belong together: nobody else does while what this gives is held.
    ///
    /// # Errors
    /// [`Failure::Busy`] where the rate would stop them in the middle.
    pub(super) async fn together(&self, writes: usize) -> Result<tokio::sync::MutexGuard<'_, ()>, Failure> {
        let alone = self.together.lock().await;
        if let Some(rate) = self.rate {
            let now = Instant::now();
            let mut turns = self.turns().clone();
            // What is there is looked up before each. What is more than the rate ever takes cannot but be stopped.
            for _ in 0..writes.min(rate.writes as usize) {
                turns.reserve(rate, Kind::Read, now)?;
                turns.reserve(rate, Kind::Write, now)?;
            }
        }
        Ok(alone)
    }

    fn open(&self) -> Result<(), Failure> {
        let now = Instant::now();
        match self.turns().closed_until {
            Some(until) if until > now => Err(Failure::Busy {
                after: Some(until - now),
            }),
            _ => Ok(()),
        }
    }

    /// The provider was asked too often, and wants no request of any zone before `after`. That is believed within reason:
    /// a time that is over would be asked again at once, and one without an end never.
    pub(super) fn close(&self, after: Option<Duration>) -> Failure {
        let (shortest, longest) = TOLD;
        let after = after.map(|after| after.clamp(shortest, longest));
        let until = Instant::now() + after.unwrap_or(UNTOLD);
        let mut turns = self.turns();
        turns.closed_until = turns.closed_until.max(Some(until));
        Failure::Busy { after }
    }
}

impl Turns {
    fn reserve(&mut self, rate: Rate, kind: Kind, now: Instant) -> Result<Instant, Failure> {
        // Two requests may come closer together on their way: a little more than the window keeps them apart there.
        let window = Duration::from_secs(rate.per_seconds.into()).mul_f64(1.02);
        let mut at = now.max(earliest(&mut self.all, rate.requests, window).unwrap_or(now));
        if kind == Kind::Write {
            at = at.max(earliest(&mut self.writes, rate.writes, window).unwrap_or(now));
        }
        if at - now > LONGEST_TURN {
            let after = Some(at - now);
            return Err(Failure::Busy { after });
        }
        if kind == Kind::Write {
            self.writes.push_back(at);
        }
        let place = self.all.partition_point(|other| *other <= at);
        self.all.insert(place, at);
        Ok(at)
    }
}

/// When one more is possible; forgets those that no longer count. `None`: at once.
fn earliest(made: &mut VecDeque<Instant>, most: u32, window: Duration) -> Option<Instant> {
    let most = most as usize;
    while made.len() > most {
        made.pop_front();
    }
    if made.len() < most {
        None
    } else {
        made.front().map(|first| *first + window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        requests: 20,
        writes: 5,
        per_seconds: 1,
    };

    #[tokio::test(start_paused = true)]
    async fn no_window_has_more_requests_than_allowed() {
        let account = Account::new(Some(RATE), Fence::default());
        let start = Instant::now();
        let mut made = Vec::new();
        for _ in 0..100 {
            account.turn(Kind::Read).await.unwrap();
            made.push(start.elapsed());
        }
        let close = made
            .windows(21)
            .find(|some| some[20] <= some[0] + Duration::from_secs(1));
        assert_eq!(close, None);
        // Five windows, of which the first is free.
        assert!(start.elapsed() < Duration::from_millis(4_200), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_of_writes_holds_back_no_read() {
        let account = Arc::new(Account::new(Some(RATE), Fence::default()));
        let start = Instant::now();
        let writes = (0..12).map(|_| account.turn(Kind::Write));
        let mut writes = Box::pin(futures::future::join_all(writes));
        assert!(futures::poll!(&mut writes).is_pending());
        account.turn(Kind::Read).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        writes.await;
        assert!(start.elapsed() >= Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_belongs_together_is_begun_only_where_it_comes_to_its_end() {
        let rate = Rate {
            per_seconds: 300,
            ..RATE
        };
        let account = Account::new(Some(rate), Fence::default());
        assert_eq!(account.room(), Some(5));
        account.turn(Kind::Write).await.unwrap();
        account.turn(Kind::Write).await.unwrap();
        assert_eq!(account.room(), Some(3));
        let busy = account.together(4).await.map(drop).unwrap_err();
        assert!(
            matches!(busy, Failure::Busy { after: Some(after) } if after.as_secs() == 306),
            "{busy:?}"
        );
        let alone = account.together(3).await.unwrap();
        assert!(futures::poll!(Box::pin(account.together(1))).is_pending());
        for _ in 0..3 {
            account.turn(Kind::Write).await.unwrap();
        }
        drop(alone);
        assert!(account.together(1).await.is_err());
        // What never fits is begun when there is nothing better to wait for.
        tokio::time::advance(Duration::from_secs(306)).await;
        account.together(6).await.map(drop).unwrap();
        assert_eq!(Account::new(Some(RATE), Fence::default()).room(), Some(295));
    }

    #[tokio::test(start_paused = true)]
    async fn busy_is_busy_for_every_zone_of_the_account() {
        let shared = Shared::default();
        let profile = crate::dns_provider::powerdns::PROFILE;
        let one = shared.account(&profile, &["https://a", "key"]);
        let same = shared.account(&profile, &["https://a", "key"]);
        let other = shared.account(&profile, &["https://ak", "ey"]);
        one.close(Some(Duration::from_secs(30)));
        tokio::time::advance(Duration::from_secs(10)).await;
        let busy = same.turn(Kind::Read).await;
        assert!(
            matches!(busy, Err(Failure::Busy { after: Some(after) }) if after.as_secs() == 20),
            "{busy:?}"
        );
        assert_eq!(other.turn(Kind::Read).await, Ok(()));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(same.turn(Kind::Read).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_provider_says_of_when_is_believed_within_reason() {
        for (told, believed) in [(0, 1), (90, 90), (7_200, 3_600), (u64::MAX, 3_600)] {
            let account = Account::new(None, Fence::default());
            let after = Some(Duration::from_secs(believed));
            let closed = account.close(Some(Duration::from_secs(told)));
            assert_eq!(closed, Failure::Busy { after });
            assert_eq!(account.turn(Kind::Read).await, Err(closed));
            tokio::time::advance(Duration::from_secs(believed)).await;
            assert_eq!(account.turn(Kind::Read).await, Ok(()));
        }
    }
}
