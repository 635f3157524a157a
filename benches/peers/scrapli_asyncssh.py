#!/usr/bin/env python3
"""scrapli 2025 with its asyncssh transport: one task per device.

usage: scrapli_asyncssh.py SETTINGS_DIR OUT_DIR
"""
import asyncio

import fleet_settings
from scrapli.driver.core import AsyncIOSXEDriver

devices, login, out, _ = fleet_settings.load()
limits = {}
if fleet_settings.RAISED:
    limits = dict(
        timeout_socket=300,
        timeout_transport=300,
        timeout_ops=300,
        transport_options={"asyncssh": {"connect_timeout": 300, "login_timeout": 300}},
    )


async def back_up(name, device):
    session = AsyncIOSXEDriver(
        host=device["host"],
        port=device["port"],
        auth_username=login["username"],
        auth_password=login["password"],
        auth_strict_key=False,
        transport="asyncssh",
        **limits,
    )
    await session.open()
    await session.send_command("wr mem")
    await session.send_command("term len 0")
    config = (await session.send_command("show run")).result
    (out / f"{name}.cfg").write_text(config)
    await session.close()


async def main():
    results = await asyncio.gather(
        *(back_up(*item) for item in devices.items()), return_exceptions=True
    )
    failed = [result for result in results if isinstance(result, BaseException)]
    for failure in failed[:3]:
        print(type(failure).__name__, failure)
    raise SystemExit(1 if failed else 0)


asyncio.run(main())
