//! The platform files that travel with the program.

use super::Platform;

/// A platform file that travels with the program.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// The name given to `--platform`.
    pub name: &'static str,
    /// The file's text: a good start for a file of one's own.
    pub text: &'static str,
}

/// Every bundled profile. A test parses each.
pub const BUNDLED: [Profile; 3] = [
    Profile {
        name: "generic",
        text: include_str!("profiles/generic.yaml"),
    },
    Profile {
        name: "cpin-pax",
        text: include_str!("profiles/cpin-pax.yaml"),
    },
    Profile {
        name: "cpin-mi",
        text: include_str!("profiles/cpin-mi.yaml"),
    },
];

impl Platform {
    /// The bundled profile of that name; `None` when there is none.
    pub fn bundled(name: &str) -> Option<Self> {
        let profile = BUNDLED.iter().find(|profile| profile.name == name)?;
        Self::parse(profile.text).ok()
    }
}
