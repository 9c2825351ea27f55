//! Closed lists of reasons: a condition's word, when it is set, and what the user should do.

use serde::Serialize;

use crate::{app, dns};

/// Makes an enum of reasons from `Name: "When." => "What to do.";` lines. `tremplin explain` and the reference page are
/// made from it.
macro_rules! reasons {
    ($($(#[$group:meta])* $name:ident: $when:literal => $action:literal;)+) => {
        /// The machine's word of a condition.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $when] $name,)+
        }

        impl Reason {
            /// Every reason, in the order of the reference page.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word in the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// When it is set.
            pub fn when(self) -> &'static str {
                match self { $(Self::$name => $when,)+ }
            }

            /// What the user should do.
            pub fn action(self) -> &'static str {
                match self { $(Self::$name => $action,)+ }
            }
        }
    };
}

pub(crate) use reasons;

/// What a reason means where it is set. The same word may mean another thing for another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// The kinds whose conditions have it.
    pub kinds: &'static [&'static str],
    /// The word.
    pub reason: &'static str,
    /// When it is set.
    pub when: &'static str,
    /// What the user should do.
    pub action: &'static str,
}

/// Every reason of every kind, in the order of the reference page.
pub fn meanings() -> Vec<Meaning> {
    let app = app::Reason::ALL.iter().map(|reason| Meaning {
        kinds: &["StartupApp"],
        reason: reason.as_str(),
        when: reason.when(),
        action: reason.action(),
    });
    let dns = dns::Reason::ALL.iter().map(|reason| Meaning {
        kinds: &["DnsRecord", "DnsZone", "DnsClaim"],
        reason: reason.as_str(),
        when: reason.when(),
        action: reason.action(),
    });
    app.chain(dns).collect()
}
