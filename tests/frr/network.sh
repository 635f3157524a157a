# Run in namespaces of its own (mounts, processes, network): nothing it does is seen outside, and
# all of it is gone with them. Stays up until its input ends.

ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
for folder in /etc/frr /var/log /var/tmp; do
    mount -t tmpfs -o mode=755 tmpfs "$folder"
done
mkdir -p /run/sshd /run/frr /run/home /run/accounts
: >/var/log/lastlog

# The user ntc, whose login shell is the vtysh of the router that was logged in to.
vty_group=$(getent group frrvty | cut -d: -f3)
cp -p /etc/passwd /etc/shadow /run/accounts/
echo "ntc:x:61000:$vty_group::/run/home:/run/shell" >>/run/accounts/passwd
echo "ntc:$PASSWORD_HASH:19000:0:99999:7:::" >>/run/accounts/shadow
mount --bind /run/accounts/passwd /etc/passwd
mount --bind /run/accounts/shadow /etc/shadow
printf '#!/bin/sh\nexec /usr/bin/vtysh -N "$ROUTER"\n' >/run/shell
chmod 755 /run/shell
chown 61000 /run/home

echo ready
exec cat
