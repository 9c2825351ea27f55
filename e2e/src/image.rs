//! Container images built without a Docker daemon and without a registry: buildah builds our ordinary
//! Dockerfiles, on a Debian base that mmdebstrap makes where they name `debian:bookworm-slim`.
//!
//! What is built is kept in `<cache>/images/`, each archive under a name that holds the hash of everything it
//! was made from, so a second build of the same thing is none.
//! The newest few of a name stay.

mod build;
mod operator;
mod sample_app;

use std::path::PathBuf;

pub use operator::{OPERATOR, debug_operator_binary, operator, operator_binary};
pub use sample_app::{SAMPLE_APP, sample_app};

/// An image in an archive that `ctr images import`, `docker load` and `skopeo` read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its full name with its tag, as a pod names it.
    pub reference: String,
    /// The archive (format `docker-archive`, layers not compressed).
    pub archive: PathBuf,
}
