#!/usr/bin/env python3
"""nornir with its netmiko plugin.

usage: nornir_workers.py SETTINGS_DIR OUT_DIR WORKERS
"""
import fleet_settings
from nornir.core import Nornir
from nornir.core.configuration import Config
from nornir.core.inventory import ConnectionOptions, Defaults, Groups, Host, Hosts, Inventory
from nornir.core.plugins.connections import ConnectionPluginRegister
from nornir.core.state import GlobalState
from nornir.plugins.runners import ThreadedRunner
from nornir_netmiko.tasks import netmiko_send_command

devices, login, out, workers = fleet_settings.load()
extras = {}
if fleet_settings.RAISED:
    extras = dict(conn_timeout=60, banner_timeout=120, auth_timeout=120, read_timeout_override=120)


def back_up(task):
    task.run(netmiko_send_command, command_string="wr mem")
    task.run(netmiko_send_command, command_string="term len 0")
    config = task.run(netmiko_send_command, command_string="show run").result
    (out / f"{task.host.name}.cfg").write_text(config)


hosts = Hosts(
    {
        name: Host(
            name=name,
            hostname=device["host"],
            port=device["port"],
            username=login["username"],
            password=login["password"],
            platform="cisco_ios",
            connection_options={"netmiko": ConnectionOptions(extras=extras)},
        )
        for name, device in devices.items()
    }
)
ConnectionPluginRegister.auto_register()
inventory = Inventory(hosts=hosts, groups=Groups(), defaults=Defaults())
config = Config()
config.logging.enabled = False
nornir = Nornir(
    inventory=inventory,
    config=config,
    data=GlobalState(),
    runner=ThreadedRunner(num_workers=workers),
)
result = nornir.run(back_up)
nornir.close_connections()
raise SystemExit(1 if result.failed else 0)
