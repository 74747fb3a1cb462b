"""One value of one key: what it must be, whether it is, and how it is written. Pure.

Made from the classes of ``hudd.config.settings``; values are TOML literals, and in the environment and in flags also
plain strings.
"""

from __future__ import annotations

import difflib
import functools
import json
import math
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Final, Literal, cast, get_args, get_origin, get_type_hints

from hudd.config.declaring import Apply
from hudd.config.settings import Settings

Kind = Literal["text", "choice", "integer", "number", "switch", "list", "words"]

_LONGEST_TEXT: Final = 10_000
_LONGEST_LIST: Final = 100
_LONGEST_SHOWN: Final = 60
# The journal keeps integers of 64 bits, and larger ones cannot even be printed (sys.set_int_max_str_digits).
_LARGEST: Final = 2**63 - 1


class ValueProblem(ValueError):  # noqa: N818 - it is no failure of ours, but half a sentence for a person
    """Raised when a value does not fit its key; the message is what follows "it" in a sentence ("must be …")."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of ``config.toml``.

    Attributes:
        section: Name of the table.
        name: Name within it.
        kind: What its value is.
        choices: Allowed words of a ``choice``.
        default: Value when nothing sets it.
        doc: One sentence for a person.
        low: Smallest allowed number, or None.
        high: Largest allowed number, or None.
        secret: Never shown.
        apply: What a reload does with it.
    """

    section: str
    name: str
    kind: Kind
    choices: tuple[str, ...]
    default: Any
    doc: str
    low: float | None
    high: float | None
    secret: bool
    apply: Apply

    @property
    def path(self) -> str:
        """``section.name``."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"HUDD_{self.section}_{self.name}".upper()

    @property
    def flag(self) -> str:
        """Its name on a command line."""
        return f"--{self.section}-{self.name}".replace("_", "-")

    def wanted(self) -> str:
        """What its value must be, as words after "must be"."""
        if self.kind == "choice":
            return "one of " + ", ".join(json.dumps(choice) for choice in self.choices)
        noun = {
            "text": "a text in quotes",
            "integer": "a whole number",
            "number": "a number",
            "switch": "true or false",
            "list": "a list of texts",
            "words": "a list of texts, or one text that is split into words",
        }[self.kind]
        return f"{noun}{bounds(self.low, self.high)}"


def bounds(low: float | None, high: float | None) -> str:
    """``" from 1 to 9"``, ``" of at least 1"`` or nothing."""
    if low is not None and high is not None:
        return f" from {low:.15g} to {high:.15g}"
    if low is not None:
        return f" of at least {low:.15g}"
    return f" of at most {high:.15g}" if high is not None else ""


@functools.cache
def all_keys(settings: type[Any] = Settings) -> Mapping[str, Key]:
    """Every key by its ``section.name``, in the order of the classes. To read the hints takes milliseconds, once."""
    found: dict[str, Key] = {}
    for section, section_class in get_type_hints(settings).items():
        hints = get_type_hints(section_class)
        for item in fields(section_class):
            kind, choices = _kind(hints[item.name])
            meta = item.metadata
            kind = "words" if meta["words"] else kind
            key = Key(
                section=section,
                name=item.name,
                kind=kind,
                choices=choices,
                default=item.default,
                doc=str(meta["doc"]),
                low=meta["low"],
                high=meta["high"],
                secret=bool(meta["secret"]),
                apply=meta["apply"],
            )
            found[key.path] = key
    return MappingProxyType(found)


def _kind(hint: Any) -> tuple[Kind, tuple[str, ...]]:
    if get_origin(hint) is Literal:
        return "choice", tuple(str(choice) for choice in get_args(hint))
    if get_origin(hint) is tuple:
        return "list", ()
    kinds: dict[Any, Kind] = {str: "text", int: "integer", float: "number", bool: "switch"}
    return kinds[hint], ()


def fit(key: Key, value: object) -> Any:
    """The value as its settings class wants it: a whole number becomes a float where needed, a list a tuple.

    Raises:
        ValueProblem: Wrong type, out of bounds, or none of the choices.
    """
    if key.kind == "switch":
        if not isinstance(value, bool):
            raise ValueProblem(f"must be {key.wanted()}")
        return value
    if key.kind in ("integer", "number"):
        return _number(key, value)
    if key.kind == "words" and isinstance(value, str):
        value = _split(_text(key, value))
    if key.kind in ("list", "words"):
        if not isinstance(value, list | tuple):
            raise ValueProblem(f"must be {key.wanted()}")
        items = tuple(_text(key, item) for item in cast("Iterable[object]", value))
        if len(items) > _LONGEST_LIST:
            raise ValueProblem(f"must have at most {_LONGEST_LIST} entries")
        return items
    text = _text(key, value)
    if key.kind == "choice" and text not in key.choices:
        raise ValueProblem(f"must be {key.wanted()}{did_you_mean(text, key.choices)}")
    return text


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueProblem(f"cannot be split into words ({error}); write it as a list of texts") from error


def _number(key: Key, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueProblem(f"must be {key.wanted()}")
    if key.kind == "integer" and not isinstance(value, int):
        raise ValueProblem(f"must be {key.wanted()}, without a fraction")
    too_low = key.low is not None and value < key.low
    too_high = key.high is not None and value > key.high
    # Written so that a NaN, which compares as false, is refused, too.
    if too_low or too_high or not -_LARGEST <= value <= _LARGEST:
        raise ValueProblem(f"must be {key.wanted()}")
    return float(value) if key.kind == "number" else value


def _text(key: Key, value: object) -> str:
    if not isinstance(value, str):
        raise ValueProblem(f"must be {key.wanted()}")
    if len(value) > _LONGEST_TEXT:
        raise ValueProblem(f"must have at most {_LONGEST_TEXT} characters")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueProblem("must be UTF-8 text without zero characters")
    return value


def from_text(key: Key, text: str) -> Any:
    """A value from the environment or a flag: a TOML literal, or a plain string where the key is text.

    A plain string for a list is its entries with commas between them; a command's is split into words.

    Raises:
        ValueProblem: As `fit`.
    """
    literal = _literal(text)
    if key.kind in ("text", "choice") or (key.kind == "words" and not isinstance(literal, list)):
        return fit(key, literal if isinstance(literal, str) else text)
    if key.kind == "list" and not isinstance(literal, list):
        plain = literal if isinstance(literal, str) else text
        return fit(key, [part.strip() for part in plain.split(",") if part.strip()])
    return fit(key, text if literal is None else cast("object", literal))


def _literal(text: str) -> object:
    """The TOML value that the text spells, or None."""
    if len(text) > _LONGEST_TEXT:
        return None
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return None
    # More than one key means that the text held a line break and more TOML behind it.
    return table["value"] if len(table) == 1 else None


def show(value: object) -> str:
    """A value for a sentence: as TOML writes it, on one line, never long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "a number of more than 64 bits"
    if isinstance(value, str):
        return _shortened(json.dumps(value[: _LONGEST_SHOWN + 1]))
    if isinstance(value, list | tuple):
        items = list(cast("Iterable[object]", value))
        return _shortened("[" + ", ".join(show(item) for item in items[:5]) + (", …]" if len(items) > 5 else "]"))
    if isinstance(value, dict):
        return "a table"
    return _shortened(str(value))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def to_toml(value: object) -> str:
    """A settings value as a TOML literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(to_toml(item) for item in cast("Iterable[object]", value)) + "]"
    if isinstance(value, str):
        # JSON and TOML basic strings agree but for the delete character, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float) and value.is_integer() and math.fabs(value) < 1e15:
        return f"{value:.1f}"
    return str(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean …?"``, or nothing when no known word is near."""
    near = difflib.get_close_matches(word[:80].lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
