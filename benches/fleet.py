#!/usr/bin/env python3
"""The fleet benchmark: wrmem, a bare ssh2 client and the peers against one lab, in turn.

Starts the lab in processes of its own, lets it warm up, runs every contestant of a round one after
the other on the same devices, repeats the round (beginning with another one each time), verifies
every file against what the lab expects, and prints medians. `--docs` also writes the tables of
docs/performance.md and docs/scaling.svg from all results kept in target/bench/results.json.

  benches/fleet.py --sizes 30 --peers wrmem,netmiko --profiles rtt20 --reps 3
"""
import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "bench"
LABS = WORK / "labs"
PEERS = ROOT / "benches" / "peers"
WRMEM = ROOT / "target" / "release" / "wrmem"

# name: (what is said of it, flags of `wrmem lab`)
PROFILES = {
    "local": ("no latency", []),
    "rtt20-200": ("RTT 20 ms + 200 ms of device time", ["--rtt-ms", "20", "--device-ms", "200"]),
    "rtt20-300": ("RTT 20 ms + 300 ms of device time", ["--rtt-ms", "20", "--device-ms", "300"]),
    "rtt20-500": ("RTT 20 ms + 500 ms of device time", ["--rtt-ms", "20", "--device-ms", "500"]),
    "rtt20-1000": ("RTT 20 ms + 1 s of device time", ["--rtt-ms", "20", "--device-ms", "1000"]),
    "rtt20": ("RTT 20 ms, no device time", ["--rtt-ms", "20"]),
    "device-2s": ("2 s of device time", ["--device-ms", "2000"]),
    "ios-xe16": ("IOS-XE 16 algorithms", ["--algorithms", "ios-xe16"]),
    "faulty": ("1 in 10 faulty, RTT 20 ms + 1 s", ["--rtt-ms", "20", "--device-ms", "1000", "--fault", "any:10"]),
    "big": ("configs of 1 MB", ["--config-bytes", "1000000"]),
}
# What a profile adds to wrmem.toml. Where devices are faulty, everybody gives up on an answer after
# ten seconds, as netmiko and scrapli do by themselves, and nobody tries again.
SETTINGS = {
    "faulty": """
[run]
attempts = 1
[deadlines]
tcp = "10s"
kex = "10s"
login = "10s"
prompt = "10s"
save = "10s"
silence = "10s"
""",
}
# The same devices without what the profile is about: wrmem runs on both in each round.
TWINS = {"faulty": ("healthy", ["--rtt-ms", "20", "--device-ms", "1000"])}
# A round trip is counted as the time that a device further away by this much takes longer.
FAR_MS = 200
# Faults that leave no config to be had (but privilege-5, to those who use the enable secret): it
# is right that there is no file.
FATAL = {
    "refused", "silent", "close-before-banner", "garbage", "hang-in-kex", "wrong-password",
    "authz-refused", "close-mid-output", "hang-mid-output", "privilege-5",
}
# Has no deadlines and would wait for ever.
NEVER_ON_FAULTS = {"bare"}
# Who would need hours for more devices.
MOST_DEVICES = {"ansible": 150, "wrmem-sequential": 150}
# No run takes longer; whoever is not done by then is ended, and what there is by then counts.
LONGEST = 900
BASIC = ["wrmem", "bare"]
ALL_PEERS = [
    "wrmem", "wrmem-default", "wrmem-sequential", "bare", "netmiko", "nornir-20", "nornir-100",
    "scrapli-ssh2", "scrapli-asyncssh", "asyncssh", "openssh-xargs", "ansible",
]


