# Starts one FRR instance and the sshd in front of it, with a host name and mounts of its own:
#   router.sh NAME ADDRESS watched|direct|split|refused DAEMON...    with the config on stdin
# Everything is ready when this ends: the daemons, watchfrr and sshd detach only then.

name=$1 address=$2 saving=$3
shift 3
hostname "$name"
case $saving in
direct)
    # ntc is the user of the daemons by another name, so that vtysh itself may write their config.
    owner=$(id -u frr):$(id -g frr)
    sed "s/^ntc:x:[0-9]*:[0-9]*:/ntc:x:$owner:/" /etc/passwd >"/run/accounts/passwd.$name"
    mount --bind "/run/accounts/passwd.$name" /etc/passwd
    ;;
esac
etc=/etc/frr/$name run=/run/frr/$name
mkdir "$etc" "$run"
cat >"$run/wanted.conf"

# As Debian installs it: who is only in frrvty cannot read it, and vtysh says so at each login.
case $saving in
split) echo 'no service integrated-vtysh-config' ;;
*) echo 'service integrated-vtysh-config' ;;
esac >"$etc/vtysh.conf"

# Each daemon reads a file of its own first; an empty one keeps it from looking elsewhere.
for daemon in "$@"; do
    case $saving in
    split) : >"$etc/$daemon.conf" ;;
    esac
done
case $saving in
split) ;;
*) echo "hostname $name" >"$etc/frr.conf" ;;
esac
chmod 640 "$etc"/*
chown -R frr:frr "$etc" "$run"

for daemon in "$@"; do
    "/usr/lib/frr/$daemon" -d -N "$name" -A 127.0.0.1 -P 0
done
vtysh -N "$name" -f "$run/wanted.conf" >"$run/said" 2>&1 || { cat "$run/said" >&2; exit 1; }
case $saving in
watched)
    # Writes the integrated config for vtysh. What should restart a daemon restarts none.
    /usr/lib/frr/watchfrr -d -N "$name" -p "$run/watchfrr.pid" \
        -r ': %s' -s ': %s' -k ': %s' "$@"
    ;;
esac

ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$run/host_key"
cat >"$run/sshd_config" <<CONFIG
ListenAddress $address:22
HostKey $run/host_key
PidFile $run/sshd.pid
UsePAM no
PasswordAuthentication yes
SetEnv ROUTER=$name
CONFIG
/usr/sbin/sshd -f "$run/sshd_config" -E "$run/sshd.log"
