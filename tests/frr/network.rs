//! A network of its own: namespaces with a user `ntc`, in which FRR routers are started.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

/// `ntc123`, by `openssl passwd -6`.
const PASSWORD_HASH: &str = concat!(
    "$6$wrmemlab$upUxhmfFBgACG7IKPQfku7fuiBYnAzeB1jDEbV40",
    "8qssxvaRdMVCSlBvvIzc28YgOJYekjDQRm1HEdZPxT8gx1"
);

/// What is run, and the Debian package that has it.
const NEEDED: [(&str, &str); 8] = [
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/ssh-keygen", "openssh-client"),
    ("/usr/bin/vtysh", "frr"),
    ("/usr/lib/frr/zebra", "frr"),
    ("/usr/lib/frr/watchfrr", "frr"),
    ("/usr/bin/unshare", "util-linux"),
    ("/usr/bin/nsenter", "util-linux"),
    ("/usr/bin/setpriv", "util-linux"),
];

/// Set to `required`, what would skip the suite fails it.
const WISH: &str = "WRMEM_FRR";

/// Mount, process and network namespaces. Whatever runs in them is killed by the kernel when this
/// is dropped, and also when the test's process dies without dropping it.
pub(crate) struct Network {
    // Holds the namespaces open; its child, their first process, ends when its stdin is closed.
    unshare: Child,
}

impl Network {
    /// Makes one; `None`, said once in one line, where this machine lacks what that takes.
    pub(crate) fn build() -> Option<Self> {
        static LACKING: OnceLock<Option<String>> = OnceLock::new();
        let lacking = LACKING.get_or_init(|| {
            let reason = lacking()?;
            assert!(
                std::env::var(WISH).as_deref() != Ok("required"),
                "{WISH}=required, but {reason}"
            );
            // Not through the macro, which cargo keeps to itself where a test passes.
            let _ = writeln!(std::io::stderr(), "FRR suite SKIPPED: {reason}");
            Some(reason)
        });
        match lacking {
            Some(_) => None,
            None => Some(Self::start()),
        }
    }

    fn start() -> Self {
        let mut unshare = isolated()
            .args(["sh", "-euc", include_str!("network.sh")])
            .env("PASSWORD_HASH", PASSWORD_HASH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = unshare.stdout.as_mut().unwrap();
        BufReader::with_capacity(1, said)
            .read_line(&mut line)
            .unwrap();
        let network = Self { unshare };
        assert_eq!(line, "ready\n", "the network does not come up");
        network
    }

    /// A program within the network, with the files as they are there.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.enter();
        command.arg(self.namespace("--mount=", "mnt")).arg(program);
        command
    }

    /// A program within the network, with the files of the machine.
    pub(crate) fn visitor(&self, program: &Path) -> Command {
        let mut command = self.enter();
        command.arg(program);
        command
    }

    fn enter(&self) -> Command {
        let mut command = Command::new("/usr/bin/nsenter");
        command
            .arg(self.namespace("--net=", "net"))
            .arg(self.namespace("--pid=", "pid_for_children"))
            .stdin(Stdio::null());
        command
    }

    fn namespace(&self, option: &str, name: &str) -> String {
        format!("{option}/proc/{}/ns/{name}", self.unshare.id())
    }

    /// Where this process finds a file of the network.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.unshare.id());
        Path::new(&root).join(inside.trim_start_matches('/'))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.unshare.stdin.take());
        let _ = self.unshare.wait();
    }
}

/// What a program said that had to succeed.
pub(crate) fn said(mut command: Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let out = String::from_utf8(stdout).unwrap();
    let err = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{out}{err}");
    out
}

fn isolated() -> Command {
    let mut command = Command::new("/usr/bin/unshare");
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child"]);
    command
}

/// Why the suite cannot run here.
fn lacking() -> Option<String> {
    for (file, package) in NEEDED {
        if !Path::new(file).exists() {
            return Some(format!("{file} is missing (package {package})"));
        }
    }
    let mut user = Command::new("/usr/bin/id");
    if said({
        user.arg("-u");
        user
    })
    .trim()
        != "0"
    {
        return Some("it needs root, for a user of its own in namespaces of its own".into());
    }
    // What the script does first needs the rights that a container may lack.
    let trial = "ip link set lo up && mount -t tmpfs tmpfs /run";
    let output = isolated().args(["sh", "-c", trial]).output().unwrap();
    (!output.status.success()).then(|| {
        let told = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
        format!("namespaces cannot be made here: {}", told.trim())
    })
}
