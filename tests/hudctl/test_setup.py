"""The first run: by flags, in a real terminal, interrupted anywhere, and again."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudctl.errors import UsageError
from hudctl.setup_files import changed_text, check_key_file, checked_key, write_whole
from tests.fakes.keyring_backend import environment_of_keyring, kept_in

KEY = "sk-typed-0123456789abcdef"


# The settings file


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[realtime]\nuse = "service"\n'),
        ("# mine\n[gate]\nsettle_s = 1 # slow\n", '# mine\n[gate]\nsettle_s = 1 # slow\n\n[realtime]\nuse = "service"\n'),
        ("[realtime]\nmodel = 'x'\n[gate]\n", "[realtime]\nuse = \"service\"\nmodel = 'x'\n[gate]\n"),
        ('[realtime]\nuse = "local"  # free\n', '[realtime]\nuse = "service"  # free\n'),
        ("[realtime]\n# Who answers.\n# use = \"local\"\n\n# x\n", '[realtime]\n# Who answers.\n# use = "local"\nuse = "service"\n\n# x\n'),
        ("[realtime]\nuse='local' # \"mine\"\n", '[realtime]\nuse = "service"  # "mine"\n'),
        ("[realtime] # here\nuse='local'", '[realtime] # here\nuse = "service"\n'),
    ],
)  # fmt: skip
def test_one_value_is_changed_and_nothing_else(before: str, after: str) -> None:
    assert changed_text(before, {"use": "service"}) == after
    assert changed_text(after, {"use": "service"}) == after


def test_other_kinds_of_values_are_written_as_toml_writes_them() -> None:
    before = "[realtime]\nkeyring = false  # mine\nkey_command = ['pass', 'x'] # old\n"
    assert changed_text(before, {"keyring": True, "key_command": []}) == (
        "[realtime]\nkeyring = true  # mine\nkey_command = []  # old\n"
    )


@pytest.mark.parametrize(
    "text",
    ["realtime = { use = 'local' }\n", "realtime.use = 'local'\n", "[broken\n", "[realtime]\nuse = '''\nx\n'''\n"],
)
def test_a_file_that_cannot_be_changed_without_doubt_is_left_alone(text: str) -> None:
    assert changed_text(text, {"use": "service"}) is None


LINES = st.lists(
    st.sampled_from(
        ["[realtime]", "[gate]", "[[list]]", "use = 'local'", "# use = \"local\"", "key_file = \"a # b\"", "settle_s = 1",
         "text = \"\"\"", "use = 1", "\"\"\"", "x = [", "'[realtime]',", "]", ""]
    ),
    max_size=12,
)  # fmt: skip


@given(LINES, st.text(max_size=20))
def test_whatever_stood_there_only_the_wanted_values_differ(rows: list[str], value: str) -> None:
    text = "\n".join(rows)
    after = changed_text(text, {"use": "service", "key_file": value})
    if after is None:
        return
    before, now = tomllib.loads(text), tomllib.loads(after)
    assert now.pop("realtime") == {**before.pop("realtime", {}), "use": "service", "key_file": value}
    assert now == before


def test_a_file_is_replaced_whole_and_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles.toml", tmp_path / "config.toml"
    real.write_text("old")
    real.chmod(0o644)
    link.symlink_to(real)
    write_whole(link, "new", private=False)
    assert link.is_symlink()
    assert (real.read_text(), stat.S_IMODE(real.stat().st_mode)) == ("new", 0o644)
    write_whole(real, "key", private=True)
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.toml", "dotfiles.toml"]


@pytest.mark.parametrize("text", ["", "two words", "ümlaut", "a\nb", "x" * 5000])
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked_key(text)
    assert not text or text not in str(caught.value)


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        check_key_file(path)
    path.chmod(0o600)
    check_key_file(path)


# The whole, by flags


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    drop = ("DISPLAY", "WAYLAND_DISPLAY", "OPENAI_API_KEY", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HUDD_") and k not in drop}
    return kept | {
        "HOME": str(tmp_path),
        "HUDD_RUNTIME_DIR": str(tmp_path / "run"),
        "HUDD_STATE_DIR": str(tmp_path / "state"),
        "HUDD_ENGINE_ANSWERS": "canned",
        "HUDD_REALTIME_URL": "ws://127.0.0.1:9/v1/realtime",
        "NO_COLOR": "1",
        # Whoever runs the tests keeps the own keyring.
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }


def config(environ: dict[str, str]) -> Path:
    return Path(environ["HOME"]) / ".config/hudd/config.toml"


def run(environ: dict[str, str], *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hudctl", "setup", *words],
        env=environ, input=stdin, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "no terminal"),
        (("--yes",), "--use local or --use service"),
        (("--use", "local", "--key-stdin", "--yes"), "needs no key"),
        (("--use", "local", "--keyring", "--yes"), "needs no key"),
        (("--use", "service", "--key-file", "x", "--keyring", "--yes"), "--keyring --key-stdin"),
        (("--use", "service", "--keyring", "--yes"), "no key yet"),
        (("--use", "service", "--yes"), "no key yet"),
    ],
)
def test_what_is_not_said_is_asked_for_in_a_sentence(
    environ: dict[str, str], words: tuple[str, ...], sentence: str
) -> None:
    done = run(environ, *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not config(environ).exists()


@pytest.mark.slow
def test_a_first_run_by_flags_and_a_second_one(environ: dict[str, str]) -> None:
    path = config(environ)
    path.parent.mkdir(parents=True)
    path.write_text("# mine\n[gate]\nsettle_s = 1\n")
    first = run(environ, "--use", "service", "--key-stdin", "--yes", stdin=f"{KEY}\n")
    assert first.returncode == 0, first.stderr
    assert KEY not in first.stdout + first.stderr
    assert "What leaves this machine" in first.stdout
    assert "$1.00 a day (" in first.stdout
    assert "The local engine answers" in first.stdout
    assert path.read_text().startswith("# mine\n[gate]\nsettle_s = 1\n")
    assert tomllib.loads(path.read_text())["realtime"] == {"use": "service", "key_file": "~/.config/hudd/realtime-key"}
    kept = path.parent / "realtime-key"
    assert (kept.read_text(), stat.S_IMODE(kept.stat().st_mode)) == (f"{KEY}\n", 0o600)
    before = path.read_text()
    second = run(environ, "--use", "service", "--yes")
    assert second.returncode == 0, second.stderr
    assert "say so already" in second.stdout
    assert path.read_text() == before
    back = run(environ, "--use", "local", "--json")
    assert json.loads(back.stdout)["done"]
    assert tomllib.loads(path.read_text())["realtime"]["use"] == "local"


def test_settings_with_mistakes_are_not_touched(environ: dict[str, str]) -> None:
    path = config(environ)
    path.parent.mkdir(parents=True)
    path.write_text("[gate]\nsetle_s = 1\n")
    done = run(environ, "--use", "local", "--yes")
    assert done.returncode == 1
    assert "did you mean settle_s" in done.stderr
    assert path.read_text() == "[gate]\nsetle_s = 1\n"


def test_settings_that_cannot_be_changed_are_printed(environ: dict[str, str]) -> None:
    path = config(environ)
    path.parent.mkdir(parents=True)
    path.write_text("realtime = { reasoning = 'low' }\n")
    done = run(environ, "--use", "service", "--key-stdin", "--yes", stdin=KEY)
    assert done.returncode == 1
    assert '[realtime]\nuse = "service"\nkey_file = ' in done.stderr
    assert path.read_text() == "realtime = { reasoning = 'low' }\n"


# The whole, in a terminal


class Terminal:
    """hudctl setup in a terminal of its own."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(sys.executable, [sys.executable, "-m", "hudctl", "setup"], environ)
        self.shown = ""
        self._seen = 0
        self._open = True

    def until(self, words: str, timeout_s: float = 30.0) -> None:
        """Read until the words come after those that were waited for before."""
        end = time.monotonic() + timeout_s
        while words not in self.shown[self._seen :]:
            assert time.monotonic() < end, f"never {words!r}:\n{self.shown}"
            assert self._read(), f"ended before {words!r}:\n{self.shown}"
        self._seen = self.shown.index(words, self._seen) + len(words)

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def stop(self, how: str) -> None:
        """Interrupt it; again as a person would, because Python misses a ctrl-C in the moment before it waits."""
        for _ in range(3):
            self.type(how)
            end = time.monotonic() + 5.0
            while "Stopped" not in self.shown:
                left_s = end - time.monotonic()
                if left_s <= 0 or not select.select([self.fd], [], [], left_s)[0]:
                    break
                if not self._read():
                    return
            else:
                return

    def end(self) -> int:
        """Read all of the rest; the exit code."""
        while self._read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        if not select.select([self.fd], [], [], 30)[0]:
            os.kill(self.pid, signal.SIGKILL)
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other end is closed
            return False
        self.shown += data.decode("utf-8", "replace")
        return bool(data)


