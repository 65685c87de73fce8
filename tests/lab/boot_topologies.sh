# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with boot
# The memory topologies that boot knows, and how they become QEMU and kernel arguments. Sourced by
# boot.
#
# cpu_node ID MIB             a node with processors and memory (0: none)
# mem_node ID MIB CPUNODE     a node with memory only, and its nearest CPU node
# hot_node ID MIB CPUNODE     the same, hot-plugged once the kernel runs: as --kmem ID
# link A B DIST [NS GIBPS]    distance between two nodes (A may equal B), and the
#                             latency and bandwidth that HMAT tells, both ways,
#                             for whichever end has processors; "-" for either is
#                             a hole in its table

topologies="ddr1 ddr2 ddr-cxl ddr-cxl-hot hbm-ddr hbm-ddr-cxl 2s-2cxl hmat-holes"

topology() {
  case $1 in
    ddr1)
      about="one node, DRAM"
      cpu_node 0 2048
      link 0 0 10  90 100 ;;
    ddr2)
      about="two sockets, DRAM only"
      cpu_node 0 1024
      cpu_node 1 1024
      link 0 0 10  90 100
      link 1 1 10  90 100
      link 0 1 21 150  50 ;;
    ddr-cxl)
      about="one socket (0) and far CPU-less memory (1)"
      cpu_node 0 1024
      mem_node 1 1536 0
      link 0 0 10  90 100
      link 0 1 30 250  28 ;;
    ddr-cxl-hot)
      about="as ddr-cxl, the far memory (1) hot-plugged while the kernel runs"
      cpu_node 0 1024
      hot_node 1 1536 0
      link 0 0 10  90 100
      link 0 1 30 250  28 ;;
    hbm-ddr)
      about="one socket (0) and CPU-less high-bandwidth memory (1)"
      cpu_node 0 1024
      mem_node 1 512 0
      link 0 0 10  90 100
      link 0 1 12 110 400 ;;
    hbm-ddr-cxl)
      about="two sockets (0,1), HBM at socket 0 (2), far memory at socket 1 (3)"
      cpu_node 0 1024
      cpu_node 1 1024
      mem_node 2 512 0
      mem_node 3 1536 1
      link 0 0 10  90 100
      link 1 1 10  90 100
      link 0 1 21 150  50
      link 0 2 12 110 400
      link 1 2 23 180  45
      link 0 3 34 300  24
      link 1 3 30 250  28
      link 2 3 36 ;;
    2s-2cxl)
      about="two sockets (0,1), each with its own far memory (2,3)"
      cpu_node 0 1024
      cpu_node 1 1024
      mem_node 2 1024 0
      mem_node 3 1024 1
      link 0 0 10  90 100
      link 1 1 10  90 100
      link 0 1 21 150  50
      link 0 2 30 250  28
      link 1 3 30 250  28
      link 0 3 40 320  20
      link 1 2 40 320  20
      link 2 3 50 ;;
    hmat-holes)
      about="two sockets (0,1), HBM (2) without latency, far memory (3) that HMAT leaves out"
      cpu_node 0 1024
      cpu_node 1 1024
      mem_node 2 512 0
      mem_node 3 1024 1
      link 0 0 10  90 100
      link 1 1 10   - 100
      link 0 1 21 150   -
      link 0 2 12   - 400
      link 1 2 23
      link 1 3 30
      link 0 3 40
      link 2 3 50 ;;
    */*)
      about="from $1"
      [ -r "$1" ] || die "cannot read topology file $1"
      # shellcheck disable=SC1090
      . "$1" || die "topology file $1 failed" ;;
    *)
      die "no topology '$1' (there are: $topologies)" ;;
  esac
}

declare -a node_mib node_near
declare -A dist lat bw
reset_topology() { about='' node_mib=() node_near=() dist=() lat=() bw=(); }
cpu_node() { node_mib[$1]=$2; node_near[$1]=$1; }
mem_node() { node_mib[$1]=$2; node_near[$1]=$3; }
hot_node() { mem_node "$@"; kmem+=("$1"); }
link() {
  dist["$1 $2"]=$3
  [ "${4:--}" = - ] || lat["$1 $2"]=$4
  [ "${5:--}" = - ] || bw["$1 $2"]=$5
}
has_cpu() { [ "${node_near[$1]}" = "$1" ]; }

list_topologies() {
  local t i text
  for t in $topologies; do
    reset_topology; topology "$t"; text=''
    for i in "${!node_mib[@]}"; do
      text+="  $i:${node_mib[i]}M"; ! has_cpu "$i" || text+="+cpu"
    done
    printf '%-12s %s\n%-12s%s\n' "$t" "$about" '' "$text"
  done
}

# Sets the arrays qemu_topology (QEMU arguments) and memmap (kernel arguments).
build_topology() {
  local i j key sockets=0 total=0 low start end
  qemu_topology=() memmap=()
  [ "${#node_mib[@]}" -gt 0 ] || die "the topology has no nodes"
  for i in "${!node_mib[@]}"; do
    j=${node_near[i]}
    [ "${node_near[j]:-}" = "$j" ] || die "node $i: node $j has no processors"
    ! has_cpu "$i" || sockets=$((sockets + 1))
    total=$((total + node_mib[i]))
  done
  [ "${#node_mib[@]}" = $((i + 1)) ] || die "nodes must be numbered 0, 1, 2, ..."

  qemu_topology+=(-machine "q35,hmat=$hmat,vmport=off"
    -smp "$((sockets * cpus)),sockets=$sockets,cores=$cpus,threads=1" -m "${total}M")
  for i in "${!node_mib[@]}"; do
    key="node,nodeid=$i"
    if [ "${node_mib[i]}" -gt 0 ]; then
      qemu_topology+=(-object "memory-backend-ram,id=mem$i,size=${node_mib[i]}M")
      key+=",memdev=mem$i"
    fi
    [ "$hmat" = off ] || key+=",initiator=${node_near[i]}"
    qemu_topology+=(-numa "$key")
  done
  sockets=0
  for i in "${!node_mib[@]}"; do
    has_cpu "$i" || continue
    qemu_topology+=(-numa "cpu,node-id=$i,socket-id=$sockets")
    sockets=$((sockets + 1))
  done
  for i in "${!node_mib[@]}"; do
    for j in "${!node_mib[@]}"; do
      key="$i $j"; [ -n "${dist[$key]:-}" ] || key="$j $i"
      [ -z "${dist[$key]:-}" ] ||
        qemu_topology+=(-numa "dist,src=$i,dst=$j,val=${dist[$key]}")
      [ "$hmat" = on ] && has_cpu "$i" || continue
      [ -z "${lat[$key]:-}" ] || qemu_topology+=(
        -numa "hmat-lb,initiator=$i,target=$j,hierarchy=memory,data-type=access-latency,latency=${lat[$key]}")
      [ -z "${bw[$key]:-}" ] || qemu_topology+=(
        -numa "hmat-lb,initiator=$i,target=$j,hierarchy=memory,data-type=access-bandwidth,bandwidth=${bw[$key]}G")
    done
  done

  [ "${#kmem[@]}" -gt 0 ] || return 0
  # The machine lays the nodes out one after the other from 0, with a hole from
  # "low" to 4 GiB; move the hole down to the end of node 0, so that no kmem node
  # lies across it. The first 126 MiB of a kmem node are hidden and the next 2
  # hold the namespace's header, so that its memory starts on a 128 MiB block.
  low=$((node_mib[0] < 2048 ? node_mib[0] : 2048))
  qemu_topology[1]+=",max-ram-below-4g=${low}M"
  start=0
  for i in "${!node_mib[@]}"; do
    end=$((start + node_mib[i]))
    if [[ " ${kmem[*]} " == *" $i "* ]]; then
      ! has_cpu "$i" || die "--kmem $i: node $i has processors"
      if [ "${node_mib[i]}" -lt 256 ] || [ $((node_mib[i] % 128)) != 0 ] ||
        [ $(((start - low) % 128)) != 0 ]; then
        die "--kmem $i: sizes must be multiples of 128 MiB, and this one at least 256"
      fi
      j=$((start - low + 4096))
      memmap+=("memmap=126M\$${j}M" "memmap=$((node_mib[i] - 126))M!$((j + 126))M")
    fi
    start=$end
  done
}
