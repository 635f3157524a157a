#!/usr/bin/env python3
"""Months of an operator's life in half an hour: `wrmem run` against a lab that is never quiet.

Devices fall ill and recover, their configs change, the inventory is edited (and once in a while broken),
and the process is killed with SIGKILL every few minutes and started again; in the middle third it is left
alone, so that what grows is seen. After each kill, and at the end, it is checked that

- no device went without a turn for longer than its schedule, the time the process was down, and the
  time its own backup took; none was in two runs at once; none failed that was well;
- what each device showed (the lab keeps a journal of it) is what wrmem says it got, and what is in the
  repository: no version is missing, none is there twice, none is there that no device showed;
- `git fsck`, the state database and the index of versions are sound;
- memory, threads and open files did not grow.

Usage: benches/soak.py [--minutes 30] [--devices 300] [--every 60] [--docs]
"""
import argparse
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import performance_page
import soak_checks
import soak_svg

ROOT = pathlib.Path(__file__).resolve().parent.parent
PARTS = 6
SETTINGS = """\
run.every = "{every}s"
run.save = "always"
run.grace = "10s"
run.attempts = 2
run.backoff_base = "1s"
run.backoff_cap = "3s"
breaker.rest = "{rest}s"
breaker.rest_max = "{rest}s"
breaker.refused_rest = "{rest}s"
archive.dir = "{folder}/configs"
archive.kinds = ["files", "git"]
archive.git_dir = "{folder}/configs.git"
archive.commit_every = "30s"
state.dir = "{folder}/state"
ssh.known_hosts = "{folder}/state/known_hosts"
deadlines = {{ tcp = "2s", kex = "5s", login = "5s", prompt = "5s", save = "10s", backup = "15s", silence = "4s", write = "20s", attempt = "20s" }}
"""


class Part:
    """A lab process with a share of the devices, at ports that stay the same."""

    def __init__(self, soak, index, first, count):
        self.soak, self.index, self.first = soak, index, first
        self.names = [f"csr{number}" for number in range(first, first + count)]
        self.folder = soak.folder / f"part{index}"
        self.process, self.ill, self.bytes, self.visits = None, False, 0, 0
        # When it was started anew, and whether it was ill from then on.
        self.history = []

    def visit(self):
        """The next state: another config, and ill every third time."""
        self.visits += 1
        self.start(ill=(self.visits + self.index) % 3 == 0)

    def start(self, ill=False, changed=True):
        self.stop()
        self.ill = ill
        if changed:
            # Another size is another config; the host keys stay.
            sizes = [size for size in range(8_000, 20_000, 500) if size != self.bytes]
            self.bytes = self.soak.random.choice(sizes)
        command = [self.soak.binary, "lab", "--devices", len(self.names), "--first", self.first, "--port",
                   self.soak.options.port, "--processes", 1, "--config-bytes", self.bytes, "--device-ms", 50,
                   "--journal", self.soak.folder / "journal", "--write-settings", self.folder]
        if ill:
            # Each number makes others ill, and of something else.
            command += ["--fault", f"any:{self.soak.random.randint(2, 6)}"]
        self.history.append((time.time(), ill))
        log = self.soak.folder / f"lab{self.index}.log"
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True)
        if not any("devices are up" in line for line in self.process.stdout):
            sys.exit(f"part {self.index} of the lab did not start; see {log}")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process.stdout.close()
            self.process = None


