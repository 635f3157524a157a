#!/usr/bin/env python3
"""Where the client's CPU goes: perf on one run of wrmem against a lab of simulated devices, by what the time is for.

Needs Debian's linux-perf, and root or kernel.perf_event_paranoid = 1. `--docs` writes the table of docs/performance.md.

  benches/cpu_profile.py --devices 1000 --profile local
"""
import argparse
import collections
import os
import re
import subprocess
import sys

import fleet

LINE = re.compile(r"\s*(.+?)\s+(\d+)\s+[0-9a-f]+\s+(.*?)\s+\(([^()]*)\)\s*$")
# The first that fits counts; the library, then the symbol.
KINDS = [
    ("crypto (OpenSSL)", r"libcrypto", r""),
    ("kernel: switching, waking, futex, timers", r"kernel", r"sched|futex|task_|timer|wake|switch|poll|idle|clock|raw_spin|enqueue|dequeue|exit_to_user"),
    ("kernel: memory (page faults, mapping)", r"kernel", r"page|fault|mmap|unmap|folio|memcg|mas_|vma|zap_|alloc_|pte|tlb|smp_call|_fault|mm_"),
    ("kernel: files", r"kernel", r"ext4|jbd2|vfs_|fsync|blk_|bio|iowrite|virtio|inode|dentry|d_lookup|fscrypt|find_get_block|filemap"),
    ("kernel: network", r"kernel", r"tcp|inet|ip_|sock|skb|net_|softirq|loopback|local_bh|dev_queue|nf_|sk_|napi|process_backlog"),
    ("kernel: the rest", r"kernel", r""),
    ("libssh2", r"wrmem", r"^_?(lib)?ssh2|^session_startup|^kex_|^diffie|^transport|^channel_|^userauth|^packet_|^crypt_|^hostkey"),
    ("memory allocation (libc)", r"libc\.", r"malloc|free|calloc|realloc|unlink_chunk|arena|consolidate"),
    ("libc, vdso, loader", r"libc\.|vdso|ld-linux|libgcc", r""),
    ("actix, tokio, channels", r"wrmem", r"actix|tokio|crossbeam|mio::|parking_lot|oneshot"),
    ("wrmem: dialogue and text", r"wrmem", r"wrmem::(session::dialogue|text)"),
    ("wrmem: ssh", r"wrmem", r"wrmem::session|ssh2::"),
    ("wrmem: actors and flow", r"wrmem", r"wrmem::(actors|flow|model)"),
    ("wrmem: archive, SHA-256", r"wrmem", r"wrmem::archive|sha2::"),
    ("wrmem: settings, report, the rest", r"", r""),
]


def kind(library, symbol):
    return next(name for name, where, what in KINDS if re.search(where, library) and re.search(what, symbol))


def threads(comm, tid, main):
    if tid == main:
        return "supervisor"
    return {"wrmem": "archive writer", "archive": "archive writer"}.get(comm, "collector" if comm.startswith("actix") else "devices")


def profile(devices, name):
    lab = fleet.Lab(devices, fleet.PROFILES[name][1], "")
    data = fleet.WORK / "perf.data"
    try:
        for number in range(2):  # the first run makes the host keys known
            line, _ = fleet.command("wrmem", lab, lab.folder / f"out{number}", None)
            record = ["perf", "record", "-q", "-F", "5000", "-o", data] if number else []
            subprocess.run([*record, *line], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    finally:
        lab.stop()
    said = subprocess.run(
        ["perf", "script", "-i", data, "-F", "comm,tid,ip,sym,dso"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    ).stdout
    return [match.groups() for match in map(LINE.match, said.splitlines()) if match]


def tables(samples):
    main, total = samples[0][1], len(samples)
    kinds, by_thread = collections.Counter(), collections.Counter()
    for comm, tid, symbol, library in samples:
        kinds[kind(os.path.basename(library), symbol)] += 1
        by_thread[threads(comm, tid, main)] += 1
    rows = [[name, f"{count / total:.1%}"] for name, count in kinds.most_common()]
    shares = ", ".join(f"{name} {count / total:.1%}" for name, count in by_thread.most_common())
    return rows, shares


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--profile", default="local")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--docs", action="store_true", help="write the table of docs/performance.md")
    args = parser.parse_args()
    fleet.raise_file_limit()
    fleet.WORK.mkdir(parents=True, exist_ok=True)
    if not args.no_build:
        fleet.build()
    samples = profile(args.devices, args.profile)
    if not samples:
        sys.exit("perf took no samples; see `perf record true`")
    rows, shares = tables(samples)
    for name, share in rows:
        print(f"{share:>6}  {name}")
    print(f"by thread: {shares}")
    if args.docs:
        import performance_page

        text = performance_page.table(["CPU of the client", "share"], rows) + f"\nBy thread: {shares}.\n"
        performance_page.replace(fleet.ROOT, "profile", text)


if __name__ == "__main__":
    main()
