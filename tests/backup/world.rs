//! A lab with a settings folder, and the real binary run against it.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use wrmem::lab::{FolderOptions, Lab, LabSpec, write_settings};

/// A running lab and a folder of its own.
pub(crate) struct World {
    pub(crate) lab: Lab,
    dir: tempfile::TempDir,
}

impl World {
    /// Starts the lab and writes its settings folder.
    pub(crate) fn new(spec: &LabSpec) -> Self {
        let lab = Lab::start(spec).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let options = FolderOptions {
            login: spec.login.clone(),
        };
        write_settings(dir.path(), lab.devices(), &options).unwrap();
        Self { lab, dir }
    }

    /// Other configs on the same devices: another lab in the place of this one.
    pub(crate) fn change_configs(&mut self, spec: &LabSpec) {
        self.lab = Lab::start(spec).unwrap();
        let settings = fs::read_to_string(self.settings().join("wrmem.toml")).unwrap();
        let options = FolderOptions {
            login: spec.login.clone(),
        };
        write_settings(self.dir.path(), self.lab.devices(), &options).unwrap();
        fs::write(self.settings().join("wrmem.toml"), settings).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.path("settings")
    }

    /// Adds lines to a file of the settings folder.
    pub(crate) fn append(&self, file: &str, text: &str) {
        let path = self.settings().join(file);
        let mut all = fs::read_to_string(&path).unwrap();
        let _ = write!(all, "\n{text}\n");
        fs::write(path, all).unwrap();
    }

    /// Replaces text in a file of the settings folder.
    pub(crate) fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.settings().join(file);
        let all = fs::read_to_string(&path).unwrap();
        assert!(all.contains(from), "{file} does not say {from}");
        fs::write(path, all.replace(from, to)).unwrap();
    }

    /// The binary, told of the settings folder, with nothing of this process's environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_with(&self.settings(), args)
    }

    /// The same, told of another settings folder.
    pub(crate) fn run_with(&self, settings: &Path, args: &[&str]) -> Finished {
        Finished::of(self.command_with(settings, args).output().unwrap())
    }

    fn command_with(&self, settings: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wrmem"));
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .current_dir(self.dir.path())
            .arg("--settings")
            .arg(settings)
            .args(args)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        Finished::of(self.command(args).output().unwrap())
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Running {
        self.spawn_command(self.command(args))
    }

    #[expect(clippy::unused_self, reason = "a process of this world")]
    pub(crate) fn spawn_command(&self, mut command: Command) -> Running {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(Some(command.spawn().unwrap()))
    }

    /// What the archive holds for a device.
    pub(crate) fn stored(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path("configs").join(format!("{name}.cfg"))).ok()
    }

    pub(crate) fn assert_stored_exactly(&self, name: &str) {
        let expected = self.lab.device(name).unwrap().expected();
        let stored = self.stored(name).unwrap_or_default();
        assert!(
            stored == expected,
            "{name}: what is stored is not what the device has"
        );
    }

    /// Every file in the archive is a device's whole config, whatever happened.
    pub(crate) fn assert_only_whole_files(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.path("configs")) else {
            return 0;
        };
        let mut whole = 0;
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|extension| extension == "cfg") {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                self.assert_stored_exactly(&name);
                whole += 1;
            }
        }
        whole
    }

    /// The report written by `--report report.json`.
    pub(crate) fn report(&self) -> Report {
        let text = fs::read_to_string(self.path("report.json")).unwrap();
        Report(serde_json::from_str(&text).unwrap())
    }
}

/// A JSON report.
pub(crate) struct Report(pub(crate) serde_json::Value);

impl Report {
    pub(crate) fn device(&self, name: &str) -> &serde_json::Value {
        self.0["devices"]
            .as_array()
            .unwrap()
            .iter()
            .find(|device| device["name"] == name)
            .unwrap_or_else(|| panic!("{name} is not in the report"))
    }

    pub(crate) fn outcome(&self, name: &str) -> &str {
        self.device(name)["outcome"].as_str().unwrap()
    }

    pub(crate) fn kind(&self, name: &str) -> &str {
        self.device(name)["failure"]["kind"].as_str().unwrap_or("")
    }
}

/// How the binary ended and what it said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Finished {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "\n{}\n{}", self.out, self.err);
        self
    }

    pub(crate) fn assert_says(&self, line: &str) -> &Self {
        assert!(
            self.out.lines().any(|l| l == line),
            "no line {line:?} in\n{}",
            self.out
        );
        self
    }
}

/// The binary while it runs; killed if the test ends before it does.
pub(crate) struct Running(Option<Child>);

impl Running {
    /// Reads its stdout until a line contains `text`.
    pub(crate) fn wait_for_line(&mut self, text: &str) {
        let stdout = self.0.as_mut().unwrap().stdout.as_mut().unwrap();
        wait_for(stdout, text);
    }

    /// The next line of its stderr, with its end.
    pub(crate) fn next_log_line(&mut self) -> String {
        let stderr = self.0.as_mut().unwrap().stderr.as_mut().unwrap();
        let mut line = String::new();
        let mut reader = BufReader::with_capacity(1, stderr);
        assert!(reader.read_line(&mut line).unwrap() > 0, "it has ended");
        line
    }

    /// The next line of its stdout.
    pub(crate) fn next_line(&mut self) -> String {
        let stdout = self.0.as_mut().unwrap().stdout.as_mut().unwrap();
        let mut reader = BufReader::with_capacity(1, stdout);
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "it has ended");
        line
    }

    /// Reads its stderr until a line contains `text`.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        let stderr = self.0.as_mut().unwrap().stderr.as_mut().unwrap();
        wait_for(stderr, text);
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.0.as_ref().unwrap().id()).unwrap();
        let pid = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn finish(mut self) -> Finished {
        Finished::of(self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait_for(stream: impl Read, text: &str) {
    // Unbuffered beyond the line: the rest is read by `finish`.
    let mut reader = BufReader::with_capacity(1, stream);
    let mut line = String::new();
    loop {
        line.clear();
        assert!(
            reader.read_line(&mut line).unwrap() > 0,
            "ended before saying {text:?}"
        );
        if line.contains(text) {
            return;
        }
    }
}

/// Every file below `dir`, to look for what must not be in any of them.
pub(crate) fn all_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}
