from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hudd.errors import AlreadyRunningError, PermissionsError, SettingsError, StorageError
from hudd.service.runtime import RuntimeFolder
from hudd.wire import locks

HOLD = """
import sys
from pathlib import Path
from hudd.errors import AlreadyRunningError
from hudd.service.runtime import RuntimeFolder
sys.stdin.readline()
try:
    folder = RuntimeFolder.open(Path(sys.argv[1]))
except AlreadyRunningError as error:
    print("taken:", error, flush=True)
else:
    print("held", flush=True)
    sys.stdin.readline()
    folder.close()
"""


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def holders(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def open_descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def start(path: Path, holders: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    holders.append(process)
    return process


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_new_folder_is_private_and_locked(tmp_path: Path):
    path = tmp_path / "parent" / "hudd"
    with RuntimeFolder.open(path) as folder:
        assert folder.path == path
        assert path.stat().st_mode & 0o777 == 0o700
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert (path / "lock").stat().st_mode & 0o777 == 0o600
        assert (path / "lock").read_text() == f"{os.getpid()}\n"
        (path / "later").touch()
        assert (path / "later").stat().st_mode & 0o077 == 0, "the umask is private from now on"


def test_close_frees_the_lock_and_keeps_the_file(tmp_path: Path):
    folder = RuntimeFolder.open(tmp_path / "hudd")
    folder.close()
    folder.close()
    assert (tmp_path / "hudd/lock").read_text() == ""
    with RuntimeFolder.open(tmp_path / "hudd"):
        assert (tmp_path / "hudd/lock").read_text() == f"{os.getpid()}\n"


def test_a_second_one_is_refused_and_named_the_first(tmp_path: Path):
    with RuntimeFolder.open(tmp_path / "hudd"), pytest.raises(AlreadyRunningError) as caught:
        RuntimeFolder.open(tmp_path / "hudd")
    assert caught.value.exit_code == 69
    assert f"Another hudd (pid {os.getpid()}) runs in {tmp_path}/hudd." in str(caught.value)
    assert "Stop it first" in str(caught.value)


def test_a_lock_without_a_number_is_still_a_lock(tmp_path: Path):
    with RuntimeFolder.open(tmp_path / "hudd"):
        (tmp_path / "hudd/lock").write_text("")
        with pytest.raises(AlreadyRunningError, match="just starting or ending"):
            RuntimeFolder.open(tmp_path / "hudd")


def test_a_number_without_a_lock_means_nothing(tmp_path: Path):
    (tmp_path / "hudd").mkdir(mode=0o700)
    (tmp_path / "hudd/lock").write_text("1\n")
    with RuntimeFolder.open(tmp_path / "hudd"):
        assert (tmp_path / "hudd/lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_is_not_handed_to_children(tmp_path: Path):
    code = (
        "import os, sys\n"
        "wanted = os.stat(sys.argv[1])\n"
        "for number in range(3, 256):\n"
        "    try: found = os.fstat(number)\n"
        "    except OSError: continue\n"
        "    if os.path.samestat(found, wanted): print('held by', number)\n"
    )
    with RuntimeFolder.open(tmp_path / "hudd"):
        command = [sys.executable, "-c", code, str(tmp_path / "hudd/lock")]
        done = subprocess.run(command, close_fds=False, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_close_frees_the_lock_even_while_a_copy_of_it_is_open(tmp_path: Path):
    folder = RuntimeFolder.open(tmp_path / "hudd")
    copy = os.dup(folder._lock.fileno())
    try:
        folder.close()
        RuntimeFolder.open(tmp_path / "hudd").close()
    finally:
        os.close(copy)


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_an_open_folder_is_refused_with_its_mode(tmp_path: Path, mode: int):
    path = tmp_path / "hudd"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(PermissionsError, match=rf"mode {mode:04o}\); close it with: chmod 700 ") as caught:
        RuntimeFolder.open(path)
    assert caught.value.exit_code == 77
    assert path.stat().st_mode & 0o777 == mode, "it is not changed behind a person's back"


def test_links_and_files_are_refused(tmp_path: Path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    with pytest.raises(PermissionsError, match="is a symbolic link"):
        RuntimeFolder.open(tmp_path / "link")
    with pytest.raises(PermissionsError, match="is a symbolic link"):
        RuntimeFolder.open(tmp_path / "dangling")
    with pytest.raises(PermissionsError, match="is no folder"):
        RuntimeFolder.open(tmp_path / "file")
    with pytest.raises(PermissionsError, match=r"cannot be (used|looked at): Not a directory"):
        RuntimeFolder.open(tmp_path / "file/hudd")
    assert list((tmp_path / "real").iterdir()) == []


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "hudd").mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(PermissionsError, match=r"belongs to user \d+, not to user \d+; set HUDD_RUNTIME_DIR"):
        RuntimeFolder.open(tmp_path / "hudd")


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe", "second name"])
def test_a_lock_that_is_no_plain_file_is_refused(tmp_path: Path, kind: str):
    path, victim = tmp_path / "hudd", tmp_path / "victim"
    path.mkdir(mode=0o700)
    victim.write_text("precious")
    lock = path / "lock"
    {
        "link": lambda: lock.symlink_to(victim),
        "dangling": lambda: lock.symlink_to(tmp_path / "absent"),
        "folder": lock.mkdir,
        "pipe": lambda: os.mkfifo(lock),
        "second name": lambda: os.link(victim, lock),
    }[kind]()
    with pytest.raises(PermissionsError, match=r"is no plain file of this user\. Remove it with: rm -r "):
        RuntimeFolder.open(path)
    assert victim.read_text() == "precious"
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.ENOSPC, StorageError),
        (errno.ENOLCK, StorageError),
        (errno.EROFS, PermissionsError),
        (errno.EACCES, PermissionsError),
    ],
)
def test_errors_of_the_system_are_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[Exception]
):
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(locks.fcntl, "flock", fail)
    with pytest.raises(error, match=f"cannot be used: {os.strerror(code)}"):
        RuntimeFolder.open(tmp_path / "hudd")