class Soak:
    """The process under test, the lab, and what is done to both."""

    def __init__(self, options):
        self.options = options
        self.binary = str(pathlib.Path(options.wrmem).resolve())
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wrmem-soak-", dir=options.tmp))
        self.random = random.Random(options.seed)
        self.length = int(options.minutes * 60)
        self.faults = []
        self.samples = []
        # The lives of the process: when it was started, was ready, and was killed.
        self.lives = []
        self.edits = []
        self.process, self.gone, self.ended, self.fscks = None, set(), None, 0
        share = -(-options.devices // PARTS)
        self.parts = [
            Part(self, index, 1 + first, min(share, options.devices - first))
            for index, first in enumerate(range(0, options.devices, share))
        ]
        self.names = [name for part in self.parts for name in part.names]
        self.service_manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.service_manager.bind(str(self.folder / "notify"))
        threading.Thread(target=self.listen, daemon=True).start()

    def fault(self, text):
        """Told once, however often it is found."""
        if text in self.faults:
            return
        self.faults.append(text)
        print(f"FAULT {text}", flush=True)

    # Settings, as editors and deployment tools write them: another file in its place.

    def write(self, name, text):
        path = self.folder / "settings" / name
        new = path.with_suffix(".new")
        new.write_text(text)
        new.chmod(0o600)
        new.rename(path)

    def write_settings(self):
        (self.folder / "settings").mkdir()
        options = self.options
        self.write("wrmem.toml", SETTINGS.format(every=options.every, rest=options.rest, folder=self.folder))
        self.write("credentials.toml", (self.parts[0].folder / "settings" / "credentials.toml").read_text())
        self.write_devices()

    def write_devices(self, broken=False):
        lines = ['[defaults]\nplatform = "cisco_ios"\ncredentials = "lab"\n']
        for part in self.parts:
            for number, name in enumerate(part.names, self.options.port + part.first - 1):
                if name not in self.gone:
                    lines.append(f'[devices.{name}]\nhost = "127.0.0.1"\nport = {number}\n')
        self.write("devices.toml", "".join(lines) + ("[devices\n" if broken else ""))

    def edit(self, gone):
        self.gone = gone
        self.edits.append((time.time(), frozenset(gone)))
        self.write_devices()
        if len(self.edits) % 2:
            # The others are noticed by the watch.
            self.process.send_signal(signal.SIGHUP)

    # The process under test.

    def listen(self):
        """Hears what it tells the service manager, of which only its being ready is of interest."""
        while True:
            if b"READY=1" in self.service_manager.recv(65536) and self.lives:
                self.lives[-1].setdefault("ready", time.time())

    def start(self):
        self.lives.append({"began": time.time()})
        command = [self.binary, "--settings", self.folder / "settings", "run"]
        with open(self.folder / "run.log", "ab") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                env=os.environ | {"NOTIFY_SOCKET": str(self.folder / "notify")})

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.lives[-1]["killed"] = time.time()
        if "ready" not in self.lives[-1]:
            self.fault("it was not ready before it was killed")
        soak_checks.after_a_kill(self)
        self.start()

    def sample(self):
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
            fields = dict(line.split(":", 1) for line in status.splitlines())
            files = len(os.listdir(f"/proc/{self.process.pid}/fd"))
            megabytes = [int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")]
            self.samples.append((time.time(), megabytes[0], int(fields["Threads"]), files, megabytes[1]))
        except (OSError, KeyError):
            self.fault(f"it ended by itself with {self.process.wait()}; see {self.folder}/run.log")
            self.lives[-1]["killed"] = time.time()
            self.start()

    # What happens to it.

    def kills(self):
        """When it is killed: every few minutes, but not in the middle third."""
        every, at, moments = self.options.kill_every, 0, set()
        while True:
            at += self.random.randint(every * 2 // 3, every * 4 // 3)
            # It does not start while its settings are broken, so not shortly before or while they are.
            at += max(0, 52 - at % 75) if at % 75 >= 25 else 0
            if at >= self.length - every // 4:
                return moments
            if not self.length / 3 <= at < self.length * 2 / 3:
                moments.add(at)

    def run(self):
        for part in self.parts:
            part.start()
        self.write_settings()
        self.began = time.time()
        self.start()
        kills = self.kills()
        for now in range(self.length):
            if now % 30 == 10:
                self.parts[now // 30 % len(self.parts)].visit()
            if now % 45 == 20:
                # Less than a fifth, or everybody again.
                self.edit(set() if self.gone else set(self.random.sample(self.names, len(self.names) // 10)))
            if now % 75 in (40, 50):
                self.write_devices(broken=now % 75 == 40)
            if now in kills:
                self.kill()
            self.sample()
            if now % 60 == 0:
                _, memory, threads, files, own = self.samples[-1]
                print(f"{now // 60:3} min {memory:7.1f} MB ({own:.1f} of its own) {threads:4} threads {files:4} files", flush=True)
            time.sleep(max(0, self.began + now + 1 - time.time()))
        self.finish()

    def finish(self):
        """Everybody is there and well, has rested, and has had two turns more."""
        self.edit(set())
        for part in self.parts:
            part.start(changed=False)
        until = time.time() + self.options.rest + 2 * self.options.every + soak_checks.PATIENCE
        while time.time() < until:
            self.sample()
            time.sleep(1)
        self.ended = time.time()
        self.process.send_signal(signal.SIGTERM)
        try:
            if code := self.process.wait(timeout=60):
                self.fault(f"it ended with {code} at SIGTERM")
        except subprocess.TimeoutExpired:
            self.fault("it did not end within a minute of SIGTERM")
        soak_checks.at_the_end(self)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for part in self.parts:
            part.stop()
        if self.options.keep or self.faults:
            print(f"left in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--devices", type=int, default=300)
    parser.add_argument("--every", type=int, default=60, help="seconds from turn to turn")
    parser.add_argument("--kill-every", type=int, default=180, help="seconds from kill to kill, about")
    parser.add_argument("--rest", type=int, default=60, help="seconds that a device in trouble is left alone")
    parser.add_argument("--port", type=int, default=21000, help="the port of the first device")
    parser.add_argument("--seed", type=int, default=1, help="where what happens comes from")
    parser.add_argument("--wrmem", default=ROOT / "target" / "release" / "wrmem")
    parser.add_argument("--docs", action="store_true", help="write docs/soak.svg, and the table in docs/performance.md")
    parser.add_argument("--svg", type=pathlib.Path, help="where the plot goes, too")
    parser.add_argument("--tmp", default=None, help="where its folder goes")
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    options = parser.parse_args()
    # So that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    soak = Soak(options)
    try:
        soak.run()
        table = soak_checks.table(soak)
        print(table)
        if options.svg:
            options.svg.write_text(soak_svg.draw(soak))
        if options.docs:
            (ROOT / "docs" / "soak.svg").write_text(soak_svg.draw(soak))
            performance_page.replace(ROOT, "soak", table)
    finally:
        soak.close()
    print(f"{len(soak.faults)} faults" if soak.faults else "no faults")
    sys.exit(1 if soak.faults else 0)


if __name__ == "__main__":
    main()
