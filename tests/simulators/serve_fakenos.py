"""Serves the devices of a JSON file by fakenos, each on a free port of loopback, until stdin ends.

Prints one line for each device: its name and its port.
"""

import json
import socket
import sys

from fakenos import FakeNOS


def reserve(count):
    """So many sockets, each on a free port. fakenos shares the port (SO_REUSEPORT) and is the only
    one that listens; while the socket is open nobody else is given its port."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, True)
        one.bind(("127.0.0.1", 0))
    return sockets


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        devices = json.load(file)
    hosts = {}
    reserved = reserve(len(devices))
    for (name, device), one in zip(devices.items(), reserved):
        commands = {
            command: {"output": "\n".join(lines) if lines else None}
            for command, lines in device.get("commands", {}).items()
        }
        for command, prompt in device.get("then_prompts", {}).items():
            commands[command]["new_prompt"] = prompt
        hosts[name] = {
            "username": "scrapli",
            "password": "scrapli",
            "port": one.getsockname()[1],
            "server": {
                "plugin": "ParamikoSshServer",
                "configuration": {"address": "127.0.0.1", "timeout": 1},
            },
            "shell": {
                "plugin": "CMDShell",
                "configuration": {"base_prompt": device.get("prompt", name)},
            },
            "nos": {"plugin": device["simulator"], "configuration": {"commands": commands}},
        }
    net = FakeNOS(inventory={"hosts": hosts})
    net.start()
    for name, host in hosts.items():
        print(name, host["port"])
    print("ready", flush=True)
    sys.stdin.read()
    net.stop()


main()
