//! The corpora of the fuzz targets, as plain tests: what once broke a promise, and what leads to
//! many places. `make fuzz` looks for more.
#![cfg(test)]

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name)
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn hold(target: &str, body: fn(&[u8])) {
    let inputs = files(&folder("corpus").join(target));
    assert!(!inputs.is_empty(), "no corpus for {target}");
    for input in inputs {
        let bytes = fs::read(&input).unwrap();
        catch_unwind(AssertUnwindSafe(|| body(&bytes))).unwrap_or_else(|cause| {
            println!("{}", input.display());
            resume_unwind(cause);
        });
    }
    // Nothing at all is an input too.
    body(b"");
}

macro_rules! targets {
    ($($target:ident)+) => {
        $(#[test]
        fn $target() {
            hold(stringify!($target), bodies::$target);
        })+

        #[test]
        fn every_target_has_its_corpus_and_its_test() {
            let tests: BTreeSet<String> =
                [$(stringify!($target)),+].map(str::to_owned).into_iter().collect();
            let stems = |name| -> BTreeSet<String> {
                let stem = |file: PathBuf| Some(file.file_stem()?.to_str()?.to_owned());
                files(&folder(name)).into_iter().filter_map(stem).collect()
            };
            assert_eq!(stems("targets"), tests);
            assert_eq!(stems("corpus"), tests);
        }
    };
}

targets! {
    cleaner
    dialogue
    known_hosts
    lines
    pager
    prompt
    redaction
    settings
    trace
}
