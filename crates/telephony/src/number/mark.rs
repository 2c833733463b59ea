//! Whose a number is: the mark that it carries. Pure.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use super::Provider;

/// The resource that a number belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// Namespace of the `PhoneNumber`.
    pub namespace: String,
    /// Name of the `PhoneNumber`.
    pub name: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One installation of the operator; two installations never share an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation(String);

impl Installation {
    /// Takes the UID of `kube-system`, or what `--installation-id` says.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }
}

/// How we came to hold a number. It is part of the mark, so that a lost status cannot change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// We paid for it.
    Bought,
    /// It was in the account before.
    Adopted,
}

const INSTALLATION_CHARS: usize = 6;
const OWNER_CHARS: usize = 13;

/// The text that makes a number ours: `pn1.<installation6>.<owner13>`, or `pa1.…` for an adopted one.
///
/// Both parts are lower-case base32 of SHA-256: of the whole installation id, and of `namespace/name`. So a mark
/// survives deletion and re-creation of the resource, and a restore from backup.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    origin: Origin,
    installation: String,
    owner: String,
}

/// Whose mark a number carries, seen from one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This resource's.
    Ours(Origin),
    /// Another resource's, or another installation's.
    Foreign,
    /// Nobody's.
    Unmarked,
}

impl Mark {
    /// The length of every mark in bytes.
    pub const LEN: usize = 4 + INSTALLATION_CHARS + 1 + OWNER_CHARS;

    /// The mark of `owner` in `installation`.
    pub fn new(origin: Origin, installation: &Installation, owner: &Owner) -> Self {
        Self {
            origin,
            installation: base32_sha256(&installation.0, INSTALLATION_CHARS),
            owner: base32_sha256(&owner.to_string(), OWNER_CHARS),
        }
    }

    /// How the number came to us, as the mark says.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The mark of the same resource on a number that it took over.
    pub fn adopted(&self) -> Self {
        self.of_origin(Origin::Adopted)
    }

    /// The mark of the same resource on a number that came to it like this.
    pub fn of_origin(&self, origin: Origin) -> Self {
        Self {
            origin,
            ..self.clone()
        }
    }

    /// What names the resource, whatever way the number came to it.
    pub fn identity(&self) -> String {
        format!("{}.{}", self.installation, self.owner)
    }

    /// True if the mark is of a resource of `installation`.
    pub fn is_of(&self, installation: &Installation) -> bool {
        self.installation == base32_sha256(&installation.0, INSTALLATION_CHARS)
    }

    /// The part that names the resource: a hash of its `namespace/name`.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// True if both marks name the same resource of the same installation, however it came to its number.
    pub fn same_owner(&self, other: &Self) -> bool {
        self.installation == other.installation && self.owner == other.owner
    }

    /// True if the mark in `text` is of a resource of the same namespace and name in another installation.
    pub fn is_namesake(&self, text: &str) -> bool {
        Self::find_in(text).is_some_and(|found| {
            found.owner == self.owner && found.installation != self.installation
        })
    }

    /// The first mark in a provider's text field, if there is one.
    pub fn find_in(text: &str) -> Option<Self> {
        text.char_indices()
            .filter(|(start, _)| {
                !text
                    .get(..*start)
                    .is_some_and(|before| before.ends_with(|c: char| c.is_ascii_alphanumeric()))
            })
            .find_map(|(start, _)| Self::at_start(text.get(start..)?))
    }

    /// Whose the mark in `text` is, seen from the resource whose mark is `self`.
    pub fn whose(&self, text: &str) -> Whose {
        match Self::find_in(text) {
            Some(found) if self.same_owner(&found) => Whose::Ours(found.origin),
            Some(_) => Whose::Foreign,
            None => Whose::Unmarked,
        }
    }

    /// The text for the field in which the mark lives: `"<name> [<mark>]"` at Twilio, the mark alone at Telnyx. What begins
    /// like a mark in `name` is written with a dash, so that the first mark in the text is this one.
    pub fn with_name(&self, provider: Provider, name: &str) -> String {
        match provider {
            Provider::Twilio => {
                let name = name.replace("pn1.", "pn1-").replace("pa1.", "pa1-");
                format!("{name} [{self}]")
            }
            Provider::Telnyx => self.to_string(),
        }
    }

