//! Holds `docs/complaints.md` and the catalogue of device quirks against the tests that there are.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rows of the catalogue: each has a test with its number in its name.
const QUIRKS: std::ops::RangeInclusive<u32> = 1..=50;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of all tests: functions marked as one, and the boxes of `tests/dialogue/rows.rs`.
fn tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("tests"), &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let mut marked = false;
        let mut boxes = false;
        for line in text.lines().map(str::trim) {
            boxes |= line == "boxes! {";
            let function = line
                .strip_prefix("fn ")
                .and_then(|rest| rest.split_once('('));
            match function {
                Some((name, _)) if marked => {
                    names.insert(name.to_owned());
                }
                _ if boxes => {
                    names.insert(line.to_owned());
                }
                _ => {}
            }
            marked = line == "#[test]" || (marked && (line.starts_with("#[") || line.is_empty()));
        }
    }
    names
}

#[test]
fn every_test_that_the_page_of_complaints_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/complaints.md")).unwrap();
    let tests = tests();
    let mut rows = 0;
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [complaint, _, named] = cells[..] else {
            panic!("three columns: {line}")
        };
        if named.starts_with("tests ") {
            continue;
        }
        rows += 1;
        let named: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test holds {complaint}");
        for test in named {
            assert!(tests.contains(test), "{complaint}: there is no test {test}");
        }
    }
    assert!(rows > 10, "only {rows} complaints");
}

#[test]
fn every_quirk_of_the_catalogue_has_a_test() {
    let tests = tests();
    let untested: Vec<u32> = QUIRKS
        .filter(|number| {
            let prefix = format!("a{number:02}_");
            !tests.iter().any(|test| test.starts_with(&prefix))
        })
        .collect();
    assert!(untested.is_empty(), "without a test: {untested:?}");
}
