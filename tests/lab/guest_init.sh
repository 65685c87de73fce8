#!/bin/busybox sh
# shellcheck shell=sh disable=all # runs as /init from the RAM disk, in the guest only
# First stage of the guest: drivers, file systems, then hand over to guest_run.sh.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
fail() {
  echo "lab: $*" >/dev/kmsg
  [ ! -e /dev/vport0p3 ] || echo "fail $*" >/dev/vport0p3
  $b sleep 0.2
  $b poweroff -f
}
. /lab/conf
for m in $modules; do $b insmod "/lab/mod/$m" || fail "cannot load $m"; done
n=0
until [ -e /dev/vport0p1 ] && [ -e /dev/vport0p2 ] && [ -e /dev/vport0p3 ]; do
  n=$((n + 1)); [ $n -lt 200 ] || fail "no virtio ports"
  $b sleep 0.05
done

# Memory set aside with memmap= shows up as legacy persistent memory; turn every
# such region into system RAM that the dax/kmem driver hot-plugs.
if [ "$kmem" = 1 ]; then
  for r in /sys/bus/nd/devices/region*; do
    i=${r##*region}
    d=dax$i.0
    echo 2097152 >$r/$d/align &&
    $b cat /proc/sys/kernel/random/uuid >$r/$d/uuid &&
    echo ram >$r/$d/mode &&
    echo namespace$i.0 >$r/$d/namespace &&
    echo $d >/sys/bus/nd/drivers/dax_pmem/bind &&
    echo $d >/sys/bus/dax/drivers/device_dax/unbind &&
    { echo $d >/sys/bus/dax/drivers/kmem/new_id ||
      echo $d >/sys/bus/dax/drivers/kmem/bind; } ||
      fail "kmem: region $i"
  done
fi

root=/new
v9=trans=virtio,version=9p2000.L,msize=524288
$b mount -t 9p -o ro,cache=loose,$v9 root $root || fail "cannot mount the root"
for d in tmp run var/tmp; do
  [ ! -d $root/$d ] || $b mount -t tmpfs -o mode=1777 tmpfs $root/$d
done
$b mkdir -p $root/run/lab $root/run/lock
mount_shares $root
$b mkdir -p /dev/shm /dev/pts
$b mount -t tmpfs -o mode=1777 tmpfs /dev/shm
$b mount -t devpts devpts /dev/pts
$b ln -sf /proc/self/fd /dev/fd
$b ln -sf /proc/self/fd/0 /dev/stdin
$b ln -sf /proc/self/fd/1 /dev/stdout
$b ln -sf /proc/self/fd/2 /dev/stderr
$b mount -t cgroup2 cgroup2 /sys/fs/cgroup
$b mount -t debugfs debugfs /sys/kernel/debug
$b mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
$b ifconfig lo up
$b hostname "lab-$topology"
for d in dev proc sys; do $b mount --move /$d $root/$d; done
$b cp $b /lab/job /lab/run /lab/conf $root/run/lab/
[ ! -e /lab/stdin ] || $b cp /lab/stdin $root/run/lab/
exec $b switch_root $root /run/lab/busybox sh /run/lab/run
