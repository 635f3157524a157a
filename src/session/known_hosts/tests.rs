use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

fn key(kind: &str, seed: u8) -> HostKey {
    let mut blob = u32::try_from(kind.len()).unwrap().to_be_bytes().to_vec();
    blob.extend(kind.as_bytes());
    blob.extend([0, 0, 0, 32]);
    blob.extend([seed; 32]);
    HostKey::new(blob).unwrap()
}

fn ed(seed: u8) -> HostKey {
    key("ssh-ed25519", seed)
}

fn shown(key: &HostKey) -> String {
    format!("{} {}", key.kind(), STANDARD.encode(key.blob()))
}

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state").join("known_hosts")
    }

    fn with(text: &str) -> Self {
        let scene = Self::new();
        fs::create_dir(scene.path().parent().unwrap()).unwrap();
        fs::write(scene.path(), text).unwrap();
        scene
    }

    fn load(&self) -> KnownHosts {
        KnownHosts::load(&self.path()).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }
}

#[test]
fn a_missing_file_is_empty_and_looking_writes_nothing() {
    let scene = Scene::new();
    let known = scene.load();
    assert_eq!(known.judge("csr1", 22, &ed(1)), Verdict::Unknown);
    known.flush().unwrap();
    assert!(!scene.path().exists());
}

#[test]
fn verdicts() {
    let rsa = key("ssh-rsa", 9);
    let scene = Scene::with(&format!(
        "csr1 {}\ncsr1 {}\n[csr2]:2222 {}\n*.lab {}\n@revoked * {}\ncsr9 {}\n",
        shown(&ed(1)),
        shown(&rsa),
        shown(&ed(2)),
        shown(&ed(3)),
        shown(&ed(66)),
        shown(&ed(66)),
    ));
    let known = scene.load();
    assert_eq!(known.warnings(), &[] as &[String]);
    let judge = |host, port, key: &HostKey| known.judge(host, port, key);
    assert_eq!(judge("CSR1", 22, &ed(1)), Verdict::Known);
    assert_eq!(judge("csr1", 22, &rsa), Verdict::Known);
    assert_eq!(
        judge("csr1", 22, &ed(2)),
        Verdict::Changed(vec![ed(1), rsa.clone()])
    );
    // Exact about the port in both directions.
    assert_eq!(judge("csr1", 2222, &ed(1)), Verdict::Unknown);
    assert_eq!(judge("csr2", 2222, &ed(2)), Verdict::Known);
    assert_eq!(judge("csr2", 22, &ed(2)), Verdict::Unknown);
    assert_eq!(judge("a.lab", 22, &ed(3)), Verdict::Known);
    // Revoked goes before known.
    assert_eq!(judge("csr9", 22, &ed(66)), Verdict::Revoked);
    assert_eq!(judge("new", 22, &ed(66)), Verdict::Revoked);
    // Another type of a known host is a change, not news.
    assert_eq!(judge("csr2", 2222, &rsa), Verdict::Changed(vec![ed(2)]));
}

#[test]
fn broken_lines_are_warned_about_by_number_and_harm_nothing() {
    let scene = Scene::with(&format!(
        "garbage\n\n# fine\ncsr1 {}\n@cert-authority * {}\n",
        shown(&ed(1)),
        shown(&ed(2)),
    ));
    let known = scene.load();
    assert_eq!(known.judge("csr1", 22, &ed(1)), Verdict::Known);
    let [first, second] = known.warnings() else {
        panic!("{:?}", known.warnings());
    };
    assert!(first.contains("line 1 "), "{first}");
    assert!(second.contains("line 5 ") && second.contains("cert-authority"));
}

#[test]
fn a_new_key_is_inserted_once_and_written_once() {
    let scene = Scene::new();
    let known = scene.load();
    let verdicts: Vec<_> = thread::scope(|scope| {
        let meet = || known.judge_or_insert("csr1", 2222, &ed(1));
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(meet)).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let new = verdicts.iter().filter(|it| **it == Verdict::Unknown);
    assert_eq!(new.count(), 1);
    assert_eq!(
        known.judge_or_insert("csr1", 2222, &ed(2)),
        Verdict::Changed(vec![ed(1)])
    );
    known.flush().unwrap();
    known.flush().unwrap();
    assert_eq!(scene.text(), format!("[csr1]:2222 {}\n", shown(&ed(1))));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scene.path()), 0o600);
    assert_eq!(mode(scene.path().parent().unwrap()), 0o700);
}

#[test]
fn flushing_respects_what_others_wrote_meanwhile() {
    // No newline at the end: ours must not be glued to it.
    let scene = Scene::with(&format!("csr0 {}", shown(&ed(9))));
    let (ours, theirs) = (scene.load(), scene.load());
    let _ = ours.judge_or_insert("csr1", 22, &ed(1));
    let _ = theirs.judge_or_insert("csr1", 22, &ed(1));
    let _ = theirs.judge_or_insert("csr2", 22, &ed(2));
    theirs.flush().unwrap();
    ours.flush().unwrap();
    assert_eq!(
        scene.text(),
        format!(
            "csr0 {}\ncsr1 {}\ncsr2 {}\n",
            shown(&ed(9)),
            shown(&ed(1)),
            shown(&ed(2))
        )
    );
}

