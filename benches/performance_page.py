"""Writes the measured tables into docs/performance.md and draws docs/scaling.svg.

What stands between `<!-- measured: NAME -->` and `<!-- end -->` in the page is replaced; all else is
written by hand and stays. Only what was measured is shown: a table without figures says so.
"""
import os
import re

import scaling_svg

NAMES = {
    "wrmem": "**wrmem**, all in flight",
    "wrmem-default": "wrmem, 100 in flight (the default)",
    "wrmem-sequential": "wrmem `--sequential`",
    "bare": "the bare ssh2 client, no checks",
    "asyncssh": "asyncssh by hand, no checks",
    "scrapli-asyncssh": "scrapli 2025, asyncssh transport",
    "scrapli-ssh2": "scrapli 2026 (libscrapli), ssh2 transport",
    "netmiko": "netmiko, a thread per device (the exercise)",
    "nornir-20": "nornir + netmiko, 20 workers",
    "nornir-100": "nornir + netmiko, 100 workers",
    "openssh-xargs": "OpenSSH + xargs -P 100, commands piped in blindly",
    "ansible": "Ansible cisco.ios, 50 forks",
}
CURVES = [name for name in NAMES if name in scaling_svg.COLOURS]
DEVICE_SECONDS = {"rtt20-200": 0.2, "rtt20-300": 0.3, "rtt20-500": 0.5, "rtt20-1000": 1.0}
# What wrmem may add to a device's own time: ten round trips of 20 ms, and 50 ms.
ADDED_AT_MOST = 10 * 0.020 + 0.050


class Results:
    """Medians by profile, size and contestant."""

    def __init__(self, kept, profiles):
        self.rows = {(r["profile"], r["size"], r["peer"]): r for r in kept}
        self.profiles = profiles

    def get(self, profile, size, peer):
        return self.rows.get((profile, size, peer))

    def sizes(self, profile, peer=None):
        return sorted({s for p, s, c in self.rows if p == profile and peer in (None, c)})

    def contestants(self, profile):
        there = {c for p, _, c in self.rows if p == profile}
        return [name for name in NAMES if name in there]


def seconds(value):
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def figure(row, name, form=seconds):
    return "" if row is None else form(row[name])


def millis(value):
    return f"{value:.2f} ms" if value < 10 else f"{value:,.0f} ms"


def megabytes(value):
    return f"{value:,.0f} MB"


def files(row):
    """How many files are whole, and what became of the rest."""
    if row is None:
        return ""
    said = f"{row['whole']:,.0f} of {row['size']:,}"
    return said + (f", **{row['wrong']:,.0f} wrong**" if row["wrong"] else "")


def table(head, rows):
    if not rows:
        return "Not measured yet.\n"
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def rivals(results):
    """Everybody at 1,000 devices, or at the most that was measured below that."""
    rows = []
    for peer in NAMES:
        sizes = [s for p in ("local", "rtt20-1000") for s in results.sizes(p, peer) if s <= 1000]
        if not sizes or peer == "wrmem-sequential":
            continue
        size = max(sizes)
        near, far = results.get("local", size, peer), results.get("rtt20-1000", size, peer)
        name = NAMES[peer] + ("" if size == 1000 else f" ({size:,} devices only)")
        any_of = near or far
        rows.append([
            name, figure(near, "wall"), figure(far, "wall"), figure(any_of, "cpu_ms", millis),
            figure(far or near, "rss_mb", megabytes), figure(results.get("trips", 1, peer), "trips", "{:.1f}".format),
            files(any_of),
        ])
    head = ["1,000 devices", "wall, no latency", "wall, RTT 20 ms + 1 s", "client CPU a device", "memory",
            "round trips", "whole files"]
    return table(head, rows)


def walls(results, profile):
    """Wall time by contestant and number of devices."""
    sizes = results.sizes(profile)
    rows = [
        [NAMES[peer], *(figure(results.get(profile, size, peer), "wall") for size in sizes)]
        for peer in results.contestants(profile)
        if peer != "wrmem-sequential"
    ]
    return table(["devices", *(f"{size:,}" for size in sizes)], rows)


def added(results):
    """What wrmem adds to a device's own time."""
    sizes = [1, 100, 1000]
    rows = []
    for profile, own in DEVICE_SECONDS.items():
        for peer in ("wrmem-default", "wrmem"):
            found = [results.get(profile, size, peer) for size in sizes]
            if any(row and "device_s" in row for row in found):
                rows.append([results.profiles[profile][0], NAMES[peer], *(
                    "" if row is None else f"{row['device_s'] - own:+.3f} s" for row in found
                )])
    head = [f"a device's median, aim {ADDED_AT_MOST:.3f} s", "", "one device", "100 devices", "1,000 devices"]
    return table(head, rows)


def troubled(results):
    """What the faulty do to the healthy: the runs of interleaved pairs."""
    rows = []
    for size in results.sizes("faulty", "wrmem"):
        ill, well = results.get("faulty", size, "wrmem"), results.get("healthy", size, "wrmem")
        if well is None:
            continue
        rows.append([
            f"{size:,}", f"{ill['faulty']:.0f}", figure(ill, "wall"), figure(well, "wall"), f"{ill['device_s']:.3f} s",
            f"{well['device_s']:.3f} s", f"{ill['device_s'] / well['device_s'] - 1:+.1%}", f"{ill['reps']}",
        ])
    head = ["devices", "faulty", "wall", "wall without faults", "healthy device", "without faults", "difference", "pairs"]
    return table(head, rows)


