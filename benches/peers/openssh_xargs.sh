#!/usr/bin/env bash
# OpenSSH and xargs: the commands are piped in blindly, 100 devices at once.
# usage: openssh_xargs.sh SETTINGS_DIR OUT_DIR WORKERS (needs sshpass)
set -eu
export OUT=$2
mkdir -p "$OUT"
export SSHPASS
SSHPASS=$(sed -n 's/^password = "\(.*\)"/\1/p' "$1/credentials.toml")
one() {
    printf 'term len 0\nwr mem\nshow run\nexit\n' |
        sshpass -e ssh -T -q -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
            -o PreferredAuthentications=password -o ConnectTimeout=300 -o KexAlgorithms=+diffie-hellman-group14-sha1 \
            -o HostKeyAlgorithms=+ssh-rsa -p "$3" "ntc@$2" >"$OUT/$1.cfg" || true
}
export -f one
awk -F'"' '/^\[devices\./ { name = $2 } /^host/ { host = $2 } /^port/ { split($0, p, "= "); print name, host, p[2] }' \
    "$1/devices.toml" | xargs -P "$3" -L 1 bash -c 'one "$@"' _