    fn at_start(text: &str) -> Option<Self> {
        let origin = match text.get(..4)? {
            "pn1." => Origin::Bought,
            "pa1." => Origin::Adopted,
            _ => return None,
        };
        let installation = text.get(4..4 + INSTALLATION_CHARS)?;
        let dot = text.get(4 + INSTALLATION_CHARS..5 + INSTALLATION_CHARS)?;
        let owner = text.get(5 + INSTALLATION_CHARS..Self::LEN)?;
        let goes_on = text
            .get(Self::LEN..)?
            .starts_with(|c: char| c.is_ascii_alphanumeric());
        let base32 = |part: &str| {
            part.bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
        };
        (dot == "." && base32(installation) && base32(owner) && !goes_on).then(|| Self {
            origin,
            installation: installation.to_owned(),
            owner: owner.to_owned(),
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.origin {
            Origin::Bought => "pn1",
            Origin::Adopted => "pa1",
        };
        write!(f, "{prefix}.{}.{}", self.installation, self.owner)
    }
}

fn base32_sha256(text: &str, chars: usize) -> String {
    let mut encoded = BASE32_NOPAD.encode(&Sha256::digest(text.as_bytes()));
    encoded.make_ascii_lowercase();
    encoded.truncate(chars);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(origin: Origin) -> Mark {
        let owner = Owner {
            namespace: "support".into(),
            name: "nyc-support".into(),
        };
        Mark::new(
            origin,
            &Installation::new("5f1c0f1e-0000-4000-8000-000000000001"),
            &owner,
        )
    }

    /// The hashes were computed with `printf %s TEXT | sha256sum | xxd -r -p | base32`.
    #[test]
    fn marks_match_the_test_vectors() {
        assert_eq!(mark(Origin::Bought).to_string(), "pn1.24ul6c.rqrxid56b3ejz");
    }

    #[test]
    fn a_mark_tells_its_origin_its_installation_and_its_resource() {
        let bought = mark(Origin::Bought);
        assert_eq!(bought.to_string().len(), Mark::LEN);
        assert_eq!(bought.origin(), Origin::Bought);
        assert_eq!(bought.adopted(), mark(Origin::Adopted));
        assert_eq!(bought.owner(), "rqrxid56b3ejz");
        assert_eq!(bought.identity(), "24ul6c.rqrxid56b3ejz");
        let [here, there] = ["here", "there"].map(Installation::new);
        let [one, other] = ["one", "other"].map(|name| Owner {
            namespace: "support".into(),
            name: name.into(),
        });
        let ours = Mark::new(Origin::Bought, &here, &one);
        assert!(ours.is_of(&here) && !ours.is_of(&there));
        assert!(ours.same_owner(&ours.adopted()));
        assert!(!ours.same_owner(&Mark::new(Origin::Bought, &here, &other)));
        let namesake = Mark::new(Origin::Bought, &there, &one);
        assert!(!ours.same_owner(&namesake) && ours.is_namesake(&namesake.to_string()));
        let other = Mark::new(Origin::Bought, &there, &other);
        for text in [ours.to_string(), other.to_string(), "plain".to_owned()] {
            assert!(!ours.is_namesake(&text), "{text}");
        }
    }

    #[test]
    fn a_mark_is_found_in_the_fields_that_carry_it() {
        let ours = mark(Origin::Bought);
        let adopted = mark(Origin::Adopted);
        let table = [
            (format!("NYC Support [{ours}]"), Whose::Ours(Origin::Bought)),
            (format!("{ours}.4f2a"), Whose::Ours(Origin::Bought)),
            (adopted.to_string(), Whose::Ours(Origin::Adopted)),
            ("NYC [pn1.aaaaaa.bbbbbbbbbbbbb]".into(), Whose::Foreign),
            (format!("{ours}x"), Whose::Unmarked),
            (format!("x{ours}"), Whose::Unmarked),
            ("(212) 555-1234".into(), Whose::Unmarked),
            (String::new(), Whose::Unmarked),
            ("pn1.äöüäöü.".into(), Whose::Unmarked),
            ("pn1.24ul6c-rqrxid56b3ejz".into(), Whose::Unmarked),
            ("pn1.24ul6c.rqrxid56b3ej8".into(), Whose::Unmarked),
            ("pn1.24UL6C.rqrxid56b3ejz".into(), Whose::Unmarked),
            ("pn2.24ul6c.rqrxid56b3ejz".into(), Whose::Unmarked),
        ];
        for (text, whose) in table {
            assert_eq!(ours.whose(&text), whose, "{text}");
        }
    }

    /// A resource may have any name; a purchase under a name that reads as another's mark would be lost at once.
    #[test]
    fn a_name_that_reads_like_a_mark_does_not_hide_the_mark() {
        for name in ["pn1.aaaaaa.bbbbbbbbbbbbb", "a.pa1.aaaaaa.bbbbbbbbbbbbb"] {
            let text = mark(Origin::Bought).with_name(Provider::Twilio, name);
            let whose = mark(Origin::Bought).whose(&text);
            assert_eq!(whose, Whose::Ours(Origin::Bought), "{text}");
        }
    }

    #[test]
    fn a_name_of_36_bytes_and_its_mark_fit_twilios_64() {
        assert!(36 + " []".len() + Mark::LEN <= 64);
    }
}
