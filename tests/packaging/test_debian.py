"""The Debian package: built, installed, run and purged in a layer over this machine's root that is then thrown away."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fakes.clean_root import LAYER, layered

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LIFE = r"""
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive
find /usr /etc /var/lib/dpkg/info -xdev | sort >/tmp/before
dpkg -i "$1" >/dev/null
echo "installed: $(/usr/bin/hudd --version)"
/usr/bin/hudd --check
cd /tmp
/usr/bin/hudctl try --seconds 15 --json >/tmp/notes 2>/tmp/errors || { cat /tmp/errors; exit 1; }
echo "tried: $(grep -c . /tmp/notes) lines"
ldd $(find /usr/lib/hudd -name '*.so*' -not -path '*.libs/*') 2>/dev/null | grep 'not found' || echo 'libraries: all found'
test -e /usr/share/man/man1/hudctl.1.gz && test -e /usr/share/man/man5/hudd.toml.5.gz && echo 'manual: there'
grep -x 'ExecStart=/usr/bin/hudd' /usr/lib/systemd/user/hudd.service

mkdir -p /root/.config/hudd
printf '[screen]\nsource = "pictures:/usr/lib/hudd/lib/python3.11/site-packages/hudd/data/pictures"\n' \
    >/root/.config/hudd/config.toml
export XDG_RUNTIME_DIR=/tmp/run
mkdir -m 700 /tmp/run
start() {
    hudd >/dev/null 2>>/tmp/log & daemon=$!
    trap 'kill $daemon 2>/dev/null' EXIT
    tries=0
    until hudctl status >/dev/null 2>&1; do
        tries=$((tries + 1)); [ $tries -lt 100 ] || { cat /tmp/log; exit 1; }; sleep 0.2
    done
}
start
hudctl wait --for note --timeout 60 >/dev/null || { cat /tmp/log; exit 1; }
mkdir /tmp/newer
dpkg-deb -R "$1" /tmp/newer/tree
sed -i 's/^Version: .*/Version: 99.0/' /tmp/newer/tree/DEBIAN/control
dpkg-deb --root-owner-group -Znone -b /tmp/newer/tree /tmp/newer/hudd.deb >/dev/null
dpkg -i /tmp/newer/hudd.deb >/dev/null
hudctl status >/dev/null && echo 'upgraded: still running'
hudctl snap >/dev/null && echo 'upgraded: still notes'
before=$(hudctl notes --limit 0 --json | grep -o '"seq"' | wc -l)
kill $daemon && wait $daemon
start
after=$(hudctl notes --limit 0 --json | grep -o '"seq"' | wc -l)
[ "$after" -ge "$before" ] && [ "$before" -ge 2 ] && echo 'upgraded: every note there'
grep -q pictures: /root/.config/hudd/config.toml && echo 'upgraded: settings there'
kill $daemon && wait $daemon
trap - EXIT
rm -rf /root/.config/hudd /root/.local/state/hudd

dpkg --purge hudd >/dev/null
find /usr /etc /var/lib/dpkg/info -xdev | sort >/tmp/after
diff /tmp/before /tmp/after && echo 'purged: nothing left'
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built here, or found in the folder ``BUILT_PACKAGES``, where `.ci/run` built it while it looked at the types."""
    if built := os.environ.get("BUILT_PACKAGES"):
        (deb,) = Path(built).glob("hudd_*.deb")
        return deb
    out = tmp_path_factory.mktemp("debian")
    done = subprocess.run(
        ["bash", ROOT / "packaging" / "debian" / "build", out], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (deb,) = out.glob("hudd_*.deb")
    return deb


def test_package_depends_on_python_and_libraries_alone(package: Path) -> None:
    done = subprocess.run(
        ["dpkg-deb", "-f", package, "Depends"], capture_output=True, text=True, check=True, timeout=30
    )
    names = [part.split()[0] for part in done.stdout.split(",")]
    assert "python3" in names
    assert [name for name in names if name != "python3" and not name.startswith(("lib", "zlib1g"))] == []


def test_it_installs_runs_and_purges(package: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        sudo = shutil.which("sudo")
        assert sudo is not None, "installing a Debian package takes root or sudo"
    layer = tmp_path
    script = layer / "life"
    script.write_text(LIFE, encoding="utf-8")
    inside = (
        f"set -e\n{layered(layer)}{LAYER}"
        f"mount --rbind /proc {layer}/top/proc && mount --rbind /dev {layer}/top/dev && "
        f"mount -t tmpfs tmpfs {layer}/top/tmp && cp {package} {layer}/top/tmp/hudd.deb && cp {script} {layer}/top/tmp/life && "
        f"exec env -i PATH=/usr/sbin:/usr/bin chroot {layer}/top /bin/sh /tmp/life /tmp/hudd.deb"
    )
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", inside]
    if os.geteuid() != 0:
        command = ["sudo", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = ("still running", "still notes", "every note there", "settings there")
    expected = ("installed: hudd ", "libraries: all found", "manual: there", "purged: nothing left")
    for said in (*expected, *(f"upgraded: {what}" for what in kept)):
        assert said in done.stdout, done.stdout + done.stderr
