"""Checks between settings that are each right by themselves, and of texts that have a form. Pure."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from hudd.config.settings import Settings
from hudd.config.toml_values import show
from hudd.policy.windows import pattern_problem

Check = Callable[[Settings], str]

_PROXY_SCHEMES: Final = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
PROFILES: Final = ("coding", "meeting", "accessibility")
"""Layers of instructions that are shipped, in ``hudd/data/profiles``."""
_SOURCES: Final = ("auto", "mss", "wayland", "grim", "portal")


def problems(settings: Settings, wrong: frozenset[str], places: Mapping[str, str] | None = None) -> list[str]:
    """One sentence for each check that fails; checks that lean on a key in ``wrong`` are left out.

    Args:
        settings: All of them.
        wrong: ``section.key`` of those that were refused by themselves.
        places: ``section.key`` → the variable or flag that set it; named instead of the key.
    """
    sentences: list[str] = []
    for needed, check in CHECKS:
        sentence = "" if wrong & set(needed) else check(settings)
        if sentence:
            sentences.append(_with_places(sentence, needed, places or {}))
    return sentences


def _with_places(sentence: str, needed: tuple[str, ...], places: Mapping[str, str]) -> str:
    for path in needed:
        section, _, name = path.partition(".")
        if path in places:
            sentence = sentence.replace(f"[{section}] {name}", places[path])
            # The second key of a sentence stands there without its section.
            sentence = re.sub(rf"(?<![\w.]){name}\b", places[path], sentence) if "_" in name else sentence
    return sentence


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _looks(settings: Settings) -> str:
    screen = settings.screen
    if screen.max_interval_s >= screen.interval_s:
        return ""
    return (
        f"[screen] max_interval_s is {screen.max_interval_s:g} and interval_s is {screen.interval_s:g}; "
        "max_interval_s must be at least interval_s."
    )


def _settling(settings: Settings) -> str:
    gate = settings.gate
    if gate.max_settle_s >= gate.settle_s:
        return ""
    return (
        f"[gate] max_settle_s is {gate.max_settle_s:g} and settle_s is {gate.settle_s:g}; "
        "max_settle_s must be at least settle_s."
    )


def _heartbeat(settings: Settings) -> str:
    gate = settings.gate
    if gate.heartbeat_s == 0 or gate.heartbeat_s >= gate.min_interval_s:
        return ""
    return (
        f"[gate] heartbeat_s is {gate.heartbeat_s:g} and min_interval_s is {gate.min_interval_s:g}; "
        "heartbeat_s must be 0 or at least min_interval_s."
    )


def _answering(settings: Settings) -> str:
    session = settings.session
    if session.response_done_s >= session.first_delta_s:
        return ""
    return (
        f"[session] response_done_s is {session.response_done_s:g} and first_delta_s is {session.first_delta_s:g}; "
        "an answer cannot be complete before its first text: response_done_s must be at least first_delta_s."
    )


def _retention(settings: Settings) -> str:
    session = settings.session
    if session.history_tokens == 0 or session.history_tokens * session.retention_ratio >= 1:
        return ""
    return (
        f"[session] retention_ratio {session.retention_ratio:g} of history_tokens {session.history_tokens} keeps "
        "nothing at a cut; raise retention_ratio, or set history_tokens = 0 for no history at all."
    )


def _url(settings: Settings) -> str:
    url = settings.realtime.url
    # The whole address is not repeated in a sentence: it may hold a password.
    place = "[realtime] url"
    if any(character.isspace() or not character.isprintable() for character in url):
        return f"{place} has a space or a control character in it; remove it."
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError as error:
        return f"{place} is no address ({error}); write it like wss://api.openai.com/v1/realtime."
    if parts.scheme not in ("wss", "ws", "https", "http"):
        named = f"starts with {show(parts.scheme + ':')}" if parts.scheme else "has no scheme"
        return f"{place} {named}; it must start with wss:// or https://, or with ws:// for this machine."
    if not host or port == 0:
        return f"{place} names no host or no usable port; write it like wss://api.openai.com/v1/realtime."
    if parts.username is not None or parts.password is not None:
        return f"{place} holds a user or password; put the key into HUDD_REALTIME_KEY or [realtime] key_file instead."
    if parts.fragment:
        return f"{place} holds a fragment; leave it out."
    names = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if names & {"api-key", "api_key", "key", "token", "authorization"}:
        return f"{place} holds a key in its query; put the key into HUDD_REALTIME_KEY or [realtime] key_file instead."
    if "api-version" in names:
        return (
            f"{place} holds an api-version, which is Azure's retired interface; write it like "
            "wss://NAME.openai.azure.com/openai/v1/realtime, with the deployment as [realtime] model."
        )
    if parts.scheme in ("ws", "http") and not is_loopback(host):
        return f"{place} would send pictures and key to {show(host)} unencrypted; use wss:// there."
    return ""


def _model(settings: Settings) -> str:
    model = settings.realtime.model
    if model and len(model) <= 200 and model.isprintable() and not any(letter.isspace() for letter in model):
        return ""
    return f"[realtime] model is {show(model)}; write the name of a model, without spaces, like gpt-realtime-1.5."


def _fallback_models(settings: Settings) -> str:
    for name in settings.realtime.fallback_models:
        if not name or len(name) > 200 or not name.isprintable() or any(letter.isspace() for letter in name):
            return f"[realtime] fallback_models has {show(name)} in it; write names of models, without spaces."
    return ""


def _headers(settings: Settings) -> str:
    realtime = settings.realtime
    for name in ("organization", "project", "safety_identifier"):
        value = getattr(realtime, name)
        if not all("!" <= letter <= "~" for letter in value) or len(value) > 200:
            return f"[realtime] {name} is {show(value)}; it must be one word of plain characters, for a header."
    return ""


def _proxy(settings: Settings) -> str:
    proxy = settings.realtime.proxy
    if not proxy or proxy == "none":
        return ""
    if is_proxy_address(proxy):
        return ""
    # Not repeated: it may hold a password.
    return "[realtime] proxy is no address; write it like http://proxy.example:3128, or none."


def is_proxy_address(proxy: str) -> bool:
    """Whether a proxy's address, of the settings or of the environment, can be used."""
    try:
        parts = urlsplit(proxy)
        return parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that are none
        return False


