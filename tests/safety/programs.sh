#!/bin/bash
# programs.sh LIBRARY [NAME..]: real, unmodified programs under LD_PRELOAD, without a configuration
# and with two tiers. Each must give the same output and exit status as without the library.
#
# Environment: HMS_SAFETY_SORT_MB  size of the file that sort sorts (default 1024)
#              HMS_SAFETY_KEEP     keep the working directory and say where it is
set -u
library=$(realpath "$1")
shift
only=("$@")
sort_mb=${HMS_SAFETY_SORT_MB:-1024}
source_dir=$(realpath "$(dirname "$0")/../..")
two_tiers="tiers fast=64M,slow=64G; size>=4096:slow; fast>slow"
work=$(mktemp -d)
if [ -n "${HMS_SAFETY_KEEP:-}" ]; then
  echo "working directory: $work"
else
  trap 'rm -rf "$work"' EXIT
fi
cd "$work" || exit 2
export LC_ALL=C HOME=$work
ran=0
failures=0
absent=()

wanted() {
  [ ${#only[@]} -eq 0 ] && return 0
  local name
  for name in "${only[@]}"; do [ "$name" = "$1" ] && return 0; done
  return 1
}

# once MODE NAME SCRIPT: runs SCRIPT by bash in a fresh directory; stdout and status are the result.
once() {
  local mode=$1 name=$2 script=$3
  local dir=$work/$name.$mode
  rm -rf "$dir" && mkdir "$dir"
  local preload="" conf=""
  [ "$mode" != bare ] && preload=$library
  [ "$mode" = tiers ] && conf=$two_tiers
  (
    cd "$dir" || exit 99
    export WORK=$work SOURCE=$source_dir
    [ -n "$conf" ] && export HMS_CONF=$conf
    # The shell itself is under the library as well.
    [ -n "$preload" ] && export LD_PRELOAD=$preload
    exec timeout 900 bash -c "$script" >"$work/$name.$mode.out" 2>"$work/$name.$mode.err" </dev/null
  )
  local status=$?
  echo "$status" >"$work/$name.$mode.status"
  rm -rf "$dir"
}

# same NAME NEEDS SCRIPT: SCRIPT without the library, with it, and with it and two tiers.
same() {
  local name=$1 needs=$2 script=$3 mode tool
  wanted "$name" || return 0
  for tool in $needs; do
    if ! command -v "$tool" >/dev/null; then
      echo "  absent   $name: $tool is not installed"
      absent+=("$name")
      return 0
    fi
  done
  printf '  %-9s' "$name"
  local verdict=same
  for mode in bare plain tiers; do
    local begin=$SECONDS
    once "$mode" "$name" "$script"
    printf ' %s %ss' "$mode" $((SECONDS - begin))
    [ "$mode" = bare ] && continue
    cmp -s "$name.bare.out" "$name.$mode.out" || verdict="output differs ($mode)"
    cmp -s "$name.bare.status" "$name.$mode.status" ||
      verdict="exit status $(cat "$name.$mode.status") instead of $(cat "$name.bare.status") ($mode)"
    if grep -q '^libhms' "$name.$mode.err"; then verdict="the library complains ($mode)"; fi
  done
  if [ "$(cat "$name.bare.status")" -ne 0 ]; then verdict="fails without the library, so shows nothing"; fi
  echo "  $verdict"
  ran=$((ran + 1))
  if [ "$verdict" != same ]; then
    failures=$((failures + 1))
    for mode in bare plain tiers; do
      echo "    --- $mode: stderr, end of stdout"
      tail -5 "$name.$mode.err" | sed 's/^/    /'
      tail -3 "$name.$mode.out" | cut -c1-300 | sed 's/^/    /'
    done
  fi
}

echo "programs under $library (sort of $sort_mb MiB)"
head -c 20000000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null | base64 -w 76 >text 2>/dev/null
[ -s text ] || seq 1 3000000 >text

same cat "cat" 'for i in 1 2 3; do cat "$WORK/text" | cat | md5sum; cat -n "$WORK/text" | tail -1; done
  cat -A /bin/ls | md5sum'
same grep "grep" 'grep -c a "$WORK/text"; grep -E "(ab|cd)+[0-9]{2}" "$WORK/text" | md5sum
  grep -rn "include" "$SOURCE/allocator" "$SOURCE/runtime" | sort | wc -l; grep -q nothing-like-this-here "$WORK/text"; echo $?
  printf "aXbX\n" | grep -oP "(?<=a)X"'
same sort "sort" "yes \"\$(seq 1 997 | tr '\n' ' ')\" | tr ' ' '\n' | awk '{ print (NR * 7919 + \$1 * 104729) % 1000000007, \$1, NR }' |
  head -c ${sort_mb}M >big; sort -S 40% --parallel=2 -n big | md5sum; rm big"
same python "python3" 'cat >p.py <<"END"
import threading, multiprocessing, json, re, hashlib
def square(n):
    return sum(len(str(i ** 20)) for i in range(n))
def work(i, results):
    text = json.dumps([{"k%d" % j: list(range(j % 50))} for j in range(3000)])
    results[i] = hashlib.md5(re.sub("[13]", str(i), text).encode()).hexdigest()
if __name__ == "__main__":
    results = [None] * 8
    threads = [threading.Thread(target=work, args=(i, results)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    print(results)
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(3) as pool:
            print(method, sum(pool.map(square, range(200))))
END
python3 p.py
python3 -c "import sqlite3, decimal, ctypes; print(decimal.Decimal(2).sqrt(), sum(len(s) for s in map(str, range(500000))))"'
same perl "perl" 'perl -e "use threads; my %h; \$h{\$_ % 5000} .= chr(65 + \$_ % 26) for 1..1000000;
  print length(join \"\", map { \$h{\$_} } sort keys %h), \"\n\"; print join(\",\", map { \$_->join } map { my \$n = \$_; threads->create(sub { my @a = map { \$_ x 10 } 1..20000; scalar @a + \$n }) } 1..4), \"\n\";
  for (1..20) { my \$p = fork; if (!\$p) { exit 0 } waitpid \$p, 0; print \$? }"'
same git "git" 'git init -q r && cd r && git config user.email a@b.c && git config user.name n && git config gc.auto 0
  cp -r "$SOURCE/allocator" "$SOURCE/runtime" "$SOURCE/include" . && export GIT_AUTHOR_DATE="2020-01-01T00:00:00Z" GIT_COMMITTER_DATE="2020-01-01T00:00:00Z"
  for i in $(seq 1 40); do for f in allocator/*.h; do echo "// $i" >>"$f"; done; git add -A; git commit -q -m "c$i"; done
  git gc -q --aggressive --prune=now; git fsck --strict --no-dangling; git log --oneline | md5sum; git count-objects; git grep -c include | md5sum; git blame allocator/allocator.h | md5sum'
same gcc "g++" 'for f in $(ls "$SOURCE"/allocator/*.cc "$SOURCE"/runtime/support/*.cc "$SOURCE"/runtime/topology/*.cc | head -24); do
  (cd "$SOURCE" && g++ -std=c++17 -O2 -g0 -fPIC -I. -Iinclude -DHMS_BUILDING -c "$f" -o "$OLDPWD/$(basename "$f").o") || exit 1; done; cat *.o | md5sum'
same clang "clang++" 'for f in $(ls "$SOURCE"/allocator/*.cc "$SOURCE"/runtime/support/*.cc | head -10); do
  (cd "$SOURCE" && clang++ -std=c++17 -O2 -fPIC -I. -Iinclude -DHMS_BUILDING -c "$f" -o "$OLDPWD/$(basename "$f").o") || exit 1; done; cat *.o | md5sum'
# The load generator's report has timings in it; what the server answers must be the same.
same redis "redis-server redis-cli redis-benchmark" 'redis-server --port 0 --unixsocket "$PWD/s" --save "" --appendonly no --daemonize no --dir "$PWD" >server.log 2>&1 & server=$!
  for i in $(seq 1 100); do redis-cli -s s ping >/dev/null 2>&1 && break; sleep 0.1; done
  redis-benchmark -s s -q -n 30000 -d 2000 -r 20000 -t set,get,lpush,hset,sadd,zadd,mset >/dev/null || exit 1
  redis-cli -s s eval "for i=1,20000 do redis.call(\"set\", \"k\"..i, string.rep(\"v\", i % 3000)) end return redis.call(\"strlen\", \"k2999\")" 0
  redis-cli -s s config set activedefrag yes; redis-cli -s s memory purge; redis-cli -s s flushdb; redis-cli -s s debug reload
  redis-cli -s s memory doctor | head -c 20; echo; redis-cli -s s set a b; redis-cli -s s bgsave; sleep 0.5; redis-cli -s s get a
  redis-cli -s s shutdown nosave; wait $server; echo "server $?"'
same sqlite "sqlite3" 'sqlite3 db "create table t(a integer primary key, b text, c blob); begin;
  with recursive n(i) as (select 1 union all select i + 1 from n where i < 400000) insert into t select i, hex(i * 7919), zeroblob(i % 300) from n; commit;
  create index x on t(b); select count(*), sum(length(c)), max(b) from t; select count(*) from t a join t b on a.b = b.b; pragma integrity_check;"'
same node "node" 'node -e "const z = require(\"zlib\"), { Worker } = require(\"worker_threads\");
  let m = new Map(); for (let i = 0; i < 600000; i++) m.set(\"k\" + i, { v: \"x\".repeat(i % 50) });
  console.log(m.size, z.gzipSync(Buffer.alloc(20000000, \"abc\")).length);
  let n = 0; for (let i = 0; i < 4; i++) new Worker(\"let a = []; for (let i = 0; i < 200000; i++) a.push({ i }); require(\\\"worker_threads\\\").parentPort.postMessage(a.length)\", { eval: true }).on(\"message\", v => { n += v; if (n == 800000) console.log(n) });"'
same java "java javac" 'cat >H.java <<"END"
public class H { public static void main(String[] a) throws Exception {
  java.util.Map<Integer, String> m = new java.util.HashMap<>(); for (int i = 0; i < 300000; i++) m.put(i, "v" + i);
  Thread[] t = new Thread[8]; for (int i = 0; i < 8; i++) { t[i] = new Thread(() -> { byte[][] b = new byte[500][]; for (int j = 0; j < 500; j++) b[j] = new byte[20000]; }); t[i].start(); }
  for (Thread x : t) x.join(); System.out.println("hello " + m.size() + " " + java.nio.ByteBuffer.allocateDirect(50000000).capacity()); } }
END
javac H.java && java -Xmx256m -cp . H'
same bash "bash" 'declare -A a; for i in $(seq 1 30000); do a[k$i]=$((i * 3)); done; echo ${#a[@]}; for i in $(seq 1 100); do x=$(echo $i | (read y; echo $y)); done; echo $x
  bash -c "exit 3"; echo $?; bash -c "kill -TERM \$\$"; echo $?; (exec bash -c "exec true"); echo $?; printf "%s\n" "${!a[@]}" | sort | md5sum'

echo "$ran programs compared, $failures differ, ${#absent[@]} absent ${absent[*]:-}"
if [ "$ran" -eq 0 ]; then
  echo "nothing was compared"
  exit 1
fi
exit $((failures > 0))
