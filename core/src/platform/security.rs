//! Under which identity containers run.

/// The security context that the platform asks of every pod. Whatever the type, containers run as non-root, without
/// capabilities or privilege escalation, under the runtime's default seccomp profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// OpenShift's restricted-v2: the cluster gives the ids, and a pod that names one is refused.
    OpenShift,
    /// Pod Security `restricted` on a vanilla cluster: images built for root run, and volumes are writable, because
    /// the platform gives the ids.
    Restricted {
        /// The user of every container, never 0.
        run_as_user: i64,
        /// The primary group. `None`: left out, and the image's or 0 holds.
        run_as_group: Option<i64>,
        /// The group that owns the files of volumes.
        fs_group: i64,
    },
}