def test_a_folder_that_is_replaced_meanwhile_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "hudd"
    real, tries = locks.fcntl.flock, 0

    def replace_first(descriptor: int, operation: int) -> None:
        nonlocal tries
        if operation & locks.fcntl.LOCK_EX:
            tries += 1
            if tries <= 2:
                path.rename(tmp_path / f"old{tries}")
        real(descriptor, operation)

    monkeypatch.setattr(locks.fcntl, "flock", replace_first)
    with RuntimeFolder.open(path):
        assert tries == 3
        monkeypatch.undo()
        with pytest.raises(AlreadyRunningError):
            RuntimeFolder.open(path)


def test_a_folder_that_is_replaced_for_ever_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = locks.fcntl.flock

    def remove(descriptor: int, operation: int) -> None:
        (tmp_path / "hudd/lock").unlink()
        real(descriptor, operation)

    monkeypatch.setattr(locks.fcntl, "flock", remove)
    before = open_descriptors()
    with pytest.raises(PermissionsError, match="again and again"):
        RuntimeFolder.open(tmp_path / "hudd")
    assert open_descriptors() == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_place_that_takes_no_folders_is_named():
    with pytest.raises(PermissionsError, match="no folder can be made in /proc; set HUDD_RUNTIME_DIR"):
        RuntimeFolder.open(Path("/proc/hudd-runtime"))


def test_errors_leave_no_descriptor_open(tmp_path: Path):
    with RuntimeFolder.open(tmp_path / "hudd"):
        before = open_descriptors()
        for _ in range(3):
            with pytest.raises(AlreadyRunningError):
                RuntimeFolder.open(tmp_path / "hudd")
        assert open_descriptors() == before


def test_the_environment_tells_the_place(tmp_path: Path):
    with RuntimeFolder.open_for({"XDG_RUNTIME_DIR": str(tmp_path)}) as folder:
        assert folder.path == tmp_path / "hudd"
    with pytest.raises(SettingsError, match="no absolute path"):
        RuntimeFolder.open_for({"HUDD_RUNTIME_DIR": "here"})
    with pytest.raises(SettingsError, match="bytes and this system allows"):
        RuntimeFolder.open_for({"HUDD_RUNTIME_DIR": "/" + "x" * 200})
    (tmp_path / f"hudd-{os.getuid()}").mkdir()
    (tmp_path / f"hudd-{os.getuid()}").chmod(0o755)
    if sys.platform == "linux":
        with pytest.raises(PermissionsError, match="mode 0755"):
            RuntimeFolder.open_for({"TMPDIR": str(tmp_path)})


def test_of_many_that_start_at_once_one_runs(tmp_path: Path, holders: list[subprocess.Popen[str]]):
    path = tmp_path / "hudd"
    processes = [start(path, holders) for _ in range(6)]
    for process in processes:
        tell(process)
    answers = {process.pid: answer(process) for process in processes}
    (first,) = [pid for pid, text in answers.items() if text == "held"]
    assert int((path / "lock").read_text()) == first
    others = [text for pid, text in answers.items() if pid != first]
    assert all(text.startswith("taken: Another hudd") for text in others)


@pytest.mark.slow
def test_after_a_kill_the_next_one_runs_at_once(tmp_path: Path, holders: list[subprocess.Popen[str]]):
    path = tmp_path / "hudd"
    for _ in range(3):
        first, second = start(path, holders), start(path, holders)
        tell(first)
        assert answer(first) == "held"
        tell(second)
        assert answer(second) == (
            f"taken: Another hudd (pid {first.pid}) runs in {path}. "
            "Stop it first, or set HUDD_RUNTIME_DIR to another folder for this one."
        )
        first.send_signal(signal.SIGKILL)
        first.wait(timeout=30)
        third = start(path, holders)
        tell(third)
        assert answer(third) == "held"
        third.kill()
        third.wait(timeout=30)
