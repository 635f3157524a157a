#!/usr/bin/env python3
"""The memory of a session in flight: the resident size of wrmem while so many devices keep it waiting, and the slope.

`src/limits.rs` reckons with it (BYTES_PER_DEVICE). `--docs` writes the line of docs/performance.md.

  benches/memory.py --devices 200,1000,3000
"""
import argparse
import pathlib
import statistics
import subprocess
import time

import fleet
import performance_page

# Long enough that all are connected and wait at the same time.
DEVICE_MS = 16000


def held(devices):
    """The resident size in KB once every device has its thread and nothing grows any more, and the open files."""
    lab = fleet.Lab(devices, ["--device-ms", str(DEVICE_MS)], "")
    try:
        line, _ = fleet.command("wrmem", lab, lab.folder / "out", None)
        process = subprocess.Popen([str(word) for word in line], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        proc, sizes, files = pathlib.Path("/proc") / str(process.pid), [], 0
        while process.poll() is None:
            try:
                status = dict(part.split(":", 1) for part in (proc / "status").read_text().splitlines())
                if int(status["Threads"]) >= devices:
                    sizes.append(int(status["VmRSS"].split()[0]))
                    files = max(files, len(list((proc / "fd").iterdir())))
            except (OSError, KeyError):
                break
            time.sleep(0.25)
        process.wait()
    finally:
        lab.stop()
    return statistics.median(sizes[len(sizes) // 2:]), files


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = lambda text: [int(word) for word in text.split(",")]
    parser.add_argument("--devices", type=numbers, default=[200, 1000, 3000])
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--docs", action="store_true")
    args = parser.parse_args()
    fleet.raise_file_limit()
    fleet.WORK.mkdir(parents=True, exist_ok=True)
    if not args.no_build:
        fleet.build()
    sizes = {devices: held(devices) for devices in args.devices}
    least, most = min(sizes), max(sizes)
    slope = (sizes[most][0] - sizes[least][0]) / (most - least)
    rows = [[f"{devices:,}", f"{size / 1024:.0f} MB", f"{files:,}"] for devices, (size, files) in sizes.items()]
    text = performance_page.table(["devices in flight", "resident memory", "open files"], rows)
    text += f"\n{slope * 1.024:.0f} KB for each session beyond the first ones, thread included.\n"
    print(text)
    if args.docs:
        performance_page.replace(fleet.ROOT, "memory", text)


if __name__ == "__main__":
    main()
