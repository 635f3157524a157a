#!/usr/bin/env python3
"""Runs under limits: do they take as long as the limits make them, and no longer?

5,000 devices of which one in twenty is dead (half refuse the connection, half accept it and never say a word) and a
few refuse the password. One run is bound by its login rate, one by how many devices are in flight. The bound is the
larger of devices / rate and the time of all devices together / in flight. `--docs` writes the table of
docs/performance.md.

  benches/paced.py --devices 500 --rates 25 --in-flight 30
"""
import argparse
import json
import sys

import fleet
import performance_page

FLAGS = ["--rtt-ms", "20", "--device-ms", "1000", "--fault", "refused,silent:20", "--fault", "wrong-password:125"]
# Who says nothing is given two seconds, twice.
SETTINGS = """
[run]
logins_per_second = {rate}
in_flight = {in_flight}
attempts = 2
[deadlines]
kex = "2s"
"""


def run(devices, rate, in_flight):
    lab = fleet.Lab(devices, FLAGS, SETTINGS.format(rate=rate, in_flight=in_flight))
    try:
        result = fleet.once("wrmem-default", lab, None)
        report = json.loads((lab.folder / "report.json").read_text())
    finally:
        lab.stop()
    refused = [device for device in report["devices"] if lab.faults.get(device["name"]) == "wrong-password"]
    by_rate, by_slots = devices / rate, report["device_seconds"] / in_flight
    return {
        "devices": devices, "rate": rate, "in_flight": in_flight, "wall": result["wall"],
        "by_rate": by_rate, "by_slots": by_slots, "ratio": result["wall"] / max(by_rate, by_slots),
        "whole": result["whole"], "wrong": result["wrong"], "missing": result["missing"], "dead": sum(
            fault in ("refused", "silent") for fault in lab.faults.values()),
        "refused": len(refused), "passwords": sum(device["attempts"] for device in refused),
        "in_flight_max": report["in_flight_max"], "forecast": report["forecast"]["seconds"],
    }


def table(results):
    rows = [
        [f"{r['devices']:,}", f"{r['rate']:g} a second", f"{r['in_flight']}", f"{r['by_rate']:.1f} s",
         f"{r['by_slots']:.1f} s", f"{r['wall']:.1f} s", f"{r['ratio']:.3f}", f"{r['dead']}",
         f"{r['passwords']} for {r['refused']}", f"{r['whole']:,}, {r['wrong']} wrong"]
        for r in results
    ]
    head = ["devices", "logins", "in flight", "devices / rate", "device time / in flight", "wall", "wall / bound", "dead",
            "wrong passwords sent", "whole files"]
    return performance_page.table(head, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = lambda kind: lambda text: [kind(word) for word in text.split(",")]
    parser.add_argument("--devices", type=int, default=5000)
    parser.add_argument("--rates", type=numbers(float), default=[50, 150])
    parser.add_argument("--in-flight", type=numbers(int), default=[150, 50], help="one for each rate")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--docs", action="store_true")
    args = parser.parse_args()
    fleet.raise_file_limit()
    fleet.WORK.mkdir(parents=True, exist_ok=True)
    if not args.no_build:
        fleet.build()
    results = []
    for rate, in_flight in zip(args.rates, args.in_flight):
        results.append(run(args.devices, rate, in_flight))
        print(json.dumps(results[-1]), flush=True)
    print(table(results))
    if args.docs:
        performance_page.replace(fleet.ROOT, "paced", table(results))
    if any(r["wrong"] or r["missing"] or r["passwords"] != r["refused"] for r in results):
        sys.exit("a wrong or missing file, or a password sent twice")


if __name__ == "__main__":
    main()
