//! Runs trials on the one world that they share, which is made when the first of them begins.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tremplin_e2e::progress::seconds;

use crate::world::World;

/// What a trial does, begun.
pub type Running = Pin<Box<dyn Future<Output = ()>>>;

/// Where trials run.
pub struct Stage {
    world: OnceCell<Result<Arc<World>, String>>,
    runtime: Runtime,
}

impl Stage {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            world: OnceCell::new(),
            runtime: Runtime::new().expect("a Tokio runtime"),
        })
    }

    /// A trial of that name; use [`trials!`].
    pub fn trial(self: &Arc<Self>, name: &str, run: impl FnOnce(Arc<World>) -> Running + Send + 'static) -> Trial {
        let stage = self.clone();
        let told = name.to_owned();
        let trial = Trial::test(name, move || {
            stage.runtime.block_on(async {
                let world = stage.world().await?;
                let started = Instant::now();
                run(world).await;
                eprintln!("  {told}: {}", seconds(started.elapsed()));
                Ok(())
            })
        });
        trial.with_ignored_flag(!rustix::process::geteuid().is_root())
    }

    async fn world(&self) -> Result<Arc<World>, Failed> {
        let world = self.world.get_or_init(async || {
            let world = World::start().await.map(Arc::new);
            world.map_err(|error| format!("{error:#}"))
        });
        world.await.clone().map_err(Failed::from)
    }
}

/// The trials of the named functions.
macro_rules! trials {
    ($stage:expr; $($module:ident::$scenario:ident),+ $(,)?) => {
        vec![$($stage.trial(stringify!($scenario), |world| Box::pin($module::$scenario(world)))),+]
    };
}
pub(crate) use trials;
