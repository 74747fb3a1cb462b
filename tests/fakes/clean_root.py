"""A layer over this machine's root that is thrown away, and a clean machine made of it: what Debian installed, no more."""

from __future__ import annotations

import pwd
import shutil
from pathlib import Path
from typing import Final

from tests.fakes.systemd import UserSystemd

USER: Final = "mia"
HOST: Final = "desk"

LAYER: Final = r"""
mount -t tmpfs tmpfs "$LAYER/tmpfs"
mkdir "$LAYER/tmpfs/upper" "$LAYER/tmpfs/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$LAYER/tmpfs/upper,workdir=$LAYER/tmpfs/work" "$LAYER/top"
"""

# Of the layer only /usr, /etc and /var are shown; homes, temporary folders and whatever else lies at the top of this
# machine are not. The new root is a mount of its own: in a mere chroot nobody may make a user namespace, and the
# sandbox of a user's service needs one.
CLEAN: Final = rf"""
set -eu
{LAYER}
root="$LAYER/clean"
mount -t tmpfs -o mode=755 tmpfs "$root"
for name in usr etc var; do mkdir "$root/$name"; mount --bind "$LAYER/top/$name" "$root/$name"; done
for name in bin lib lib32 lib64 libx32 sbin; do [ ! -L "/$name" ] || cp -P "/$name" "$root/$name"; done
for name in dev sys; do mkdir "$root/$name"; mount --rbind "/$name" "$root/$name"; done
mkdir -m 755 "$root/home" "$root/mnt" "$root/opt" "$root/proc" "$root/run" "$root/srv"
mkdir -m 700 "$root/root"
mkdir -m 1777 "$root/tmp"
cp -r /etc/skel/. "$root/root"
for name in usr/local var/tmp dev/shm; do mount -t tmpfs tmpfs "$root/$name"; done
mkdir "$root/usr/local/bin" "$root/usr/local/lib"
chmod 1777 "$root/var/tmp" "$root/dev/shm"
cd "$root"
mkdir old
pivot_root . old
cd /
mount -t proc proc /proc
umount -l /old
rmdir /old
find /etc/apt/sources.list.d -type f -not -name debian.sources -delete
LC_ALL=C dpkg -S /usr/lib/python3/dist-packages/* 2>&1 >/dev/null |
    sed -n 's/^dpkg-query: no path found matching pattern //p' | xargs -r -d '\n' rm -rf
hostname {HOST}
echo {HOST} >/etc/hostname
printf '127.0.0.1 localhost {HOST}\n' >/etc/hosts
ip link set lo up
groupadd --gid "$USER_ID" {USER}
useradd --uid "$USER_ID" --gid "$USER_ID" --create-home --shell /bin/bash {USER}
umount /proc
"""


def layered(folder: Path) -> str:
    """Lines of the shell that mount a layer over the root at ``folder/top``; for a mount namespace of one's own."""
    for name in ("top", "tmpfs", "clean"):
        (folder / name).mkdir(exist_ok=True)
    return f"LAYER='{folder}'\n"


class CleanMachine(UserSystemd):
    """A root of its own, a new user without rights, their systemd; no network but the machine's own."""

    namespaces = ("mount", "pid", "cgroup", "net", "uts")

    def __init__(self) -> None:
        taken = {entry.pw_uid for entry in pwd.getpwall()}
        super().__init__(next(uid for uid in range(1000, 2000) if uid not in taken))
        self.home = Path("/home") / USER
        self.before = layered(self.folder) + CLEAN

    @property
    def root(self) -> Path:
        """The clean root, as it is seen from outside."""
        return Path(f"/proc/{self.leader}/root")

    def shown(self) -> list[str]:
        """Nothing of this machine's."""
        return []

    def environ(self) -> dict[str, str]:
        """What a login shell of the user has."""
        return {
            "HOME": str(self.home),
            "USER": USER,
            "LOGNAME": USER,
            "SHELL": "/bin/bash",
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games",
            "XDG_RUNTIME_DIR": f"/run/user/{self.uid}",
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{self.uid}/bus",
            "LANG": "C.UTF-8",
        }

    def environ_of_root(self) -> dict[str, str]:
        """What root has after ``su -``."""
        return {
            "HOME": "/root",
            "USER": "root",
            "LOGNAME": "root",
            "SHELL": "/bin/bash",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
        }

    def bring(self, file: Path, to: str) -> None:
        """Copy a file of this machine into the root."""
        target = self.root / to.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
        target.chmod(0o644)
