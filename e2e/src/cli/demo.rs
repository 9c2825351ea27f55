//! The demo.

use clap::Args;
use tremplin_e2e::demo::Target;
use tremplin_e2e::image;

/// Where the demo runs.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The name of its local cluster
    #[arg(long, default_value = "demo")]
    name: String,
    /// Use the cluster of the current kube context, which must be able to pull the images
    #[arg(long, conflicts_with = "name")]
    current: bool,
    /// The operator's image on the current cluster, with its tag
    #[arg(long, default_value_t = format!("{}:{}", image::OPERATOR, env!("CARGO_PKG_VERSION")))]
    operator_image: String,
    /// The sample application's repository on the current cluster, which holds 1.0.0 and 1.1.0
    #[arg(long, default_value = image::SAMPLE_APP)]
    sample_app: String,
}

impl Arguments {
    pub(crate) fn target(self) -> Target {
        if self.current {
            Target::Current {
                operator: self.operator_image,
                sample_app: self.sample_app,
            }
        } else {
            Target::Local(self.name)
        }
    }
}