def build():
    """Builds wrmem and the bare client, with OpenSSL as the Makefile does; the bare client's path."""
    line = ["cargo", "build", "--release", "--locked"]
    if shutil.which("pkg-config") is None or subprocess.run(["pkg-config", "--exists", "openssl"]).returncode != 0:
        line += ["--features", "vendored-openssl"]
    subprocess.run(line, cwd=ROOT, check=True)
    said = subprocess.run(
        [*line, "--bench", "bare", "--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    )
    lines = said.stdout.splitlines()
    for line in lines:
        message = json.loads(line)
        if message.get("target", {}).get("name") == "bare" and message.get("executable"):
            return pathlib.Path(message["executable"])
    sys.exit("cargo did not say where the bare client is")


def venv(name, requirements):
    """A virtual environment with what a file of requirements pins."""
    folder = WORK / name
    stamp = folder / "requirements"
    wanted = (PEERS / requirements).read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", "-r", PEERS / requirements], check=True)
        stamp.write_text(wanted)
    return folder / "bin"


def command(peer, lab, out, bare):
    settings = lab.folder / "settings"
    if peer.startswith("wrmem"):
        line = [WRMEM, "backup", "--settings", settings, "--archive", out, "--report", lab.folder / "report.json"]
        if peer == "wrmem":
            line += ["--in-flight", str(max(lab.size, 1))]
        if peer == "wrmem-sequential":
            line += ["--sequential"]
        return line, {}
    if peer == "bare":
        return [bare, settings, out], {}
    if peer == "openssh-xargs":
        return [PEERS / "openssh_xargs.sh", settings, out, "100"], {}
    if peer == "ansible":
        bins = venv("venv-ansible", "requirements-ansible.txt")
        return [PEERS / "ansible.sh", settings, out, "50"], {"PATH": f"{bins}:{os.environ['PATH']}"}
    if peer == "scrapli-asyncssh":
        return [venv("venv-2025", "requirements-2025.txt") / "python", PEERS / "scrapli_asyncssh.py", settings, out], {}
    script, workers = {
        "netmiko": ("netmiko_threads.py", []),
        "nornir-20": ("nornir_workers.py", ["20"]),
        "nornir-100": ("nornir_workers.py", ["100"]),
        "scrapli-ssh2": ("scrapli_ssh2.py", ["200"]),
        "asyncssh": ("asyncssh_hand.py", []),
    }[peer]
    return [venv("venv", "requirements.txt") / "python", PEERS / script, settings, out, *workers], {}


def able(peer, lab):
    return lab.size <= MOST_DEVICES.get(peer, lab.size) and not (lab.faults and peer in NEVER_ON_FAULTS)


def precedence():
    """A device answers by its own CPU, whatever the client does with ours: where we may, the lab goes first."""
    try:
        os.nice(-10)
    except PermissionError:
        pass


class Lab:
    """A running lab, in as many processes as its size asks for."""

    def __init__(self, size, flags, settings):
        self.size = size
        self.folder = LABS / f"{time.time_ns()}"
        self.folder.mkdir(parents=True)
        processes = max(1, -(-size // 2500))
        line = [WRMEM, "lab", "--devices", str(size), "--processes", str(processes), "--threads", "1", *flags]
        line += ["--write-settings", self.folder]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, preexec_fn=precedence)
        for said in self.process.stdout:
            if "devices are up" in said:
                break
        else:
            sys.exit("the lab did not start")
        text = (self.folder / "settings" / "devices.toml").read_text()
        found = re.findall(r'# fault: (\S+)\n\[devices\."?([^"\]]+)"?\]', text)
        self.faults = {name: fault for fault, name in found}
        with open(self.folder / "settings" / "wrmem.toml", "a") as file:
            file.write(settings)

    def cpu(self):
        """CPU seconds of the lab so far, children included."""
        total = 0.0
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(entry.name) == self.process.pid or int(stat[1]) == self.process.pid:
                total += (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
        return total

    def stop(self):
        self.process.terminate()
        self.process.wait()


def lines(data):
    return [line.rstrip() for line in data.decode("utf-8", "replace").replace("\r", "").split("\n")]


def judge(expected, kept, fatal, exact):
    """What a contestant's file is: whole, wrong, missing, or rightly not there (None).

    wrmem and the bare client must match byte for byte. What a peer keeps besides (the header, the
    echo, the prompt) is its own way; the config's lines must stand in its file in one piece.
    """
    if not kept.exists() or (kept.stat().st_size == 0 and not exact):
        return None if fatal else "missing"
    wanted, found = expected.read_bytes(), kept.read_bytes()
    if exact:
        return "whole" if wanted == found else "wrong"
    return "whole" if "\n".join(lines(wanted)).strip("\n") in "\n".join(lines(found)) else "wrong"


def verify(lab, out, peer):
    """How many files are whole, wrong, missing; that of a fatal device is rightly missing."""
    exact = peer.startswith("wrmem") or peer == "bare"
    counts = dict.fromkeys(["whole", "wrong", "missing"], 0)
    for path in sorted((lab.folder / "expected").iterdir()):
        verdict = judge(path, out / path.name, lab.faults.get(path.stem) in FATAL, exact)
        if verdict:
            counts[verdict] += 1
    return counts


def ended(process):
    """Waits for a process group's end, at most as long as any run may take; how it ended, and what it used."""
    alarm = threading.Timer(LONGEST, os.killpg, (process.pid, signal.SIGKILL))
    alarm.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        alarm.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def end_the_rest(mark):
    """Ends what a run left behind (Ansible's connections are daemons, some hang); `mark` is in their environment."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue


def own_figures(peer, lab):
    """What wrmem's report says of a device that is not faulty: its time, and that without the wait for a turn."""
    if not peer.startswith("wrmem"):
        return {}
    devices = json.loads((lab.folder / "report.json").read_text())["devices"]
    healthy = [device for device in devices if device["name"] not in lab.faults]
    waits = [sum(stage["steps"].get("gate", 0) for stage in device["stages"]) for device in healthy]
    return {
        "device_s": statistics.median(device["seconds"] for device in healthy),
        "called_s": statistics.median(device["seconds"] - wait for device, wait in zip(healthy, waits)),
    }


def once(peer, lab, bare):
    out = lab.folder / f"out-{peer}-{time.monotonic_ns()}"
    line, env = command(peer, lab, out, bare)
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    env |= {"BENCH_LIMITS": "usual" if lab.faults else "raised", "BENCH_RUN": mark}
    lab_before = lab.cpu()
    with open(lab.folder / f"log-{peer}", "w") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in line], stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **env},
            start_new_session=True,
        )
        usage = ended(process)
        wall = time.monotonic() - began
    end_the_rest(f"BENCH_RUN={mark}")
    return {
        **own_figures(peer, lab),
        "wall": wall,
        "cpu_ms": (usage.ru_utime + usage.ru_stime) * 1000 / lab.size,
        "rss_mb": usage.ru_maxrss / 1024,
        "lab_cpu_ms": (lab.cpu() - lab_before) * 1000 / lab.size,
        "code": process.returncode,
        "faulty": len(lab.faults),
        "fatal": sum(fault in FATAL for fault in lab.faults.values()),
        **verify(lab, out, peer),
    }


def sweep():
    """Removes what an earlier day left. ext4 is slow to reuse inodes freed within the last minutes, so nothing
    of today is removed, and nothing before a measurement."""
    for folder in LABS.iterdir() if LABS.exists() else ():
        if time.time() - folder.stat().st_mtime > 86400:
            shutil.rmtree(folder, ignore_errors=True)


def key(result):
    return (result["profile"], result["size"], result["peer"])


def measure(args, bare):
    results = []
    settings = args.settings.replace("\\n", "\n")
    for profile in args.profiles:
        for size in args.sizes:
            labs = {profile: Lab(size, PROFILES[profile][1], SETTINGS.get(profile, "") + settings)}
            try:
                if profile in TWINS:
                    twin, flags = TWINS[profile]
                    labs[twin] = Lab(size, flags, SETTINGS.get(profile, "") + settings)
                results += rounds(args, bare, size, labs)
            finally:
                for lab in labs.values():
                    lab.stop()
    return results


def rounds(args, bare, size, labs):
    """The medians of every contestant on the first lab, and of wrmem on its twin."""
    profile, *twins = labs
    turns = [(profile, peer) for peer in args.peers if able(peer, labs[profile])]
    turns += [(twin, "wrmem") for twin in twins if "wrmem" in args.peers]
    runs = {turn: [] for turn in turns}
    for name in labs:
        once("wrmem", labs[name], bare)
    for number in range(args.reps):
        for name, peer in turns[number % len(turns):] + turns[:number % len(turns)]:
            run = once(peer, labs[name], bare)
            runs[name, peer].append(run)
            print(
                f"{name} {size} {peer} #{number + 1}: {run['wall']:.2f} s,"
                f" {run['cpu_ms']:.2f} ms CPU and lab {run['lab_cpu_ms']:.2f} ms a device,"
                f" {run['rss_mb']:.0f} MB, {run['whole']} whole, {run['wrong']} wrong,"
                f" {run['missing']} missing, exit {run['code']}",
                flush=True,
            )
    return [
        {"profile": name, "size": size, "peer": peer, "reps": args.reps}
        | {figure: statistics.median(run[figure] for run in all_) for figure in all_[0]}
        for (name, peer), all_ in runs.items()
    ]


def round_trips(args, bare):
    """How many round trips a device takes: one device, near and far. The lab delays what is said, not TCP's own
    handshake, so that one is added."""
    walls = {peer: {} for peer in args.peers}
    for rtt in (0, FAR_MS):
        lab = Lab(1, ["--rtt-ms", str(rtt)], "")
        try:
            once("wrmem", lab, bare)
            for peer in args.peers:
                walls[peer][rtt] = statistics.median(once(peer, lab, bare)["wall"] for _ in range(max(args.reps, 3)))
        finally:
            lab.stop()
    results = []
    for peer, wall in walls.items():
        trips = 1 + (wall[FAR_MS] - wall[0]) * 1000 / FAR_MS
        print(f"{peer}: {trips:.1f} round trips", flush=True)
        results.append({"profile": "trips", "size": 1, "peer": peer, "reps": args.reps, "trips": trips})
    return results


def table(results):
    results = [r for r in results if "wall" in r]
    print(f"\n{'profile':<12}{'devices':>8}  {'contestant':<18}{'wall s':>8}{'CPU ms':>8}{'MB':>7}{'whole':>7}{'wrong':>6}")
    for r in results:
        print(
            f"{r['profile']:<12}{r['size']:>8}  {r['peer']:<18}{r['wall']:>8.2f}{r['cpu_ms']:>8.2f}"
            f"{r['rss_mb']:>7.0f}{r['whole']:>7.0f}{r['wrong']:>6.0f}"
        )


def keep(results):
    path = WORK / "results.json"
    kept = {key(r): r for r in (json.loads(path.read_text()) if path.exists() else [])}
    kept.update({key(r): r for r in results})
    path.write_text(json.dumps(list(kept.values()), indent=1))
    return list(kept.values())


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = lambda text: text.split(",")
    parser.add_argument("--sizes", type=lambda text: [int(word) for word in text.split(",")], default=[1, 3, 30, 100, 300, 1000])
    parser.add_argument("--peers", type=words, default=BASIC)
    parser.add_argument("--profiles", type=words, default=["local"])
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--settings", default="", help="lines added to wrmem.toml")
    parser.add_argument("--round-trips", action="store_true", help="count round trips instead: one device, near and far")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md and docs/scaling.svg")
    args = parser.parse_args()
    if args.peers == ["all"]:
        args.peers = ALL_PEERS
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    raise_file_limit()
    WORK.mkdir(parents=True, exist_ok=True)
    bare = build() if not args.no_build or not WRMEM.exists() else next(
        path for path in sorted((ROOT / "target/release/deps").glob("bare-*"), key=os.path.getmtime, reverse=True)
        if path.suffix == ""
    )
    if args.round_trips:
        results = round_trips(args, bare)
    else:
        results = measure(args, bare) if args.reps > 0 else []
    table(results)
    kept = keep(results)
    if args.docs:
        import performance_page

        performance_page.write(ROOT, kept, PROFILES)
    sweep()


if __name__ == "__main__":
    main()
