"""Takes out of a text what would tell who wrote it, or let somebody in. Pure, but for ``Secrets.of_this_machine``."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

_KEY_SHAPES: Final = (
    # Of OpenAI and those who copy its shape; what an Authorization or api-key header shows; passwords in addresses.
    re.compile(r"\b(?:sk|ek|rk|pk|key)[-_][A-Za-z0-9_\-.*]{8,}"),
    re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9_\-.=+/*]{8,}"),
    re.compile(r"(?i)\b(api[-_]?key|authorization|password|passwd|secret|token)(\"?\s*[:=]\s*\"?)[^\s\",;]{6,}"),
    re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-.]{8,}"),
    re.compile(r"\b[A-Fa-f0-9]{32,}\b"),
    re.compile(r"(?<![A-Za-z0-9/_.\-])(?=[A-Za-z0-9+_\-]*\d)(?=[A-Za-z0-9+_\-]*[A-Z])[A-Za-z0-9+_\-]{40,}={0,2}"),
)
_ADDRESS: Final = re.compile(r"(\w+://)[^/\s@\"']+@")
_COMMON_NAMES: Final = frozenset({"root", "user", "nobody", "hudd", "localhost"})
HIDDEN: Final = "(hidden)"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What to take out beside what has the shape of a key.

    Attributes:
        words: Exact texts, for instance the key in use.
        home: The home folder; becomes ``~``.
        host: The machine's name; becomes ``HOST``.
        user: The person's name here; becomes ``USER``.
    """

    words: tuple[str, ...] = ()
    home: str = ""
    host: str = ""
    user: str = ""

    @classmethod
    def of_this_machine(cls, environ: Mapping[str, str]) -> Secrets:
        """Those of the person who asks."""
        import pwd  # noqa: PLC0415 - few verbs need it

        try:
            entry = pwd.getpwuid(os.getuid())
            user, home = entry.pw_name, entry.pw_dir
        except KeyError:  # a user without an entry, as in a container
            user, home = environ.get("USER", ""), ""
        words = [value for name, value in environ.items() if _names_a_secret(name) and len(value) >= 6]
        return cls(tuple(words), environ.get("HOME", "") or home, socket.gethostname(), user)

    def with_file(self, path: Path) -> Secrets:
        """Also the contents of a key file, where it can be read."""
        try:
            word = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return self
        return self.with_words(word) if len(word) >= 6 else self

    def with_words(self, *words: str) -> Secrets:
        """Also these, as they are and as JSON writes them."""
        written = [json.dumps(word, ensure_ascii=False)[1:-1] for word in words]
        return replace(self, words=(*self.words, *dict.fromkeys(filter(None, (*words, *written)))))

    def redact(self, text: str) -> str:
        """The text without them."""
        for word in sorted(self.words, key=len, reverse=True):
            text = text.replace(word, HIDDEN)
        for shape in _KEY_SHAPES:
            text = shape.sub(_kept_head, text)
        text = _ADDRESS.sub(rf"\1{HIDDEN}@", text)
        if len(self.home) > 1:
            text = re.sub(rf"{re.escape(self.home.rstrip('/'))}(?![\w.-])", "~", text)
        for name, instead in ((self.host, "HOST"), (self.host.partition(".")[0], "HOST"), (self.user, "USER")):
            if len(name) > 1 and name.lower() not in _COMMON_NAMES:
                text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", instead, text)
        return text


def _kept_head(found: re.Match[str]) -> str:
    groups = [group or "" for group in found.groups()]
    if len(groups) == 2:
        return f"{groups[0]}{groups[1]}{HIDDEN}"
    return f"{groups[0]} {HIDDEN}" if groups else HIDDEN


def _names_a_secret(name: str) -> bool:
    return any(part in name.upper().split("_") for part in ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "APIKEY"))
