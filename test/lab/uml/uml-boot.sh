#!/bin/sh
# uml-boot.sh LAB_DIR UML_ROOT KERNEL-ARGS…   (run by `ip netns exec`, which gives it mounts of its own)
# The kernel is a Debian program with newer libraries than this machine may have, so it runs in a small root of its
# own. Its memory is a file in TMPDIR: a private tmpfs that goes away with the process.
set -e
lab=$1 root=$2
shift 2
mount --bind /proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind "$lab" "$root/lab"
mount -t tmpfs -o size=4G tmpfs "$root/tmp"
export TMPDIR=/tmp HOME=/lab/run PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec chroot "$root" /usr/bin/linux.uml "$@"
