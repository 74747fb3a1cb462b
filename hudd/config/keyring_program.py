"""``python -m hudd.config.keyring_program``: asks the desktop's keyring, in a process of its own.

The only door to the library ``keyring``. A look-up may hang for as long as the desktop asks a person to unlock; a
process can be ended then, and what the library loads stays out of the daemon. The key is on a pipe, never in a command
line: ``get`` prints it, ``set`` reads it. ``probe`` tells whether there is a keyring at all, ``has`` whether hudd's
key is in it. A failure is one sentence on stderr; the name of the keyring stands there otherwise.
"""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Callable
from typing import Final, Protocol, TypeVar, cast

T = TypeVar("T")

SERVICE: Final = "hudd"
USER: Final = "realtime-key"
"""Under which the key is kept: what `secret-tool lookup service hudd username realtime-key` prints."""
EXIT_OK: Final = 0
EXIT_NO_LIBRARY: Final = 10
EXIT_NO_KEYRING: Final = 11
EXIT_LOCKED: Final = 12
EXIT_ABSENT: Final = 13
EXIT_FAILED: Final = 14
_LONGEST_STDIN: Final = 8192
_LEAST_PRIORITY: Final = 1.0
"""Of a keyring that the library itself recommends; below are files without encryption."""


class _Keyring(Protocol):
    """What is used of the library, which has not all types."""

    @property
    def name(self) -> str: ...
    @property
    def priority(self) -> float: ...
    def get_password(self, service: str, username: str) -> str | None: ...
    def set_password(self, service: str, username: str, password: str) -> None: ...


class _Refusal(Exception):  # noqa: N818 - it carries an exit code to main, nothing else
    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


def main() -> int:
    """Do what the word asks for; returns the exit code."""
    try:
        name = _do(sys.argv[1] if len(sys.argv) == 2 else "")
    except _Refusal as refusal:
        sys.stderr.write(f"{refusal.sentence}\n")
        return refusal.code
    sys.stderr.write(f"{name}\n")
    return EXIT_OK


def _do(word: str) -> str:
    """The name of the keyring."""
    backend = _backend()
    if word == "set":
        key = sys.stdin.read(_LONGEST_STDIN).strip()
        _ask(lambda: backend.set_password(SERVICE, USER, key))
        if _ask(lambda: backend.get_password(SERVICE, USER)) != key:
            raise _Refusal(EXIT_FAILED, f"{backend.name} did not keep the key.")
    elif word == "probe":
        _probe(backend)
    elif word in ("get", "has"):
        found = _ask(lambda: backend.get_password(SERVICE, USER))
        if found is None:
            raise _Refusal(EXIT_ABSENT, f"The keyring ({backend.name}) holds no key of hudd.")
        if word == "get":
            sys.stdout.write(f"{found}\n")
    else:
        raise _Refusal(EXIT_FAILED, "One word is needed: get, has, set or probe.")
    return backend.name


def _backend() -> _Keyring:
    try:
        import keyring  # noqa: PLC0415 - an extra, and the library looks for every keyring there is
        from keyring.backends import fail, null  # noqa: PLC0415 - beside it
    except ImportError as error:
        raise _Refusal(EXIT_NO_LIBRARY, "hudd[keyring] is not installed, so the keyring cannot be asked.") from error
    found = _ask(keyring.get_keyring)
    if isinstance(found, fail.Keyring | null.Keyring):
        raise _Refusal(EXIT_NO_KEYRING, "There is no keyring in this session.")
    return cast("_Keyring", found)


def _probe(backend: _Keyring) -> None:
    if backend.priority < _LEAST_PRIORITY:
        raise _Refusal(EXIT_NO_KEYRING, f"The only keyring ({backend.name}) does not encrypt what it keeps.")
    # Of an entry that nobody makes: it shows whether the keyring answers, and opens it if it is locked.
    _ask(lambda: backend.get_password(SERVICE, f"trial-{secrets.token_hex(4)}"))


def _ask(ask: Callable[[], T]) -> T:
    from keyring import errors  # noqa: PLC0415 - an extra

    try:
        with contextlib.redirect_stdout(sys.stderr):  # a keyring that prints must not print into the key
            return ask()
    except errors.KeyringLocked as error:
        raise _Refusal(EXIT_LOCKED, "The keyring is locked.") from error
    except errors.NoKeyringError as error:
        raise _Refusal(EXIT_NO_KEYRING, "There is no keyring in this session.") from error
    except Exception as error:  # each keyring raises what its own libraries raise; all of it is told
        words = " ".join(str(error).split()) or type(error).__name__
        if "dismissed" in words.lower():  # what a Secret Service says when the person, or nobody, unlocked it
            raise _Refusal(EXIT_LOCKED, f"The keyring was not unlocked ({words.rstrip('.')}).") from error
        raise _Refusal(EXIT_FAILED, f"The keyring failed: {words.rstrip('.')}.") from error


if __name__ == "__main__":
    sys.exit(main())
