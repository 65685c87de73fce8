# shellcheck shell=bash disable=SC2034,SC2154 # variables shared with boot
# Gets a stock kernel from its Debian package, unpacks it into the cache, and picks modules from it.
# Sourced by boot.

modules_base="virtio_pci virtio_console 9pnet_virtio 9p"
modules_kmem="nd_e820 dax_pmem device_dax kmem"

unpack() { # file -> stdout, whatever its compression
  local magic; magic=$(od -An -tx1 -N4 "$1" | tr -d ' ')
  case $magic in
    fd377a58)          xz -dc --single-stream <"$1" ;;
    1f8b*)             busybox gzip -dc <"$1" 2>/dev/null || : ;;
    28b52ffd)          zstd -dcq <"$1" 2>/dev/null || : ;;
    02214c18|04224d18) lz4 -dcq <"$1" 2>/dev/null || : ;;
    *)                 cat <"$1" ;;
  esac
}

# A bzImage unpacks itself, which is slow when emulated; QEMU can start the
# unpacked kernel directly (PVH), so unpack it once here.
unpack_kernel() { # bzImage -> ELF
  local at len sects
  sects=$(od -An -tu1 -j497 -N1 "$1"); at=$(od -An -tu4 -j584 -N4 "$1")
  len=$(od -An -tu4 -j588 -N4 "$1")
  tail -c "+$(((sects + 1) * 512 + at + 1))" "$1" | head -c "$((len))" >"$2.packed"
  unpack "$2.packed" >"$2"
  rm -f "$2.packed"
  [ "$(od -An -c -j1 -N3 "$2" | tr -d ' ')" = ELF ] || die "cannot unpack ${1##*/}"
}

install_kernel() { # deb -> $cache/<version>; sets version
  local deb=$1 dir image
  dir=$(mktemp -d "$cache/.new.XXXXXX") || die "cannot write to $cache"
  scratch+=("$dir")
  dpkg-deb -x "$deb" "$dir/deb" || die "cannot unpack $deb"
  image=$(echo "$dir"/deb/boot/vmlinuz-*)
  [ -f "$image" ] || die "$deb holds no kernel"
  version=${image##*/vmlinuz-}
  unpack_kernel "$image" "$dir/vmlinux"
  mv "$dir/deb/boot/config-$version" "$dir/config"
  mkdir -p "$dir/lib"
  if [ -d "$dir/deb/usr/lib/modules" ]; then mv "$dir/deb/usr/lib/modules" "$dir/lib/"
  else mv "$dir/deb/lib/modules" "$dir/lib/"; fi
  # keep only what a guest without hardware can use
  (cd "$dir/lib/modules/$version/kernel" &&
    rm -rf sound drivers/{gpu,media,net,usb,infiniband,scsi,staging,iio,input,hid,mtd,mmc})
  rm -rf "$dir/deb"
  (cd "$dir/lib/modules/$version/kernel" && find . -name '*.ko*') >"$dir/modules.list"
  dpkg-deb -f "$deb" Package Version >"$dir/package"
  chmod 755 "$dir"
  rm -rf "$cache/${version:?}"
  mv "$dir" "$cache/$version" || die "cannot write to $cache"
}

# Downloads the package; the link named after it then leads to its kernel.
fetch_kernel() {
  local pkg=$package deb dir
  # a meta package names the current versioned one
  deb=$(apt-cache depends "$pkg" 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -z "$deb" ] || pkg=$deb
  say "getting $pkg"
  dir=$(mktemp -d "$cache/.get.XXXXXX") || die "cannot write to $cache"
  scratch+=("$dir")
  (cd "$dir" && apt-get -q download "$pkg" >log 2>&1) || {
    cat "$dir/log" >&2
    die "cannot download $pkg (are apt's package lists there? try: apt-get update)"
  }
  install_kernel "$(echo "$dir"/*.deb)"
  ln -sfn "$version" "$cache/$package"
}

find_kernel() { # sets kernel, a directory; fetches if absent or if "fetch" is given
  local version=''
  exec 9>"$cache/.lock" || die "cannot write to $cache"
  flock 9
  if [ -n "${LAB_KERNEL_DEB:-}" ]; then
    version=$(dpkg-deb -f "$LAB_KERNEL_DEB" Package) || die "cannot read $LAB_KERNEL_DEB"
    version=${version#linux-image-}; version=${version%-unsigned}
    if [ "$*" = fetch ] || [ ! -f "$cache/$version/package" ]; then
      install_kernel "$LAB_KERNEL_DEB"
    fi
  elif [ "$*" != fetch ] && [ -f "$cache/$package/package" ]; then
    version=$(readlink "$cache/$package")
  else
    fetch_kernel
  fi
  kernel=$cache/$version
  exec 9>&-
}

# Puts a module, after the ones it depends on, into the RAM disk and module_files.
add_module() {
  local m=${1//-/_} file d
  [[ " $seen_modules " != *" $m "* ]] || return 0
  seen_modules+=" $m"
  file=$(grep -E -m 1 "/${m//_/[-_]}\\.ko(\\.[a-z]+)?\$" "$kernel/modules.list") || {
    grep -qE "/${m//_/[-_]}\\.ko\$" "$kernel"/lib/modules/*/modules.builtin ||
      die "kernel ${kernel##*/} has no module $m"
    return 0
  }
  unpack "$kernel/lib/modules/${kernel##*/}/kernel/$file" >"$rd/lab/mod/$m.ko"
  d=$(grep -a -z -o -m 1 '^depends=.*' "$rd/lab/mod/$m.ko" | tr -d '\0')
  d=${d#depends=}
  for d in ${d//,/ }; do add_module "$d"; done
  module_files+=" $m.ko"
}
