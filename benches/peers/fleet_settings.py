"""The lab's settings folder, as the peers read it."""
import os
import pathlib
import sys
import tomllib

# Whether time limits are raised far above any wait, for fleets so large that the machine is what
# they wait for, or are the peer's own defaults.
RAISED = os.environ.get("BENCH_LIMITS", "raised") == "raised"


def load():
    """Devices, login, output folder and the optional number of workers from the command line."""
    settings, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    workers = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    devices = tomllib.loads((settings / "devices.toml").read_text())["devices"]
    login = tomllib.loads((settings / "credentials.toml").read_text())["credentials"]["lab"]
    out.mkdir(parents=True, exist_ok=True)
    return devices, login, out, workers