def against_bare(results, profile):
    """Wall time and CPU beside the bare client's."""
    rows = []
    for size in results.sizes(profile, "wrmem"):
        ours, bare = results.get(profile, size, "wrmem"), results.get(profile, size, "bare")
        if bare is None:
            continue
        rows.append([
            f"{size:,}", figure(ours, "wall"), figure(bare, "wall"), f"{ours['wall'] / bare['wall']:.2f}",
            figure(ours, "cpu_ms", millis), figure(bare, "cpu_ms", millis),
            f"{ours['cpu_ms'] / bare['cpu_ms']:.2f}" if bare["cpu_ms"] else "",
        ])
    return table(["devices", "wrmem", "bare", "ratio", "wrmem, CPU a device", "bare, CPU a device", "ratio"], rows)


def outcome(results, profile):
    """Wall time, CPU and what is in the files."""
    rows = []
    for size in results.sizes(profile):
        for peer in results.contestants(profile):
            row = results.get(profile, size, peer)
            if row is None:
                continue
            rows.append([
                f"{size:,}", NAMES[peer], figure(row, "wall"), figure(row, "cpu_ms", millis),
                f"{row['whole']:,.0f}", f"{row['wrong']:,.0f}", f"{row['missing']:,.0f}",
            ])
    return table(["devices", "", "wall", "CPU a device", "whole files", "wrong files", "no file"], rows)


def speedup(results):
    """One by one against all at once, devices of 2 s each."""
    rows = []
    for size in results.sizes("device-2s", "wrmem-sequential"):
        one, all_ = (results.get("device-2s", size, peer) for peer in ("wrmem-sequential", "wrmem"))
        if all_ is None:
            continue
        ratio = one["wall"] / all_["wall"]
        rows.append([f"{size:,}", figure(one, "wall"), figure(all_, "wall"), f"{ratio:.1f}", f"{ratio / size:.3f}"])
    return table(["devices", "one by one", "all at once", "speedup", "speedup / devices"], rows)


def large(results):
    """The largest fleets, with what the CPUs allow."""
    cores, rows = os.cpu_count(), []
    for profile in results.profiles:
        for size in (s for s in results.sizes(profile) if s >= 3000):
            for peer in results.contestants(profile):
                row = results.get(profile, size, peer)
                if row is None:
                    continue
                least = (row["cpu_ms"] + row["lab_cpu_ms"]) / 1000 * size / cores
                rows.append([
                    f"{size:,}", results.profiles[profile][0], NAMES[peer], figure(row, "wall"),
                    figure(row, "cpu_ms", millis), figure(row, "lab_cpu_ms", millis), seconds(least),
                    f"{row['wall'] / least:.2f}" if least else "", figure(row, "rss_mb", megabytes), files(row),
                ])
    head = ["devices", "profile", "", "wall", "CPU a device", "lab's CPU a device", "CPU of both over the cores",
            "ratio", "memory", "whole files"]
    return table(head, rows)


def blocks(results):
    """Every table by the name that it has in the page."""
    return {
        "rivals": lambda: rivals(results),
        "local": lambda: walls(results, "local"),
        "rtt20-1000": lambda: walls(results, "rtt20-1000"),
        "added": lambda: added(results),
        "bare-local": lambda: against_bare(results, "local"),
        "bare-rtt20-1000": lambda: against_bare(results, "rtt20-1000"),
        "bare-ios-xe16": lambda: against_bare(results, "ios-xe16"),
        "ios-xe16": lambda: outcome(results, "ios-xe16"),
        "faulty": lambda: outcome(results, "faulty"),
        "troubled": lambda: troubled(results),
        "big": lambda: outcome(results, "big"),
        "speedup": lambda: speedup(results),
        "large": lambda: large(results),
    }


def curve(results):
    """The picture, or nothing while one device alone was not measured."""
    panels = []
    for profile in ("local", "rtt20-1000"):
        points = {
            peer: [(size, results.get(profile, size, peer)["wall"]) for size in results.sizes(profile, peer)]
            for peer in CURVES
        }
        points = {peer: points[peer] for peer in CURVES if points[peer]}
        if len(results.sizes(profile)) < 2 or 1 not in results.sizes(profile):
            continue
        # A device's share of the start of a process is small where there are many.
        most = max(size for size in results.sizes(profile) if size <= 1000)
        rows = [results.get(profile, most, peer) for peer in points]
        cpu_ms = min(row["cpu_ms"] + row["lab_cpu_ms"] for row in rows if row is not None)
        panels.append((results.profiles[profile][0], points, cpu_ms))
    return scaling_svg.draw(panels, os.cpu_count()) if panels else None


def fill(root, text_of):
    """Puts `text_of(name)` into each block of the page; `None` leaves the block as it is."""
    page = root / "docs" / "performance.md"

    def block(match):
        text = text_of(match[2])
        return match[0] if text is None else f"{match[1]}\n\n{text}\n<!-- end -->"

    page.write_text(re.sub(r"(<!-- measured: (\S+) -->).*?<!-- end -->", block, page.read_text(), flags=re.DOTALL))


def replace(root, name, text):
    """Fills one block that another script measured."""
    fill(root, lambda found: text if found == name else None)


# Filled by scripts of their own.
ELSEWHERE = {"profile", "paced", "memory", "dialogue-10mb", "soak"}


def write(root, kept, profiles):
    """Fills the page's tables and draws the picture. An unknown table's name is an error."""
    results = Results(kept, profiles)
    known = blocks(results)
    fill(root, lambda name: None if name in ELSEWHERE else known[name]())
    picture = curve(results)
    if picture is not None:
        (root / "docs" / "scaling.svg").write_text(picture)
