#!/usr/bin/env python3
"""Hours of an operator's life in minutes: `wrmem run` against a lab that is never quiet.

Devices fall ill and recover, their configs change, the inventory is edited (and once in a while broken),
and the process is killed with SIGKILL every few minutes and started again. Meanwhile its memory,
threads and open files are sampled. At the end it is checked that

- no device went without a turn for longer than its schedule, the time the process was down, and the
  time its own backup took;
- every file in the archive is a config that its device really had, and in the end the one it has;
- where the archive is a git repository too: `git fsck` finds nothing after each kill, each version a
  device's outcome speaks of is there, and none is there twice in a row;
- memory, threads and open files did not grow (--flat).

Usage: benches/soak.py [--minutes 30] [--devices 300] [--every 60] [--svg docs/soak.svg]
"""
import argparse
import hashlib
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PARTS = 6
# A device's own time: what its deadlines below allow for all attempts, and the waits between.
PATIENCE = 45
SLICE = 2


class Part:
    """A lab process with a share of the devices, at ports that stay the same."""

    def __init__(self, soak, index, first, count):
        self.soak, self.index, self.first, self.count = soak, index, first, count
        self.port = soak.options.port + first
        self.folder = soak.folder / f"part{index}"
        self.process = None
        self.ill = False
        self.bytes = 0

    def start(self, ill=False, changed=False):
        self.stop()
        self.ill = ill
        if changed:
            # Another size is another config; the host keys stay.
            self.bytes = 3000 + 500 * self.soak.random.randrange(40)
        command = [self.soak.binary, "lab", "--devices", self.count, "--first", self.first, "--port",
                   self.port, "--processes", 1, "--config-bytes", self.bytes, "--device-ms", 50,
                   "--write-settings", self.folder]
        if ill:
            command += ["--fault", "any:3"]
        log = open(self.soak.folder / f"lab{self.index}.log", "ab")
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=log, text=True)
        for line in self.process.stdout:
            if "devices are up" in line:
                break
        else:
            sys.exit(f"lab part {self.index} did not start; see {log.name}")
        for path in (self.folder / "expected").glob("*.cfg"):
            self.soak.known.setdefault(path.stem, {})[digest(path.read_bytes())] = None
            self.soak.present[path.stem] = digest(path.read_bytes())

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def names(self):
        return [f"csr{number}" for number in range(self.first, self.first + self.count)]


def digest(content):
    return hashlib.sha256(content).hexdigest()


