# shellcheck shell=sh disable=all # runs under the guest's busybox only
# Second stage of the guest, process 1 in the final root: run the job, tell how it ended.
b=/run/lab/busybox
cd /run/lab
. ./conf
echo -1000 >/proc/self/oom_score_adj
$b mkfifo out err
$b cat <out >/dev/vport0p1 & out=$!
$b cat <err >/dev/vport0p2 & err=$!
exec 3>/dev/vport0p3
input=/dev/null
[ ! -e stdin ] || input=stdin
up() { read -r u _ </proc/uptime; echo "$u"; }
echo "ready $(up)" >&3
$b setsid $b sh -c 'echo 0 >/proc/self/oom_score_adj; exec 3>&-; exec /bin/sh job' <$input >out 2>err &
wait $!
rc=$?
# Let the output drain; a process left behind may hold it open, so not forever.
n=0
while $b kill -0 $out 2>/dev/null || $b kill -0 $err 2>/dev/null; do
  n=$((n + 1)); [ $n -lt 40 ] || break
  $b sleep 0.05
done
umount_shares
$b sync
echo "exit $rc $(up)" >&3
exec 3>&-
$b poweroff -f
