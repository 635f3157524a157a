#!/usr/bin/env python3
"""asyncssh by hand: one task per device, prompts awaited, nothing checked. asyncssh has no limit for
an answer of its own; the usual one of the other peers, ten seconds, is set here.

usage: asyncssh_hand.py SETTINGS_DIR OUT_DIR
"""
import asyncio

import asyncssh
import fleet_settings

devices, login, out, _ = fleet_settings.load()
LIMIT = 300 if fleet_settings.RAISED else 10


async def back_up(name, device):
    async with asyncssh.connect(
        device["host"],
        device["port"],
        username=login["username"],
        password=login["password"],
        known_hosts=None,
        client_keys=None,
        preferred_auth="password",
        config=None,
        login_timeout=LIMIT,
        connect_timeout=LIMIT,
        kex_algs="+diffie-hellman-group14-sha1",
        server_host_key_algs="+ssh-rsa",
    ) as connection:
        shell = await connection.create_process(term_type="dumb", term_size=(511, 1000))
        prompt = f"{name}#"

        async def answer(end):
            async with asyncio.timeout(LIMIT):
                return await shell.stdout.readuntil(end)

        await answer(prompt)
        shell.stdin.write("term len 0\r")
        await answer(prompt)
        shell.stdin.write("wr mem\r")
        await answer(prompt)
        shell.stdin.write("show run\r")
        config = await answer("\nend\r\n")
        await answer(prompt)
        (out / f"{name}.cfg").write_text(config)
        shell.stdin.write("exit\r")


async def main():
    results = await asyncio.gather(
        *(back_up(*item) for item in devices.items()), return_exceptions=True
    )
    failed = [result for result in results if isinstance(result, BaseException)]
    for failure in failed[:3]:
        print(type(failure).__name__, failure)
    raise SystemExit(1 if failed else 0)


asyncio.run(main())