class Soak:
    def __init__(self, options):
        self.options = options
        self.binary = str(pathlib.Path(options.wrmem).resolve())
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wrmem-soak-", dir=options.tmp))
        self.random = random.Random(options.seed)
        self.known, self.present = {}, {}
        self.samples, self.kills, self.downtimes, self.notes = [], [], [], []
        self.process = None
        self.gone = []
        share = -(-options.devices // PARTS)
        self.parts = [
            Part(self, index, 1 + first, min(share, options.devices - first))
            for index, first in enumerate(range(0, options.devices, share))
        ]

    # The process under test.

    def settings(self):
        folder = self.folder / "settings"
        folder.mkdir(exist_ok=True)
        git = '["files", "git"]' if self.options.git else '["files"]'
        path = self.folder
        self.write("wrmem.toml", f"""
run.every = "{self.options.every}s"
run.save = "always"
run.grace = "10s"
run.attempts = 2
run.backoff_base = "1s"
run.backoff_cap = "3s"
archive.dir = "{path}/configs"
archive.kinds = {git}
{f'archive.git_dir = "{path}/configs.git"' if self.options.git else ''}
state.dir = "{path}/state"
ssh.known_hosts = "{path}/state/known_hosts"
deadlines = {{ tcp = "2s", kex = "5s", login = "5s", prompt = "5s", save = "10s", backup = "15s", silence = "4s", write = "20s", attempt = "20s" }}
""")
        credentials = (self.parts[0].folder / "settings" / "credentials.toml").read_text()
        self.write("credentials.toml", credentials)
        (folder / "credentials.toml").chmod(0o600)
        self.write_devices()

    def write(self, name, text):
        """As editors and deployment tools do it: another file in its place."""
        path = self.folder / "settings" / name
        new = path.with_suffix(".new")
        new.write_text(text)
        new.rename(path)

    def write_devices(self, broken=False):
        lines = ['[defaults]\nplatform = "cisco_ios"\ncredentials = "lab"\n']
        for part in self.parts:
            for number, name in enumerate(part.names()):
                if name not in self.gone:
                    lines.append(f'[devices.{name}]\nhost = "127.0.0.1"\nport = {part.port + number}\n')
        if broken:
            lines.append("[devices\n")
        self.write("devices.toml", "".join(lines))

    def start(self):
        log = open(self.folder / "run.log", "ab")
        self.process = subprocess.Popen(
            [self.binary, "--settings", str(self.folder / "settings"), "run"],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)

    def kill(self):
        self.process.kill()
        self.process.wait()
        down = time.time()
        self.kills.append(down - self.began)
        self.fsck()
        self.start()
        self.downtimes.append((down, time.time()))

    def fsck(self):
        repository = self.folder / "configs.git"
        if not self.options.git or not repository.exists():
            return
        # Objects that a killed process left behind unreferenced are no damage.
        check = subprocess.run(["git", "-C", repository, "fsck", "--full", "--no-dangling"], capture_output=True, text=True)
        if check.returncode or check.stderr.strip():
            self.fault(f"git fsck: {check.stderr.strip() or check.stdout.strip()}")

    def fault(self, text):
        self.notes.append(text)
        print(f"FAULT {text}", flush=True)

    def sample(self):
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
            fields = dict(line.split(":", 1) for line in status.splitlines())
            open_files = len(os.listdir(f"/proc/{self.process.pid}/fd"))
            memory = int(fields["VmRSS"].split()[0]) / 1024
            self.samples.append((time.time() - self.began, memory, int(fields["Threads"]), open_files))
        except (OSError, KeyError):
            self.fault("the process is not there")
            self.start()

    # What happens to it.

    def second(self, now):
        options = self.options
        if now % 30 == 10:
            part = self.parts[(now // 30) % len(self.parts)]
            part.start(ill=not part.ill, changed=True)
        if now % 45 == 20:
            # Under a fifth, or everybody again.
            names = [name for part in self.parts for name in part.names()]
            self.gone = [] if self.gone else self.random.sample(names, max(1, len(names) // 10))
            self.edited[time.time()] = set(self.gone)
            self.write_devices()
        if now % 75 == 40:
            self.write_devices(broken=True)
        if now % 75 == 50:
            self.write_devices()
        if now % options.kill_every == options.kill_every - 1:
            self.kill()

    def run(self):
        self.edited = {}
        for part in self.parts:
            part.start(changed=True)
        self.settings()
        self.began = time.time()
        self.start()
        length = int(self.options.minutes * 60)
        for now in range(length):
            self.second(now)
            self.sample()
            if now % 60 == 0:
                print(f"{now // 60:3} min  {self.samples[-1][1]:6.1f} MB  {self.samples[-1][2]:4} threads  {self.samples[-1][3]:4} files", flush=True)
            time.sleep(max(0, self.began + now + 1 - time.time()))
        self.settle()
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=60) != 0:
            self.fault(f"ended with {self.process.returncode}")
        for part in self.parts:
            part.stop()

    def settle(self):
        """Everybody well, and two more turns; what was at rest has its time to come back."""
        self.gone = []
        self.write_devices()
        for part in self.parts:
            part.start(changed=False)
        end = time.time() + self.options.rest
        while time.time() < end and any(self.differs(name) for name in self.present):
            time.sleep(1)
        time.sleep(2 * self.options.every)

    def differs(self, name):
        try:
            return digest((self.folder / "configs" / f"{name}.cfg").read_bytes()) != self.present[name]
        except OSError:
            return True

    # What must hold afterwards.

    def check(self):
        self.check_files()
        turns = self.check_turns()
        self.check_git()
        if self.options.flat:
            self.check_flat()
        print(f"{self.options.devices} devices, {turns} turns, {len(self.kills)} kills, "
              f"{len(self.edited)} edits, {len(self.notes)} faults")

    def check_files(self):
        for name, known in sorted(self.known.items()):
            path = self.folder / "configs" / f"{name}.cfg"
            if not path.exists():
                self.fault(f"{name}: nothing is stored")
            elif digest(path.read_bytes()) not in known:
                self.fault(f"{name}: what is stored is no config it ever had")
            elif self.differs(name):
                self.fault(f"{name}: what is stored is not what it has now")

    def outcomes(self):
        database = sqlite3.connect(f"file:{self.folder}/state/wrmem.db?mode=ro", uri=True)
        rows = database.execute(
            "SELECT d.name, o.ended_ms / 1000.0, o.took_ms / 1000.0, o.outcome, o.stored, lower(hex(o.sha256)) "
            "FROM outcomes o JOIN devices d ON d.id = o.device WHERE o.outcome <> 'cancelled' "
            "ORDER BY d.name, o.ended_ms").fetchall()
        database.close()
        return rows

    def check_turns(self):
        by_name, turns = {}, 0
        for name, ended, took, *_ in self.outcomes():
            by_name.setdefault(name, []).append((ended, took))
            turns += 1
        for name in self.known:
            mine = by_name.get(name, [])
            points = [(self.began, 0)] + mine
            for (before, _), (ended, took) in zip(points, points[1:]):
                allowed = self.options.every + SLICE + PATIENCE + self.down(before, ended) + self.away(name, before, ended)
                if ended - before > allowed:
                    self.fault(f"{name}: {ended - before:.1f} s without a turn, {allowed:.1f} s allowed (its backup took {took:.1f} s)")
            if not mine:
                self.fault(f"{name}: never had a turn")
        return turns

    def down(self, begin, end):
        """How long the process was down within, and may take to come up and catch up."""
        catch_up = self.options.devices / 5 if self.options.devices > 300 else 0
        within = [(a, b) for a, b in self.downtimes if a < end and b > begin]
        return sum(b - a + PATIENCE + catch_up for a, b in within)

    def away(self, name, begin, end):
        """How long the device was out of the inventory within."""
        total, since = 0.0, None
        for at, gone in sorted(self.edited.items()):
            if name in gone:
                since = at
            elif since is not None:
                total += max(0, min(at + 15, end) - max(since, begin))
                since = None
        if since is not None:
            total += max(0, end - max(since, begin))
        return total

    def check_git(self):
        repository = self.folder / "configs.git"
        if not self.options.git:
            return
        self.fsck()
        git = lambda *words: subprocess.run(["git", "-C", repository, *words], capture_output=True, check=True).stdout
        told = {}
        for name, _, _, _, stored, sha in self.outcomes():
            if stored in ("new", "changed"):
                told.setdefault(name, []).append(sha)
        for name in self.known:
            history = git("log", "--format=%H", "--", f"{name}.cfg").decode().split()
            versions = [digest(git("show", f"{commit}:{name}.cfg")) for commit in history]
            if any(new == old for new, old in zip(versions, versions[1:])):
                self.fault(f"{name}: a version is there twice in a row")
            for sha in told.get(name, []):
                if sha not in versions:
                    self.fault(f"{name}: a version that was stored is lost")
            if versions and versions[0] != self.present[name]:
                self.fault(f"{name}: the last version is not what it has now")

    def check_flat(self):
        """The second half must not need more than the first; each life of the process begins anew."""
        lives = sorted({0.0, *self.kills})
        quiet = [s for s in self.samples if all(not 0 <= s[0] - life < 30 for life in lives)]
        if len(quiet) < 60:
            return
        half = len(quiet) // 2
        for index, (what, slack) in enumerate([("MB", 8), ("threads", 20), ("open files", 40)], 1):
            first, second = ([s[index] for s in part] for part in (quiet[:half], quiet[half:]))
            before, after = (sorted(part)[int(len(part) * 0.9)] for part in (first, second))
            if after > before * 1.15 + slack:
                self.fault(f"{what} grew from {before:.0f} to {after:.0f}")


PANELS = [("resident memory, MB", 1, "#0072b2"), ("threads", 2, "#009e73"), ("open files", 3, "#b07d00")]


def plot(soak, path):
    """Memory, threads and open files over time, as an SVG that follows light and dark."""
    width, height, left, top = 720, 90, 60, 46
    length = max(sample[0] for sample in soak.samples)
    x = lambda seconds: left + width * seconds / length
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} {top + 3 * (height + 34) + 20}">'
        "<style>svg{--paper:#fff;--ink:#1c2128;--dim:#5f6b7a;--line:#dfe3e8}"
        "text{font:12px system-ui,sans-serif;fill:var(--ink)}.dim{fill:var(--dim)}.title{font-weight:600}"
        "path{fill:none;stroke-width:1.5}.grid,.kill{stroke:var(--line)}.kill{stroke-dasharray:3 3}.paper{fill:var(--paper)}"
        "@media(prefers-color-scheme:dark){svg{--paper:#14181d;--ink:#e4e8ed;--dim:#98a4b3;--line:#2b323b}}</style>"
        f'<rect class="paper" width="100%" height="100%"/>'
        f'<text class="title" x="{left}" y="20">wrmem run: {soak.options.devices} devices every {soak.options.every} s, '
        f"{length / 60:.0f} minutes, killed {len(soak.kills)} times (dashed)</text>"
    ]
    for row, (title, index, colour) in enumerate(PANELS):
        base = top + row * (height + 34)
        values = [sample[index] for sample in soak.samples]
        most = max(values) * 1.1
        y = lambda value: base + height - height * value / most
        out.append(f'<text class="dim" x="{left}" y="{base - 6}">{title}, at most {max(values):.0f}, median {statistics.median(values):.0f}</text>')
        out.append(f'<path class="grid" d="M{left} {base + height}h{width}M{left} {base}v{height}"/>')
        out += [f'<path class="kill" d="M{x(at):.1f} {base}v{height}"/>' for at in soak.kills]
        step = max(1, len(values) // 600)
        points = [(s[0], s[index]) for s in soak.samples[::step]]
        line = "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in points)
        out.append(f'<path style="stroke:{colour}" d="M{line}"/>')
        out += [f'<text class="dim" text-anchor="end" x="{left - 6}" y="{y(v) + 4:.1f}">{v:.0f}</text>' for v in (0, most / 2, most)]
    bottom = top + 3 * (height + 34) - 14
    step = max(1, round(length / 60 / 6))
    for minute in range(0, int(length / 60) + 1, step):
        out.append(f'<text class="dim" text-anchor="middle" x="{x(minute * 60):.1f}" y="{bottom}">{minute} min</text>')
    path.write_text("".join(out) + "</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--devices", type=int, default=300)
    parser.add_argument("--every", type=int, default=60, help="seconds from turn to turn")
    parser.add_argument("--kill-every", type=int, default=240, help="seconds from kill to kill")
    parser.add_argument("--rest", type=int, default=900, help="seconds at most until all devices are well at the end")
    parser.add_argument("--port", type=int, default=21000, help="the port before that of the first device")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wrmem", default=ROOT / "target" / "release" / "wrmem")
    parser.add_argument("--git", action=argparse.BooleanOptionalAction, default=True, help="archive into git, too")
    parser.add_argument("--flat", action=argparse.BooleanOptionalAction, default=True, help="check that it does not grow")
    parser.add_argument("--svg", type=pathlib.Path, help="where the plot goes")
    parser.add_argument("--tmp", default=None, help="where its folder goes")
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    options = parser.parse_args()
    soak = Soak(options)
    try:
        soak.run()
        soak.check()
        if options.svg:
            plot(soak, options.svg)
    finally:
        if soak.process and soak.process.poll() is None:
            soak.process.kill()
            soak.process.wait()
        for part in soak.parts:
            part.stop()
        if options.keep or soak.notes:
            print(f"left in {soak.folder}")
        else:
            shutil.rmtree(soak.folder, ignore_errors=True)
    sys.exit(1 if soak.notes else 0)


if __name__ == "__main__":
    main()
