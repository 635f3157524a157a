//! One FRR instance of a network, and the sshd whose login shell is its vtysh.

use crate::network::{Network, said};
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What becomes of `write memory`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Saving {
    /// watchfrr writes one file for all daemons; vtysh says `[OK]`.
    Watched,
    /// Each daemon writes a file of its own; vtysh says where, and no `[OK]`.
    Split,
    /// Nobody but vtysh itself is there to write, which as ntc it may not.
    Refused,
}

impl fmt::Display for Saving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Watched => "watched",
            Self::Split => "split",
            Self::Refused => "refused",
        })
    }
}

/// What a router is to be.
pub struct Plan<'a> {
    pub name: &'a str,
    pub address: &'a str,
    pub saving: Saving,
    pub daemons: &'a [&'a str],
    pub config: &'a str,
}

/// A running router.
pub struct Router<'n> {
    network: &'n Network,
    name: String,
    pub address: String,
    saving: Saving,
}

impl<'n> Router<'n> {
    pub fn start(network: &'n Network, plan: &Plan) -> Self {
        let script = include_str!("router.sh");
        let mut child = network
            .command("unshare")
            .args(["--uts", "sh", "-euc", script, "router"])
            .args([plan.name, plan.address, &plan.saving.to_string()])
            .args(plan.daemons)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(plan.config.as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success(), "{} starts", plan.name);
        Self {
            network,
            name: plan.name.into(),
            address: plan.address.into(),
            saving: plan.saving,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the router answers to a command typed on itself by root.
    pub fn vtysh(&self, commands: &[&str]) -> String {
        let mut command = self.network.command("vtysh");
        command.args(["-N", &self.name]);
        self.ask(command, commands)
    }

    /// `show running-config` as ntc sees it without SSH: the config, from the line after the
    /// header. (Root's would have lines of vtysh.conf, which ntc may not read.)
    pub fn running_config(&self) -> String {
        let mut command = self.network.command("unshare");
        let script = "hostname \"$2\"; exec setpriv --reuid ntc --regid frrvty --clear-groups \
                      vtysh \"$@\"";
        command.args(["--uts", "sh", "-euc", script, "vtysh", "-N", &self.name]);
        let shown = self.ask(command, &["show running-config"]);
        let (_, config) = shown.split_once("\nCurrent configuration:\n").unwrap();
        config.into()
    }

    fn ask(&self, mut vtysh: Command, commands: &[&str]) -> String {
        for command in commands {
            vtysh.args(["-c", command]);
        }
        said(vtysh)
    }

    /// All that `write memory` writes, one file after the other.
    pub fn startup_config(&self, daemons: &[&str]) -> String {
        let folder = self.network.path("/etc/frr").join(&self.name);
        let file = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        match self.saving {
            Saving::Watched | Saving::Refused => file("frr.conf"),
            Saving::Split => daemons
                .iter()
                .map(|daemon| file(&format!("{daemon}.conf")))
                .collect(),
        }
    }

    /// Kills a daemon the hard way and waits until vtysh misses it.
    pub fn kill(&self, daemon: &str) {
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
    pub fn replace_host_key(&self) {
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
    pub fn logged(&self, text: &str) -> usize {
        let log = fs::read_to_string(self.run("sshd.log")).unwrap();
        log.lines().filter(|line| line.contains(text)).count()
    }

    fn run(&self, file: &str) -> PathBuf {
        self.network.path("/run/frr").join(&self.name).join(file)
    }
}
