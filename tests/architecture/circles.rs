//! No two files need each other, directly or by way of others. A module and the modules below it count as neighbours that may:
//! a parent declares its children.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, root, sources, sources_in};

type Edges = BTreeMap<String, BTreeSet<String>>;

/// Which file mentions which other file.
fn edges(sources: &[Source]) -> Edges {
    let files: BTreeMap<&[String], &str> = sources
        .iter()
        .filter(|source| !source.module.is_empty())
        .map(|source| (source.module.as_slice(), source.name.as_str()))
        .collect();
    let mut edges = Edges::new();
    for source in sources {
        let known = edges.entry(source.name.clone()).or_default();
        for path in source.mentions() {
            let prefixes = (1..=path.len()).rev().map(|length| &path[..length]);
            let Some(module) = prefixes.into_iter().find(|it| files.contains_key(it)) else {
                continue;
            };
            let is_family = module.starts_with(&source.module) || source.module.starts_with(module);
            if !is_family {
                known.insert(files[module].to_owned());
            }
        }
    }
    edges
}

/// The files of one circle, in order, if there is any.
fn circle(edges: &Edges) -> Option<Vec<&str>> {
    let mut left: BTreeMap<&str, BTreeSet<&str>> = edges
        .iter()
        .map(|(file, known)| (file.as_str(), known.iter().map(String::as_str).collect()))
        .collect();
    // What knows nothing of the rest is in no circle.
    loop {
        let done: Vec<&str> = left
            .iter()
            .filter(|(_, known)| known.iter().all(|it| !left.contains_key(it)))
            .map(|(file, _)| *file)
            .collect();
        if done.is_empty() {
            break;
        }
        done.iter().for_each(|file| drop(left.remove(file)));
    }
    // Each file that is left knows another one that is left.
    let mut way = vec![*left.keys().next()?];
    loop {
        let next = left[way.last()?].iter().find(|it| left.contains_key(*it))?;
        if let Some(at) = way.iter().position(|file| file == next) {
            return Some(way.split_off(at));
        }
        way.push(next);
    }
}

#[test]
fn no_two_files_need_each_other() {
    let emulator = root().join("../crates/emulator/src");
    for (sources, fewest) in [(sources(), 100), (sources_in(&emulator, ""), 15)] {
        let edges = edges(&sources);
        assert!(edges.len() >= fewest, "{} files", edges.len());
        let found = circle(&edges);
        assert_eq!(found, None, "each of these files needs the next one");
    }
}

#[test]
fn a_circle_is_found_at_any_depth() {
    let source = |name: &str, text: &str| Source::new(name, text);
    let straight = [
        source("a.rs", "use crate::b::c::C;"),
        source("b.rs", "pub mod c; use self::c::C;"),
        source("b/c.rs", "use super::B; use crate::d;"),
        source("d.rs", ""),
    ];
    assert_eq!(circle(&edges(&straight)), None);
    for (name, text, files) in [
        ("d.rs", "use crate::a::A;", vec!["a.rs", "b/c.rs", "d.rs"]),
        (
            "d.rs",
            "fn d() -> crate::b::c::C { todo!() }",
            vec!["b/c.rs", "d.rs"],
        ),
    ] {
        let [a, b, c, _] = &straight;
        let same = |it: &Source| Source {
            name: it.name.clone(),
            module: it.module.clone(),
            tokens: it.tokens.clone(),
        };
        let bent = [same(a), same(b), same(c), source(name, text)];
        let edges = edges(&bent);
        let mut found = circle(&edges).unwrap();
        found.sort_unstable();
        assert_eq!(found, files);
    }
    let commented = [
        source("a.rs", "use crate::b;"),
        source(
            "b.rs",
            "// use crate::a;\n#[cfg(test)]\nmod tests { use crate::a; }",
        ),
    ];
    assert_eq!(circle(&edges(&commented)), None);
}