def _profile(settings: Settings) -> str:
    profile = settings.notes.profile
    if not profile or profile in PROFILES or "/" in profile:
        return ""
    near = difflib.get_close_matches(profile, PROFILES, n=1)
    meant = f"; did you mean {near[0]}?" if near else "."
    return (
        f"[notes] profile is {show(profile)}; it must be {', '.join(PROFILES)}, or the path of a text file with a / in "
        f"it{meant}"
    )


def _key_file(settings: Settings) -> str:
    if not settings.realtime.key_file.strip().startswith(("sk-", "ek_")):
        return ""
    # Not repeated: it is a key.
    return (
        "[realtime] key_file holds what looks like a key; put the key into a file of mode 0600 and write the path "
        "of that file here."
    )


def _key_command(settings: Settings) -> str:
    words = settings.realtime.key_command
    if not words:
        return ""
    if words[0].startswith(("sk-", "ek_")):
        # Not repeated: it is a key.
        return (
            "[realtime] key_command holds what looks like a key; put the key into a file of mode 0600 and name that "
            "file in [realtime] key_file."
        )
    if not words[0].strip():
        return '[realtime] key_command names no program; write it like ["pass", "show", "openai"].'
    return ""


def _source(settings: Settings) -> str:
    source = settings.screen.source
    word, colon, folder = source.partition(":")
    if source in _SOURCES or (word in ("pictures", "command") and colon and folder.strip()):
        return ""
    if word == "pictures":
        return '[screen] source names no folder; write it like "pictures:/home/me/shots".'
    if word == "command":
        return '[screen] source names no program; write it like "command:grim -".'
    forms = {"pictures": "pictures:DIR", "command": "command:PROGRAM ARGS"}
    near = difflib.get_close_matches(word[:80], [*_SOURCES, *forms], n=1)
    meant = f"; did you mean {forms.get(near[0], near[0])}?" if near else ""
    must = ", ".join(f'"{name}"' for name in [*_SOURCES, forms["command"]])
    return f'[screen] source is {show(source)}; it must be {must} or "pictures:DIR"{meant or "."}'


def _remote(settings: Settings) -> str:
    address = settings.bus.remote
    if not address:
        return ""
    place, remedy = f"[bus] remote is {show(address)}", "write an address of this machine, like tcp://192.0.2.7:7433."
    host, colon, port = address.removeprefix("tcp://").rpartition(":")
    if not address.startswith("tcp://") or not colon or not (port.isascii() and port.isdigit()):
        return f"{place}, which is no tcp:// address with a port; {remedy}"
    try:
        numbers = ipaddress.ip_address(host.removeprefix("[").removesuffix("]") if host.startswith("[") else host)
    except ValueError:
        return f"{place}, which is no number of a network interface (a name or * is not enough); {remedy}"
    if isinstance(numbers, ipaddress.IPv6Address) != host.startswith("["):
        return f"{place}; write an IPv6 address in brackets, like tcp://[2001:db8::7]:7433."
    if numbers.is_unspecified or numbers.is_multicast or str(numbers) == "255.255.255.255":
        return f"{place}, which would be every interface or none; {remedy}"
    if not 1 <= int(port) <= 65534:
        return f"{place}; the port must be from 1 to 65534, because notes take the next one."
    return ""


def _monitors(settings: Settings) -> str:
    names = settings.screen.monitors
    if any(not name.strip() for name in names):
        return "[screen] monitors has an empty name in it; name each monitor, or leave the list empty for all."
    if len(set(names)) != len(names):
        return "[screen] monitors names one monitor twice; name each once."
    return ""


def _patterns(settings: Settings) -> str:
    privacy = settings.privacy
    named = (
        ("exclude_apps", privacy.exclude_apps),
        ("exclude_titles", privacy.exclude_titles),
        ("exclude_urls", privacy.exclude_urls),
    )
    for name, patterns in named:
        for pattern in patterns:
            problem = pattern_problem(pattern)
            if problem:
                return f"[privacy] {name}: {show(pattern)} {problem}; write a part of the text, with * for anything."
    return ""


CHECKS: Final[tuple[tuple[tuple[str, ...], Check], ...]] = (
    (("realtime.model",), _model),
    (("realtime.url",), _url),
    (("realtime.fallback_models",), _fallback_models),
    (("realtime.organization", "realtime.project", "realtime.safety_identifier"), _headers),
    (("realtime.proxy",), _proxy),
    (("notes.profile",), _profile),
    (("realtime.key_file",), _key_file),
    (("realtime.key_command",), _key_command),
    (("session.history_tokens", "session.retention_ratio"), _retention),
    (("session.first_delta_s", "session.response_done_s"), _answering),
    (("screen.source",), _source),
    (("screen.monitors",), _monitors),
    (("screen.interval_s", "screen.max_interval_s"), _looks),
    (("gate.settle_s", "gate.max_settle_s"), _settling),
    (("gate.heartbeat_s", "gate.min_interval_s"), _heartbeat),
    (("bus.remote",), _remote),
    (("privacy.exclude_apps", "privacy.exclude_titles", "privacy.exclude_urls"), _patterns),
)
