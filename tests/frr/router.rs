//! One FRR instance of a network, and the sshd whose login shell is its vtysh.

use crate::network::{Network, said};
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

/// What becomes of `write memory`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saving {
    /// watchfrr writes one file for all daemons; vtysh says `[OK]`.
    Watched,
    /// vtysh itself writes one file, as the daemons' owner; it warns, and says `[OK]`.
    Direct,
    /// Each daemon writes a file of its own; vtysh says where, and no `[OK]`.
    Split,
    /// Nobody but vtysh itself is there to write, which as ntc it may not.
    Refused,
}

impl fmt::Display for Saving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Watched => "watched",
            Self::Direct => "direct",
            Self::Split => "split",
            Self::Refused => "refused",
        })
    }
}

/// What a router is to be.
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: &'a str,
    pub(crate) saving: Saving,
    pub(crate) daemons: &'a [&'a str],
    pub(crate) config: &'a str,
}

/// A running router.
pub(crate) struct Router<'n> {
    network: &'n Network,
    name: String,
    pub(crate) address: String,
    saving: Saving,
}

impl<'n> Router<'n> {
    pub(crate) fn start(network: &'n Network, plan: &Plan) -> Self {
        let script = include_str!("router.sh");
        let mut child = network
            .command("unshare")
            .args(["--uts", "--mount", "sh", "-euc", script, "router"])
            .args([plan.name, plan.address, &plan.saving.to_string()])
            .args(plan.daemons)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(plan.config.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{} does not start: {told}",
            plan.name
        );
        Self {
            network,
            name: plan.name.into(),
            address: plan.address.into(),
            saving: plan.saving,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the router answers to a command typed on itself by root.
    pub(crate) fn vtysh(&self, commands: &[&str]) -> String {
        let mut vtysh = self.network.command("vtysh");
        vtysh.args(["-N", &self.name]);
        for command in commands {
            vtysh.args(["-c", command]);
        }
        said(vtysh)
    }

    /// `show running-config` as ntc sees it without SSH: the config, from the line after the
    /// header. (Root's would have lines of vtysh.conf, which ntc may not read.)
    pub(crate) fn running_config(&self) -> String {
        let shown = self.as_ntc("show running-config");
        let (_, config) = shown.split_once("\nCurrent configuration:\n").unwrap();
        config.into()
    }

    /// What ntc is answered without SSH.
    pub(crate) fn as_ntc(&self, command: &str) -> String {
        let (user, group) = match self.saving {
            Saving::Direct => ("frr", "frr"),
            Saving::Watched | Saving::Split | Saving::Refused => ("ntc", "frrvty"),
        };
        let script = "hostname \"$1\"; exec setpriv --reuid \"$2\" --regid \"$3\" --clear-groups \
                      vtysh -N \"$1\" -c \"$4\"";
        let mut unshare = self.network.command("unshare");
        unshare
            .args(["--uts", "sh", "-euc", script, "vtysh"])
            .args([&self.name, user, group, command]);
        said(unshare)
    }

    /// All that `write memory` writes, one file after the other.
    pub(crate) fn startup_config(&self, daemons: &[&str]) -> String {
        let folder = self.network.path("/etc/frr").join(&self.name);
        let file = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        match self.saving {
            Saving::Watched | Saving::Direct | Saving::Refused => file("frr.conf"),
            Saving::Split => daemons
                .iter()
                .map(|daemon| file(&format!("{daemon}.conf")))
                .collect(),
        }
    }

    /// Kills a daemon the hard way and waits until vtysh misses it.
    pub(crate) fn kill(&self, daemon: &str) {
        let pid = fs::read_to_string(self.run(&format!("{daemon}.pid"))).unwrap();
        let mut kill = self.network.command("kill");
        kill.args(["-9", pid.trim()]);
        said(kill);
        // The kernel may take a moment; a bound, so that a test never hangs.
        let gone = (0..500).any(|_| {
            let alive = self.vtysh(&["show daemons"]);
            !alive.split_whitespace().any(|word| word == daemon)
        });
        assert!(gone, "{daemon} of {} is still there", self.name);
    }

    /// Gives the router another host key, as a replaced box has.
    pub(crate) fn replace_host_key(&self) {
        let script = "kill \"$(cat \"$1/sshd.pid\")\"; rm \"$1/host_key\"; \
            ssh-keygen -q -t ed25519 -N '' -f \"$1/host_key\"; \
            for try in $(seq 500); do \
                /usr/sbin/sshd -f \"$1/sshd_config\" -E \"$1/sshd.log\" && exit 0; \
            done; exit 1";
        let mut command = self.network.command("sh");
        command.args(["-euc", script, "sh", &format!("/run/frr/{}", self.name)]);
        said(command);
    }

    /// How often sshd's log says `text`.
    pub(crate) fn logged(&self, text: &str) -> usize {
        let log = fs::read_to_string(self.run("sshd.log")).unwrap();
        log.lines().filter(|line| line.contains(text)).count()
    }

    fn run(&self, file: &str) -> PathBuf {
        self.network.path("/run/frr").join(&self.name).join(file)
    }
}
