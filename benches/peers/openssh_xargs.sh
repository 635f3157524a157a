#!/usr/bin/env bash
# OpenSSH and xargs: the commands are piped in blindly, WORKERS devices at once. A fifo for each
# device keeps its input open until `exit` is answered: the end of the input would end the session.
# usage: openssh_xargs.sh SETTINGS_DIR OUT_DIR WORKERS (needs sshpass)
set -eu
export OUT=$2 SSHPASS FIFOS LIMIT=300 BEFORE=
SSHPASS=$(sed -n 's/^password = "\(.*\)"/\1/p' "$1/credentials.toml")
FIFOS=$(mktemp -d)
trap 'rm -rf "$FIFOS"' EXIT
mkdir -p "$OUT"
# ssh has no limit for an answer of its own.
[ "${BENCH_LIMITS:-raised}" = raised ] || { LIMIT=10 BEFORE='timeout 30'; }
one() {
    exec 3<>"$FIFOS/$1"
    printf 'term len 0\nwr mem\nshow run\nexit\n' >&3
    $BEFORE sshpass -e ssh -T -q -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o PreferredAuthentications=password -o ConnectTimeout=$LIMIT -o KexAlgorithms=+diffie-hellman-group14-sha1 \
        -o HostKeyAlgorithms=+ssh-rsa -p "$3" "ntc@$2" <&3 >"$OUT/$1.cfg" || true
}
export -f one
awk -F'"' '/^\[devices\./ { name = $2 } /^host/ { host = $2 } /^port/ { split($0, p, "= "); print name, host, p[2] }' \
    "$1/devices.toml" >"$FIFOS/.devices"
awk -v dir="$FIFOS/" '{ print dir $1 }' "$FIFOS/.devices" | xargs mkfifo
xargs -P "$3" -L 1 bash -c 'one "$@"' _ <"$FIFOS/.devices"
