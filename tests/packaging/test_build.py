"""What is installed: built twice it is byte-identical, and it runs on every interpreter at hand."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("3.11", "3.12", "3.13")
PARTS = ("hudd", "hudctl", "tests", "packaging", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
PARTS_ALSO = ("CONTRIBUTING.md", "SECURITY.md")

pytestmark = pytest.mark.slow


def _build(folder: Path, out: Path, *, umask: int) -> dict[str, bytes]:
    """Copy the sources into a folder of their own and build both there; the files by name."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    folder.mkdir(parents=True)
    for part in (*PARTS, *PARTS_ALSO):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignore)
        else:
            shutil.copy(source, folder / part)
    environ = {k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"}
    before = os.umask(umask)
    try:
        subprocess.run(
            [sys.executable, "-m", "build", "-q", "--no-isolation", "--outdir", out, folder],
            check=True,
            timeout=100,
            env=environ,
        )
    finally:
        os.umask(before)
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    tmp = tmp_path_factory.mktemp("build")
    return _build(tmp / "sources", tmp / "out", umask=0o022)


@pytest.fixture(scope="module")
def wheel(built: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    (name,) = (name for name in built if name.endswith(".whl"))
    path = tmp_path_factory.mktemp("wheel") / name
    path.write_bytes(built[name])
    return path


def test_built_twice_they_are_byte_identical(built: dict[str, bytes], tmp_path: Path) -> None:
    again = _build(tmp_path / "elsewhere" / "of another name", tmp_path / "out", umask=0o027)
    assert len(built) == 2
    assert {n: hashlib.sha256(b).hexdigest() for n, b in again.items()} == {
        n: hashlib.sha256(b).hexdigest() for n, b in built.items()
    }


def test_wheel_holds_what_a_user_needs_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.startswith("hudd-")} == {"hudd", "hudctl"}
    for needed in (
        "hudd/data/prices.toml",
        "hudd/data/instructions.txt",
        "hudd/wire/PROTOCOL.md",
        "hudctl/data/completion/hudctl.bash",
    ):
        assert needed in names
    for ending in ("licenses/LICENSE", "share/man/man1/hudctl.1", "share/man/man5/hudd.toml.5", "completions/hudctl"):
        assert any(name.endswith(ending) for name in names), ending


def test_sdist_can_be_tested(built: dict[str, bytes], tmp_path: Path) -> None:
    (name,) = (name for name in built if name.endswith(".tar.gz"))
    path = tmp_path / name
    path.write_bytes(built[name])
    with tarfile.open(path) as archive:
        names = {member.split("/", 1)[1] for member in archive.getnames() if "/" in member}
    assert {"pyproject.toml", "README.md", "tests/conftest.py", "SECURITY.md"} <= names
    assert any(name.startswith("packaging/systemd/") for name in names)


def _interpreters() -> dict[str, str | None]:
    """The supported versions, and where each is on this machine."""
    home = Path.home() / ".pyenv" / "versions"
    found: dict[str, str | None] = {}
    for version in VERSIONS:
        at_hand = sorted(home.glob(f"{version}.*/bin/python3")) if home.is_dir() else []
        here = sys.executable if version == "{}.{}".format(*sys.version_info[:2]) else None
        found[version] = here or (str(at_hand[-1]) if at_hand else shutil.which(f"python{version}"))
    return found


@pytest.mark.timeout(300)
def test_pipx_installs_it_on_every_interpreter_at_hand(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Installs, runs both commands, takes it away again; what is absent is named."""
    found = _interpreters()
    with capsys.disabled():
        for version, path in found.items():
            print(f"\nPython {version}: {path or 'not on this machine, not tried'}", end="")
        print()
    assert any(found.values())
    for version, interpreter in found.items():
        if interpreter is not None:
            _install_and_remove(wheel, interpreter, tmp_path / version)


def _install_and_remove(wheel: Path, interpreter: str, folder: Path) -> None:
    folder.mkdir()
    environ = {
        **os.environ,
        "HOME": str(folder / "home"),
        "PIPX_HOME": str(folder / "pipx"),
        "PIPX_BIN_DIR": str(folder / "bin"),
        "PIPX_MAN_DIR": str(folder / "man"),
        "PIPX_DEFAULT_PYTHON": interpreter,
        "HUDD_RUNTIME_DIR": str(folder / "run"),
        "HUDD_STATE_DIR": str(folder / "state"),
    }
    pipx = [sys.executable, "-m", "pipx"]
    subprocess.run([*pipx, "install", "-q", str(wheel)], check=True, env=environ, timeout=200)
    hudctl, hudd = folder / "bin" / "hudctl", folder / "bin" / "hudd"
    assert (folder / "man" / "man1" / "hudctl.1").exists()
    version = subprocess.run([hudd, "--version"], capture_output=True, text=True, check=True, env=environ, timeout=30)
    assert version.stdout.startswith("hudd ")
    checked = subprocess.run([hudd, "--check"], capture_output=True, text=True, check=True, env=environ, timeout=30)
    assert checked.stdout == "The settings are fine.\n"
    absent = subprocess.run([hudctl, "status"], capture_output=True, text=True, check=False, env=environ, timeout=30)
    assert absent.returncode == 3
    assert "hudd" in absent.stderr
    subprocess.run([*pipx, "uninstall", "hudd"], check=True, env=environ, timeout=60, capture_output=True)
    assert not hudctl.exists()
    assert not hudd.exists()
    assert not (folder / "man" / "man1" / "hudctl.1").exists()
