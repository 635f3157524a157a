//! Runs a credential command: no shell, no stdin, bounded output, bounded time.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a command may take and how much it may answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// After this it is killed.
    pub(crate) deadline: Duration,
    /// More bytes than this are a fault.
    pub(crate) bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            bytes: 64 * 1024,
        }
    }
}

struct Answer {
    text: Zeroizing<Vec<u8>>,
    status: ExitStatus,
}

/// What the command says on stdout. Its words may be secrets, so no message names any of them.
pub(crate) fn output(
    program: &str,
    arguments: &[String],
    limits: Limits,
) -> Result<Zeroizing<String>, String> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // Its own group, so that what it started dies with it.
        .process_group(0)
        .spawn()
        .map_err(|error| {
            format!("the command cannot be run: {error}; program and arguments are separate items")
        })?;
    let group = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let (sender, receiver) = mpsc::channel();
    let worker = thread::Builder::new()
        .name("credential-command".to_owned())
        .spawn(move || {
            // The receiver is gone when the command was given up.
            let _gone = sender.send(wait(child, limits.bytes));
        })
        .map_err(|error| format!("the command cannot be waited for: {error}"))?;
    match receiver.recv_timeout(limits.deadline) {
        Ok(answer) => {
            let _joined = worker.join();
            told(answer, limits.bytes)
        }
        Err(RecvTimeoutError::Timeout) => {
            if let Some(group) = group {
                let kill = rustix::process::Signal::KILL;
                let _dead = rustix::process::kill_process_group(group, kill);
            }
            let seconds = limits.deadline.as_secs_f64();
            Err(format!(
                "the command did not end within {seconds} s and was killed"
            ))
        }
        Err(RecvTimeoutError::Disconnected) => Err("the command was lost".to_owned()),
    }
}

fn wait(mut child: Child, bytes: u64) -> io::Result<Answer> {
    let mut text = Zeroizing::new(Vec::new());
    let read = match child.stdout.take() {
        // Dropped after reading, so that a command that says too much ends by a broken pipe.
        Some(stdout) => stdout.take(bytes + 1).read_to_end(&mut text),
        None => Ok(0),
    };
    let status = child.wait()?;
    read.map(|_| Answer { text, status })
}

fn told(answer: io::Result<Answer>, bytes: u64) -> Result<Zeroizing<String>, String> {
    let answer = answer.map_err(|error| format!("the command cannot be read: {error}"))?;
    if answer.text.len() as u64 > bytes {
        return Err(format!("the command says more than {bytes} bytes"));
    }
    if !answer.status.success() {
        let status = answer.status;
        return Err(format!(
            "the command failed: {status}; run it by hand to see why"
        ));
    }
    std::str::from_utf8(&answer.text)
        .map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| "the command says something that is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limits: Limits) -> Result<String, String> {
        let arguments = ["-c".to_owned(), script.to_owned()];
        output("sh", &arguments, limits).map(|text| text.to_string())
    }

    #[test]
    fn it_answers_on_stdout_alone() {
        let said = shell("echo told; echo hidden >&2", Limits::default());
        assert_eq!(said.as_deref(), Ok("told\n"));
        let failed = shell("echo planted; echo planted >&2; exit 7", Limits::default());
        let failed = failed.unwrap_err();
        assert!(
            failed.contains('7') && !failed.contains("planted"),
            "{failed}"
        );
        let missing = output("/nonexistent/program", &[], Limits::default()).unwrap_err();
        assert!(missing.contains("cannot be run"), "{missing}");
    }

    #[test]
    fn it_is_bounded_in_time_and_bytes() {
        let limits = Limits {
            deadline: Duration::from_millis(50),
            ..Limits::default()
        };
        let slow = shell("exec sleep 600", limits).unwrap_err();
        assert!(slow.contains("was killed"), "{slow}");
        let limits = Limits {
            bytes: 10,
            ..Limits::default()
        };
        let loud = shell("exec yes planted", limits).unwrap_err();
        assert!(loud.contains("more than 10 bytes"), "{loud}");
    }
}
