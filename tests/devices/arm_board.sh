#!/bin/bash
# An aarch64 machine behind a real ssh server, on an x86-64 Debian: qemu-user runs a small arm64
# userland that is unpacked beside the system and changes nothing in it.
#   arm_board.sh build DIR        download and unpack; packages come from this system's own sources
#   arm_board.sh start DIR PORT   as root: sshd on 127.0.0.1:PORT in a private mount namespace
#   arm_board.sh stop  DIR
set -euo pipefail
command=$1; mkdir -p "$2"; D=$(cd "$2" && pwd); R=$D/rootfs; Q=$D/qemu-aarch64
PYTHON=3.11 SUITE=bookworm WHEELS="numpy onnxruntime"

arm_apt() { # apt with lists, cache and status of its own
  apt-get -qq -oAPT::Architecture=arm64 -oAPT::Architectures=arm64 -oDir::State="$D/apt" \
    -oDir::State::Lists="$D/apt/lists" -oDir::State::status="$D/apt/status" \
    -oDir::Cache="$D/apt/cache" -oDir::Etc::SourceList="$D/apt/sources.list" \
    -oDir::Etc::SourceParts=/dev/null -oAPT::Sandbox::User= "$@"
}

unpack() { dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink; }

build() {
  mkdir -p "$D"/{ssh,tools,wheels,apt/lists/partial,apt/cache/archives/partial} "$R"/usr/{bin,sbin,lib}
  : >"$D/apt/status"
  local uri; uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null \
    | grep -v '^[[:space:]]*#' | grep -oE '[a-z+]+:/[^ ]+/debian/?( |$)' | head -1 | tr -d ' ' || true)
  [ -n "$uri" ] || { echo "no Debian archive in the apt sources of this system" >&2; exit 1; }
  local key=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb [signed-by=$key] $uri $SUITE main" >"$D/apt/sources.list"
  arm_apt update
  apt-get -qq update
  (cd "$D/tools" && apt-get -qq -oAPT::Sandbox::User= download \
    qemu-user-static openssh-server openssh-sftp-server libwrap0 libnsl2)
  dpkg-deb --fsys-tarfile "$D"/tools/qemu-user-static_*.deb \
    | tar -xO ./usr/bin/qemu-aarch64-static >"$Q"
  chmod +x "$Q"; rm "$D"/tools/qemu-user-static_*.deb
  for deb in "$D"/tools/*.deb; do unpack "$deb" "$D/ssh"; done
  arm_apt -d -y --no-install-recommends install \
    python$PYTHON dash coreutils grep sed libstdc++6 libgomp1 >/dev/null
  for name in bin sbin lib; do ln -sf usr/$name "$R/$name"; done
  for deb in "$D"/apt/cache/archives/*.deb; do unpack "$deb" "$R"; done
  ln -sf python$PYTHON "$R/usr/bin/python3"
  mkdir -p "$R"/usr/lib/python3/dist-packages "$R"/{tmp,root,dev,proc,.realproc,etc,home/jetson}
  chmod 1777 "$R/tmp"
  local tags; tags=$(printf -- '--platform manylinux%s_aarch64 ' _2_28 _2_27 _2_17 2014)
  pip download -q --no-deps --only-binary=:all: --implementation cp --abi cp${PYTHON/./} \
    --python-version $PYTHON $tags -d "$D/wheels" $WHEELS
  for wheel in "$D"/wheels/*.whl; do
    python3 -m zipfile -e "$wheel" "$R/usr/lib/python3/dist-packages"
  done
  printf 'root:x:0:0::/root:/bin/sh\njetson:x:1000:1000::/home/jetson:/bin/sh\n' >"$R/etc/passwd"
  printf 'root:x:0:\njetson:x:1000:\n' >"$R/etc/group"
  # /proc and /sys are plain folders, so that nothing of this machine can be seen in them.
  for name in self thread-self stat meminfo loadavg uptime mounts filesystems sys; do
    ln -sfn /.realproc/$name "$R/proc/$name"
  done
}

# aarch64 ELF -> qemu; F: the kernel opens it now, so it need not exist where the board's root is.
BINFMT=':edgecnn-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
BINFMT+=':\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'

inside() { # in the private mount namespace: the board's root on /mnt, its users, its sshd
  mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null || true
  local entry=/proc/sys/fs/binfmt_misc/edgecnn-aarch64
  [ ! -e $entry ] || echo -1 >$entry
  printf '%s' "$BINFMT$Q:F" >/proc/sys/fs/binfmt_misc/register
  mount --rbind "$R" /mnt; mount --rbind /proc /mnt/.realproc
  for name in null zero urandom random; do
    : >>"/mnt/dev/$name"; mount --bind "/dev/$name" "/mnt/dev/$name"
  done
  mkdir -p /mnt/dev/shm; mount -t tmpfs -o mode=1777 tmpfs /mnt/dev/shm
  mount --bind "$D/passwd" /etc/passwd; mount --bind "$D/group" /etc/group
  mount -t tmpfs -o mode=755 tmpfs /run; mkdir /run/sshd
  local lib="$D/ssh/usr/lib/x86_64-linux-gnu:$D/ssh/lib/x86_64-linux-gnu"
  LD_LIBRARY_PATH=$lib exec "$D/ssh/usr/sbin/sshd" -D -e -f "$D/sshd_config"
}

start() {
  for name in host key; do
    [ -f "$D/$name" ] || ssh-keygen -q -t ed25519 -N '' -f "$D/$name"
  done
  mkdir -p "$R/home/jetson/.ssh"; cp "$D/key.pub" "$R/home/jetson/.ssh/authorized_keys"
  chown -R 1000:1000 "$R/home/jetson"; chown 0:0 "$R"; chmod 755 "$R"
  (grep -v '^jetson:\|^sshd:' /etc/passwd; cat <<END
sshd:x:105:65534::/run/sshd:/usr/sbin/nologin
jetson:x:1000:1000::/home/jetson:/bin/sh
END
  ) >"$D/passwd"
  (grep -v '^jetson:' /etc/group; echo 'jetson:x:1000:') >"$D/group"
  cat >"$D/sshd_config" <<END
ListenAddress 127.0.0.1
Port $1
HostKey $D/host
PidFile $D/pid
AuthorizedKeysFile /mnt/home/jetson/.ssh/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
AllowUsers jetson
ChrootDirectory /mnt
END
  export D R Q BINFMT; export -f inside
  setsid unshare -m --propagation private bash -c inside >"$D/log" 2>&1 </dev/null &
}

stop() {
  kill "$(cat "$D/pid")"
  unshare -m --propagation private bash -c '
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null || true
    entry=/proc/sys/fs/binfmt_misc/edgecnn-aarch64; [ ! -e $entry ] || echo -1 >$entry'
}

case $command in build) build;; start) start "$3";; stop) stop;; esac
