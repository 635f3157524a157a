"""Serves the devices of a JSON file by scrapli-replay, each on a free port of loopback, until stdin
ends. Prints one line for each device: its name and its port.
"""

import asyncio
import json
import os
import sys
import tempfile

import ruamel.yaml
from asyncssh.connection import create_server
from scrapli_replay.server import server


def recording(device):
    """The device as scrapli-replay's collector would have recorded it."""
    prompt = device["prompt"]

    def event(lines):
        said = "".join(line + "\n" for line in lines)
        return {
            "type": "standard",
            "channel_output": said + prompt,
            "result_privilege_level": "privilege_exec",
            "closes_connection": False,
        }

    events = {command: event(lines) for command, lines in device["commands"].items()}
    events["exit"] = {**event([]), "channel_output": "", "closes_connection": True}
    unknown = event(["% Invalid input detected at '^' marker."])
    states = ("pre_on_open", "post_on_open")
    return {
        "on_open_inputs": [],
        "initial_privilege_level": "privilege_exec",
        "privilege_level_prompts": {"privilege_exec": prompt},
        "events": {"privilege_exec": {state: events for state in states}},
        "unknown_events": {"privilege_exec": {state: unknown for state in states}},
    }


async def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        devices = json.load(file)
    folder = tempfile.mkdtemp(dir=os.path.dirname(sys.argv[1]))
    servers = []
    for name, device in devices.items():
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            ruamel.yaml.YAML(typ="safe", pure=True).dump(recording(device), file)

        def factory(path=path):
            return server.BaseServer(session=server.BaseSSHServerSession, collect_data=path)

        one = await create_server(
            factory, "127.0.0.1", 0, server_host_keys=[server.BASE_SERVER_KEY]
        )
        servers.append(one)
        print(name, one.get_port())
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