SERVICE = "local or service? [L/s]"
SURE = "Shall pictures of this screen go to 127.0.0.1?"


@pytest.mark.slow
def test_a_dialogue_takes_the_key_without_showing_it(environ: dict[str, str]) -> None:
    terminal = Terminal(environ)
    terminal.until(SERVICE)
    terminal.type("x\n")
    terminal.until("Please answer with one of")
    terminal.type("s\n")
    terminal.until(SURE)
    terminal.type("y\n")
    terminal.until("Key: ")
    terminal.type("two words\n")
    terminal.until("This is no key")
    terminal.until("Key: ")
    terminal.type(f"{KEY}\n")
    terminal.until("The local engine answers")
    _no_service(terminal)
    assert terminal.end() == 0
    assert KEY not in terminal.shown
    assert "two words" not in terminal.shown
    assert tomllib.loads(config(environ).read_text())["realtime"]["use"] == "service"


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "kept"), [("\n", "keyring"), ("f\n", "file")])
def test_a_dialogue_offers_the_keyring_where_one_works(
    environ: dict[str, str], tmp_path: Path, answer: str, kept: str
) -> None:
    terminal = Terminal(environ | environment_of_keyring(tmp_path / "ring"))
    terminal.until(SERVICE)
    terminal.type("s\n")
    terminal.until(SURE)
    terminal.type("y\n")
    terminal.until("Keep the key in the keyring (keyring backend FileKeyring) or in a private file? [K/f]")
    terminal.type(answer)
    terminal.until("Key: ")
    terminal.type(f"{KEY}\n")
    _no_service(terminal)
    assert terminal.end() == 0
    assert KEY not in terminal.shown
    realtime = tomllib.loads(config(environ).read_text())["realtime"]
    if kept == "keyring":
        assert kept_in(tmp_path / "ring") == {"hudd/realtime-key": KEY}
        assert realtime == {"use": "service", "keyring": True}
    else:
        assert kept_in(tmp_path / "ring") == {}
        assert realtime == {"use": "service", "key_file": "~/.config/hudd/realtime-key"}


