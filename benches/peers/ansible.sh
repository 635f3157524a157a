#!/usr/bin/env bash
# Ansible with cisco.ios, 50 forks.
# usage: ansible.sh SETTINGS_DIR OUT_DIR FORKS (ansible-playbook on the path)
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$2"
password=$(sed -n 's/^password = "\(.*\)"/\1/p' "$1/credentials.toml")
{
    echo '[all]'
    awk -F'"' '/^\[devices\./ { name = $2 } /^host/ { host = $2 } /^port/ { split($0, p, "= ");
        print name, "ansible_host=" host, "ansible_port=" p[2] }' "$1/devices.toml"
    printf '[all:vars]\nansible_connection=ansible.netcommon.network_cli\nansible_network_os=cisco.ios.ios\n'
    printf 'ansible_user=ntc\nansible_password=%s\nansible_host_key_checking=false\n' "$password"
    [ "${BENCH_LIMITS:-raised}" != raised ] || printf 'ansible_command_timeout=300\nansible_connect_timeout=300\n'
} >"$work/hosts"
cat >"$work/play.yml" <<PLAY
- hosts: all
  gather_facts: false
  tasks:
    - cisco.ios.ios_command: {commands: ["wr mem", "term len 0", "show run"]}
      register: shown
    - ansible.builtin.copy: {content: "{{ shown.stdout[2] }}", dest: "$2/{{ inventory_hostname }}.cfg"}
      delegate_to: localhost
      vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
PLAY
export ANSIBLE_HOST_KEY_CHECKING=False ANSIBLE_HOME="$work/home" ANSIBLE_LOCALHOST_WARNING=False
ansible-playbook -i "$work/hosts" --forks "$3" "$work/play.yml"