#[test]
fn forgetting_is_durable_and_exact() {
    let scene = Scene::with(&format!(
        "# kept\ncsr1,csr2 {}\ncsr1 {}\n[csr1]:2222 {}\n@revoked csr1 {}\nbroken line\n",
        shown(&ed(1)),
        shown(&ed(2)),
        shown(&ed(3)),
        shown(&ed(4)),
    ));
    let known = scene.load();
    let _ = known.judge_or_insert("csr7", 22, &ed(7));
    assert_eq!(known.forget("csr1", 22).unwrap(), [ed(1), ed(2)]);
    assert_eq!(
        scene.text(),
        format!(
            "# kept\ncsr2 {}\n[csr1]:2222 {}\n@revoked csr1 {}\nbroken line\n",
            shown(&ed(1)),
            shown(&ed(3)),
            shown(&ed(4)),
        )
    );
    assert_eq!(known.judge("csr1", 22, &ed(1)), Verdict::Unknown);
    assert_eq!(known.judge("csr1", 22, &ed(4)), Verdict::Revoked);
    assert_eq!(known.judge("csr7", 22, &ed(7)), Verdict::Known);
    known.flush().unwrap();
    assert!(scene.text().ends_with(&format!("csr7 {}\n", shown(&ed(7)))));
    assert_eq!(known.forget("nobody", 22).unwrap(), []);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let error = KnownHosts::load(folder.path()).err().unwrap();
    let told = error.to_string();
    assert!(
        told.contains(&folder.path().display().to_string()),
        "{told}"
    );
}

#[test]
fn further_files_are_read_and_never_written() {
    let scene = Scene::with(&format!("csr1 {}\n", shown(&ed(1))));
    let further = scene.folder.path().join("ssh_known_hosts");
    // printf %s csr3 | openssl dgst -sha1 -mac HMAC -macopt key:wrmemsaltwrmemsaltwr -binary | base64
    let hashed = "|1|d3JtZW1zYWx0d3JtZW1zYWx0d3I=|tqorByK11jY1eb9+kQa9Mz8XsqQ=";
    let text = format!(
        "csr1 {}\ncsr2 {}\n{hashed} {}\n@revoked * {}\n@cert-authority *.lab {}\n",
        shown(&ed(11)),
        shown(&ed(2)),
        shown(&ed(3)),
        shown(&ed(66)),
        shown(&ed(77)),
    );
    fs::write(&further, &text).unwrap();
    let missing = scene.folder.path().join("missing");
    let load = || {
        let paths = [further.clone(), missing.clone()];
        scene.load().with_extra(&paths).unwrap()
    };
    let known = load();
    let judge = |host, key: &HostKey| known.judge_or_insert(host, 22, key);
    // Both files count, neither goes before the other.
    assert_eq!(judge("csr1", &ed(1)), Verdict::Known);
    assert_eq!(judge("csr1", &ed(11)), Verdict::Known);
    assert_eq!(judge("csr1", &ed(9)), Verdict::Changed(vec![ed(1), ed(11)]));
    assert_eq!(judge("csr2", &ed(2)), Verdict::Known);
    assert_eq!(judge("csr2", &ed(9)), Verdict::Changed(vec![ed(2)]));
    assert_eq!(judge("csr3", &ed(3)), Verdict::Known);
    assert_eq!(judge("csr3", &ed(9)), Verdict::Changed(vec![ed(3)]));
    assert_eq!(judge("csr4", &ed(66)), Verdict::Revoked);
    assert_eq!(judge("csr5", &ed(5)), Verdict::Unknown);
    assert_eq!(known.known("csr1", 22), [ed(1), ed(11)]);
    let [authority, not_there] = known.warnings() else {
        panic!("{:?}", known.warnings());
    };
    assert!(authority.contains("line 5 ") && authority.contains("@cert-authority"));
    assert!(not_there.contains("missing is not there"), "{not_there}");
    // New keys go into the own file, and only what is there is forgotten.
    known.flush().unwrap();
    assert_eq!(known.forget("csr1", 22).unwrap(), [ed(1)]);
    assert_eq!(known.known_elsewhere("csr1", 22), [ed(11)]);
    assert_eq!(judge("csr1", &ed(1)), Verdict::Changed(vec![ed(11)]));
    assert_eq!(scene.text(), format!("csr5 {}\n", shown(&ed(5))));
    assert_eq!(fs::read_to_string(&further).unwrap(), text);
    assert_eq!(load().judge("csr5", 22, &ed(5)), Verdict::Known);
}
