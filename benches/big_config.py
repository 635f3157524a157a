#!/usr/bin/env python3
"""One large config through OpenSSH's client and through wrmem, from the same sshd.

    benches/big_config.py [--sizes 2,5,10] [--rounds 7] [--wrmem target/release/wrmem]

sshd serves a pty on which this script itself plays an IOS device (`--serve`). Both clients log in
with a key, turn paging off, and read `show running-config`. Timed is that one command: for
`ssh -tt` from the moment it is typed until its prompt came back, for wrmem its backup stage, which
also cleans, follows and proves what it reads. Rounds are interleaved, figures are medians.
Needs OpenSSH's server and client and a release build.
"""

import argparse
import getpass
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tty

PROMPT = b"csr1#"
HERE = os.path.dirname(os.path.abspath(__file__))


def config(size):
    """A config as a router has it, of about `size` bytes with its carriage returns."""
    lines = [b"!", b"version 16.9", b"hostname csr1", b"!"]
    length = sum(len(line) + 2 for line in lines)
    number = 0
    while length < size:
        number += 1
        unit = [
            b"interface Loopback%d" % number,
            b" description to site %d, rack 7, port %d" % (number, number % 48),
            b" ip address 10.%d.%d.1 255.255.255.0" % (number // 250 % 250, number % 250),
            b" ip ospf 1 area 0.0.0.0",
            b"!",
        ]
        lines += unit
        length += sum(len(line) + 2 for line in unit)
    return b"\r\n".join(lines + [b"!", b"end"]) + b"\r\n"


def serve(path):
    """Plays the device on this terminal."""
    tty.setraw(0)
    with open(path, "rb") as file:
        text = file.read()
    head = b"Building configuration...\r\n\r\nCurrent configuration : %d bytes\r\n" % len(text)
    answers = {
        b"terminal length 0": b"",
        b"show privilege": b"Current privilege level is 15\r\n",
        b"show running-config": head + text,
    }

    def say(out):
        view = memoryview(out)
        while view:
            view = view[os.write(1, view[: 1 << 16]) :]

    say(b"\r\n" + PROMPT)
    line = b""
    while True:
        typed = os.read(0, 4096)
        if not typed:
            return
        for byte in typed:
            if byte != 13:
                line += bytes([byte])
                continue
            say(line + b"\r\n")
            if line == b"exit":
                return
            say(answers.get(line, b"% Invalid input detected at '^' marker.\r\n") + PROMPT)
            line = b""


class Server:
    """sshd, one process per connection, on a port of its own."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("host", "client"):
            self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.path(name))
        shutil.copy(self.path("client.pub"), self.path("authorized_keys"))
        os.makedirs("/run/sshd", exist_ok=True)
        with open(self.path("sshd_config"), "w") as file:
            file.write(
                f"HostKey {self.path('host')}\n"
                f"AuthorizedKeysFile {self.path('authorized_keys')}\n"
                "PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n"
                "PasswordAuthentication no\nPrintMotd no\nPrintLastLog no\n"
                f"ForceCommand {sys.executable} {os.path.abspath(__file__)} "
                f"--serve {self.path('config')}\n"
            )
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.served = []
        threading.Thread(target=self.accept, daemon=True).start()

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *command):
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    def accept(self):
        command = ["/usr/sbin/sshd", "-i", "-f", self.path("sshd_config")]
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            with stream:
                self.served.append(subprocess.Popen(command, stdin=stream, stdout=stream))

    def close(self):
        self.listener.close()
        for child in self.served:
            child.wait()


def until(fd, end):
    """Reads until the output ends with `end`; how much it was."""
    tail, got = b"", 0
    while not tail.endswith(end):
        part = os.read(fd, 1 << 16)
        if not part:
            raise SystemExit("ssh ended early")
        tail = (tail + part)[-len(end) :]
        got += len(part)
    return got


def usage(child):
    """Waits for a child; its CPU seconds."""
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime


def by_ssh(server):
    command = [
        *("ssh", "-tt", "-q", "-F", "none", "-i", server.path("client"), "-p", str(server.port)),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
        f"{getpass.getuser()}@127.0.0.1",
    ]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out = child.stdout.fileno()

    def say(text):
        child.stdin.write(text)
        child.stdin.flush()

    until(out, PROMPT)
    say(b"terminal length 0\r")
    until(out, PROMPT)
    began = time.monotonic()
    say(b"show running-config\r")
    got = until(out, b"end\r\n" + PROMPT)
    took = time.monotonic() - began
    say(b"exit\r")
    child.stdin.close()
    while os.read(out, 1 << 16):
        pass
    return took, got, usage(child)


def settings(server):
    folder = server.path("settings")
    os.makedirs(folder, exist_ok=True)
    files = {
        "wrmem.toml": f'[archive]\ndir = "{server.path("configs")}"\n'
        f'[state]\ndir = "{server.path("state")}"\n'
        f'[ssh]\nknown_hosts = "{server.path("known_hosts")}"\n',
        "devices.toml": '[defaults]\nplatform = "cisco_ios"\ncredentials = "key"\nsave = "never"\n'
        f'[devices.csr1]\nhost = "127.0.0.1"\nport = {server.port}\n',
        "credentials.toml": f'[credentials.key]\nusername = "{getpass.getuser()}"\n'
        f'key = "{server.path("client")}"\nauth = "publickey"\n',
    }
    for name, text in files.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
    os.chmod(os.path.join(folder, "credentials.toml"), 0o600)
    return folder


def by_wrmem(server, wrmem, folder):
    report = server.path("report.json")
    shutil.rmtree(server.path("configs"), ignore_errors=True)
    command = [wrmem, "backup", "--settings", folder, "--report", report]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    told = child.stdout.read() + child.stderr.read()
    cpu = usage(child)
    if child.returncode != 0:
        raise SystemExit(told.decode())
    with open(report) as file:
        device = json.load(file)["devices"][0]
    stages = {stage["stage"]: stage["seconds"] for stage in device["stages"]}
    with open(os.path.join(server.path("configs"), "csr1.cfg"), "rb") as file:
        stored = file.read()
    with open(server.path("config"), "rb") as file:
        if stored != file.read().replace(b"\r\n", b"\n"):
            raise SystemExit("what is stored is not what the device has")
    return stages["backup"], len(stored), cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="2,5,10", help="in MB")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--wrmem", default=os.path.join(HERE, "../target/release/wrmem"))
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve)
    print("| config | `ssh -tt` | wrmem | wrmem's throughput | of `ssh -tt` | CPU of the whole process |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        server = Server(temporary)
        folder = settings(server)
        for size in (float(size) for size in args.sizes.split(",")):
            text = config(int(size * 1e6))
            with open(server.path("config"), "wb") as file:
                file.write(text)
            rounds = [
                (by_ssh(server), by_wrmem(server, args.wrmem, folder)) for _ in range(args.rounds)
            ]
            middle = [
                [statistics.median(figures) for figures in zip(*which)] for which in zip(*rounds)
            ]
            (ssh, _, ssh_cpu), (own, _, own_cpu) = middle
            print(
                f"| {len(text) / 1e6:.0f} MB | {ssh * 1e3:.0f} ms | {own * 1e3:.0f} ms "
                f"| {len(text) / 1e6 / own:.0f} MB/s | {100 * ssh / own:.0f} % "
                f"| {ssh_cpu * 1e3:.0f} and {own_cpu * 1e3:.0f} ms |",
                flush=True,
            )
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
