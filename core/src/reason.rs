//! Closed lists of reasons: a condition's word, when it is set, and what the user should do.

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
