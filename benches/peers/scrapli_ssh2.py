#!/usr/bin/env python3
"""scrapli 2026 (libscrapli) with its ssh2 transport: a pool of threads.

usage: scrapli_ssh2.py SETTINGS_DIR OUT_DIR [WORKERS]
"""
from concurrent.futures import ThreadPoolExecutor

import fleet_settings
from scrapli import Cli
from scrapli.auth import Options as Auth
from scrapli.session import Options as Session
from scrapli.transport import Ssh2Options

devices, login, out, workers = fleet_settings.load()


def back_up(item):
    name, device = item
    session = Cli(
        definition_file_or_name="cisco_iosxe",
        host=device["host"],
        port=device["port"],
        auth_options=Auth(username=login["username"], password=login["password"]),
        session_options=Session(operation_timeout_s=300) if fleet_settings.RAISED else None,
        transport_options=Ssh2Options(),
    )
    session.open()
    session.send_input(input_="wr mem")
    session.send_input(input_="term len 0")
    config = session.send_input(input_="show run").result
    (out / f"{name}.cfg").write_text(config)
    session.close()


failed = 0
with ThreadPoolExecutor(max_workers=workers or len(devices)) as pool:
    for future in [pool.submit(back_up, item) for item in devices.items()]:
        if error := future.exception():
            failed += 1
            if failed < 4:
                print(type(error).__name__, error)
raise SystemExit(1 if failed else 0)