def _no_service(terminal: Terminal) -> None:
    from hudctl.verbs import VERBS

    if "service" in VERBS:
        terminal.until("start hudd with your session?")
        terminal.type("n\n")


@pytest.mark.slow
def test_who_does_not_want_pictures_to_leave_gets_the_local_engine(environ: dict[str, str]) -> None:
    terminal = Terminal(environ)
    terminal.until(SERVICE)
    terminal.type("service\n")
    terminal.until(SURE)
    terminal.type("\n")
    terminal.until("Then the local engine answers")
    _no_service(terminal)
    assert terminal.end() == 0
    assert tomllib.loads(config(environ).read_text())["realtime"] == {"use": "local"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "how"),
    [(SERVICE, "\x03"), (SURE, "\x04"), ("Key: ", "\x03"), ("Trying it", "\x03"), ("Trying it", "\x04")],
)
def test_an_interruption_leaves_a_state_that_hudd_starts_with(environ: dict[str, str], stop: str, how: str) -> None:
    terminal = Terminal(environ)
    for question, answer in ((SERVICE, "s\n"), (SURE, "y\n"), ("Key: ", f"{KEY}\n"), ("Trying it", "")):
        terminal.until(question)
        if question == stop:
            break
        terminal.type(answer)
    if stop == "Trying it" and how == "\x04":
        _no_service(terminal)  # an end of input is only heard when something is asked
        assert terminal.end() == 0
    else:
        terminal.stop(how)
        assert terminal.end() == 130
        assert "Run hudctl setup again" in terminal.shown
    assert KEY not in terminal.shown
    assert "Traceback" not in terminal.shown
    checked = subprocess.run(
        [sys.executable, "-m", "hudd", "--check"], env=environ, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert config(environ).exists() == (stop == "Trying it")
    assert not [p for p in Path(environ["HOME"]).rglob(".*") if p.is_file()], "no half file is left"
    again = run(environ, "--use", "local", "--yes")
    assert again.returncode == 0, again.stderr
