#!/usr/bin/env python3
"""The git archive at the size that years bring: how long `wrmem log`, `show` and `diff` take in it, how
large it is, and how long a run takes to be stored, beside libgit2 with one commit for each device as
Oxidized makes it. Prints the tables; --docs writes them into docs/history.md.

    benches/history.py                                   # 1,000 devices x 200 versions
    benches/history.py --versions 1000 --docs
    benches/history.py --devices 100 --versions 20       # within seconds
    benches/history.py --prepare                         # builds and generates only, which takes minutes
    benches/history.py --fsync                           # libgit2 also syncing its objects
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "bench" / "history"
PAGE = ROOT / "docs" / "history.md"
BEGIN, END = "<!-- measured -->", "<!-- end -->"
RUNS = 6  # of which the first one is the beginning of the repository


def sh(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, **options)


def out(*command):
    return sh(*command, stdout=subprocess.PIPE, text=True).stdout


def features():
    found = subprocess.run(["pkg-config", "--exists", "openssl"]).returncode == 0
    return [] if found else ["--features", "vendored-openssl"]


def build():
    told = out("cargo", "build", "--release", "--locked", "--quiet", "--bin", "wrmem", "--bench", "history",
               "--message-format", "json", *features(), "--manifest-path", ROOT / "Cargo.toml")
    built = [json.loads(line) for line in told.splitlines()]
    programs = {each["target"]["name"]: each["executable"] for each in built if each.get("executable")}
    peer = ROOT / "target" / "bench" / "libgit2"
    sh("cargo", "build", "--release", "--locked", "--quiet", "--target-dir", peer,
       "--manifest-path", ROOT / "benches/peers/libgit2/Cargo.toml")
    return {**programs, "libgit2": peer / "release/oxidized-way"}


def size_of(repository):
    files = [path for path in Path(repository).rglob("*") if path.is_file()]
    blocks = sum(path.stat().st_blocks * 512 for path in files)
    return blocks / 1e6, len(files)


def wait_for_gc(repository):
    """Whoever packs in the background is to be done."""
    while (repository / "gc.pid").exists():
        time.sleep(1)


def gc(repository):
    wait_for_gc(repository)
    begun = time.monotonic()
    sh("git", "-C", repository, "-c", "safe.directory=*", "gc", "--quiet")
    return time.monotonic() - begun


def timed(command):
    begun = time.perf_counter()
    sh(*command, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1e3


def spread(times):
    times = sorted(times)
    p95 = times[min(len(times) - 1, int(len(times) * 0.95))]
    return f"{statistics.median(times):.1f} ms", f"{p95:.1f} ms", f"{times[-1]:.1f} ms"


def questions(programs, folder, devices, versions, count):
    rng = random.Random(7)
    wrmem = [programs["wrmem"], "--settings", folder / "settings"]
    git = ["git", "-C", folder / "configs.git", "-c", "safe.directory=*"]
    asked = []
    for _ in range(count):
        name = f"csr{rng.randint(1, devices)}"
        back = rng.randint(0, versions - 2)
        asked.append((name, back))
    kinds = [
        ("`wrmem log NAME`", lambda name, back: [*wrmem, "log", name]),
        ("`wrmem show NAME@N`", lambda name, back: [*wrmem, "show", f"{name}@{back}"]),
        ("`wrmem diff NAME @N+1..@N`",
         lambda name, back: [*wrmem, "diff", name, f"@{back + 1}..@{back}"]),
        ("`git log -- NAME.cfg`", lambda name, back: [*git, "log", "--oneline", "--", f"{name}.cfg"]),
        ("`git show main~N:NAME.cfg`",
         lambda name, back: [*git, "show", f"main~{back}:{name}.cfg"]),
    ]
    rows = []
    for title, command in kinds:
        for name, back in asked[:5]:
            timed(command(name, back))
        rows.append((title, *spread(timed(command(name, back)) for name, back in asked)))
    return rows


def seconds(text):
    return [[float(part) for part in line.split()] for line in text.splitlines()]


def storing(programs, devices, fsync):
    """Runs that change every device, in repositories of their own; the first one is their beginning."""
    inputs = WORK / f"inputs-{devices}"
    if not inputs.exists():
        sh(programs["history"], "inputs", inputs, devices, RUNS)
    rows = []
    ways = [
        ("wrmem, one commit for each run, durable", None),
        ("libgit2, one commit for each device, nothing synced", []),
    ]
    if fsync:
        ways.append(("libgit2, one commit for each device, `core.fsyncObjectFiles`", ["fsync"]))
    for title, options in ways:
        place = WORK / "store"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        repository = place / "configs.git"
        os.sync()
        if options is None:
            runs = seconds(out(programs["history"], "store", place, inputs))
        else:
            runs = seconds(out(programs["libgit2"], repository, inputs, *options))
        wait_for_gc(repository)
        megabytes, files = size_of(repository)
        whole = [run[-1] for run in runs[1:]]
        packed = gc(repository)
        after, _ = size_of(repository)
        rows.append((title, f"{statistics.median(whole):.2f} s",
                     f"{min(whole):.2f} to {max(whole):.2f} s", f"{megabytes:.0f} MB in {files} files",
                     f"{after:.1f} MB ({packed:.0f} s)"))
    shutil.rmtree(WORK / "store", ignore_errors=True)
    return rows


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--versions", type=int, default=200)
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--fsync", action="store_true", help="libgit2 also syncing objects, which takes many minutes")
    parser.add_argument("--prepare", action="store_true", help="build and generate only")
    parser.add_argument("--docs", action="store_true")
    args = parser.parse_args()
    programs = build()
    folder = WORK / f"{args.devices}x{args.versions}"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        sh(programs["history"], "generate", folder, args.devices, args.versions)
        (folder / "made").write_text("")
    repository = folder / "configs.git"
    packing = gc(repository)
    if args.prepare:
        return
    megabytes, files = size_of(repository)
    index = (repository / "wrmem/versions.db").stat().st_size / 1e6
    asked = questions(programs, folder, args.devices, args.versions, args.questions)
    stored = storing(programs, args.devices, args.fsync)
    text = "\n".join([
        f"{args.devices:,} devices with {args.versions:,} versions each, configs of about 9 KB with a few lines "
        f"changed from version to version, {os.cpu_count()} cores; `benches/history.py --devices "
        f"{args.devices} --versions {args.versions}`. The repository takes {megabytes:.0f} MB in {files} files "
        f"after `git gc` (which took {packing:.0f} s once more at the end), {index:.0f} MB of it the index of "
        "versions.",
        "",
        f"A question about any device, from the start of the process to its end, warm, {args.questions} devices and "
        "versions at random:",
        "",
        table(["question", "median", "p95", "longest"], asked),
        "",
        f"A run in which each of {args.devices:,} devices has changed, until it is committed; medians of {RUNS - 1} "
        "runs in a small repository, the same configs each:",
        "",
        table(["way", "median", "from, to", "size, not packed", "after `git gc`"], stored),
    ])
    print(text)
    if args.docs:
        page = PAGE.read_text()
        before, rest = page.split(BEGIN, 1)
        after = rest.split(END, 1)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
