//! The audit's own reading of marks and claims. It shares no code with the program, so that one misreading cannot hide in
//! both.

use std::collections::HashMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cluster::Change;
use crate::world::NAMESPACE;

const CLAIM: &str = "telephony.burki.dev/claim";
const RELEASE: &str = "telephony.burki.dev/release";
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const INSTALLATION_CHARS: usize = 6;
const OWNER_CHARS: usize = 13;

/// The mark that `installation` puts on a number that it buys for a resource.
pub fn mark(installation: &str, namespace: &str, name: &str) -> String {
    let installation = hash(installation, INSTALLATION_CHARS);
    let owner = hash(&format!("{namespace}/{name}"), OWNER_CHARS);
    format!("pn1.{installation}.{owner}")
}

/// Lower-case base32 of SHA-256, so many characters of it.
fn hash(text: &str, chars: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let bit = |at: usize| usize::from(digest[at / 8] >> (7 - at % 8) & 1);
    let char_at = |at: usize| (0..5).fold(0, |sum, more| sum * 2 + bit(at * 5 + more));
    (0..chars)
        .map(|at| char::from(BASE32[char_at(at)]))
        .collect()
}

/// What a mark says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub adopted: bool,
    pub installation: String,
    pub owner: String,
}

/// The first mark in a text: words of the mark's form that nothing is written close to.
pub fn read(text: &str) -> Option<Seen> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
        .find_map(in_word)
}

/// A Telnyx order's reference is the mark, a dot and the nonce of the attempt.
fn in_word(word: &str) -> Option<Seen> {
    let parts: Vec<&str> = word.split('.').collect();
    parts.windows(3).find_map(|parts| {
        let [origin, installation, owner] = parts else {
            return None;
        };
        let adopted = match *origin {
            "pn1" => false,
            "pa1" => true,
            _ => return None,
        };
        let is = |part: &str, chars| {
            part.len() == chars && part.bytes().all(|byte| BASE32.contains(&byte))
        };
        let fits = is(installation, INSTALLATION_CHARS) && is(owner, OWNER_CHARS);
        fits.then(|| Seen {
            adopted,
            installation: (*installation).to_owned(),
            owner: (*owner).to_owned(),
        })
    })
}

/// The resources of a world, by their marks in one installation.
pub struct Owners {
    installation: String,
    names: HashMap<String, String>,
}

impl Owners {
    pub fn of(installation: &str, changes: &[Change]) -> Self {
        let numbers = changes
            .iter()
            .filter(|change| change.place.plural == "phonenumbers");
        let mut names = HashMap::new();
        for change in numbers {
            let name = &change.place.name;
            if names.values().any(|known| known == name) {
                continue;
            }
            let owner = hash(&format!("{NAMESPACE}/{name}"), OWNER_CHARS);
            names.insert(owner, name.clone());
        }
        Self {
            installation: hash(installation, INSTALLATION_CHARS),
            names,
        }
    }

    /// The name of the resource whose mark is in `text`.
    pub fn owner_in(&self, text: &str) -> Option<String> {
        let seen = read(text)?;
        let ours = seen.installation == self.installation;
        ours.then(|| self.names.get(&seen.owner).cloned())?
    }

    /// The name of the resource whose mark of another installation is in `text`.
    pub fn namesake_in(&self, text: &str) -> Option<String> {
        let seen = read(text)?;
        let theirs = seen.installation != self.installation;
        theirs.then(|| self.names.get(&seen.owner).cloned())?
    }
}

/// The claim in the annotations of an object; null if there is none that is JSON.
pub fn claim(object: &Value) -> Value {
    let text = object["metadata"]["annotations"][CLAIM].as_str();
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// True if an object is held until its number is released.
pub fn is_held_back(object: &Value) -> bool {
    let finalizers = object["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|all| all.iter().any(|one| one == RELEASE))
}

/// The vector was computed with `printf %s TEXT | sha256sum | xxd -r -p | base32`.
#[test]
fn marks_are_read_as_they_are_documented() {
    let mark = mark(
        "5f1c0f1e-0000-4000-8000-000000000001",
        "support",
        "nyc-support",
    );
    assert_eq!(mark, "pn1.24ul6c.rqrxid56b3ejz");
    let seen = Seen {
        adopted: false,
        installation: "24ul6c".into(),
        owner: "rqrxid56b3ejz".into(),
    };
    for text in [
        mark.clone(),
        format!("NYC [{mark}]"),
        format!("{mark}.0123abcd"),
    ] {
        assert_eq!(read(&text), Some(seen.clone()), "{text}");
    }
    let adopted = Seen {
        adopted: true,
        ..seen
    };
    assert_eq!(read("[pa1.24ul6c.rqrxid56b3ejz]"), Some(adopted));
    for text in [
        "",
        "renamed",
        "xpn1.24ul6c.rqrxid56b3ejz",
        "pn1.24ul6c.rqrxid56b3ejzx",
        "pn1.24ul6c-rqrxid56b3ejz",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}
