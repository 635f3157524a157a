#!/usr/bin/env python3
"""The exercise's own script: one thread per device, each with netmiko.

usage: netmiko_threads.py SETTINGS_DIR OUT_DIR
"""
import threading

import fleet_settings
from netmiko import ConnectHandler

devices, login, out, _ = fleet_settings.load()
limits = {}
if fleet_settings.RAISED:
    limits = dict(conn_timeout=60, banner_timeout=120, auth_timeout=120, read_timeout_override=120)


def back_up(name, device):
    print(f"Connecting to device | {name}")
    session = ConnectHandler(
        device_type="cisco_ios",
        host=device["host"],
        port=device["port"],
        username=login["username"],
        password=login["password"],
        **limits,
    )
    print(f"Saving configuration | {name}")
    session.send_command("wr mem")
    print(f"Backing up configuration | {name}")
    session.send_command("term len 0")
    config = session.send_command("show run")
    print(f"Writing config to file | {name}")
    (out / f"{name}.cfg").write_text(config)
    session.disconnect()


threads = [threading.Thread(target=back_up, args=item) for item in devices.items()]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
