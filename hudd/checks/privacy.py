"""What can be known here of the reasons to send nothing, and what cannot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Final

from hudd.checks.finding import Context, Finding, ok, warning
from hudd.clock import SystemClock

_MOMENT_S: Final = 0.2
"""The sources are followed for so long, which closes at its end what they opened."""
_CALLED: Final[Mapping[str, str]] = {
    "lock": "a locked screen",
    "session": "another session in front",
    "sleep": "sleep",
    "screensaver": "a screensaver",
    "idle": "who is away",
    "windows": "excluded and private windows and screen sharing",
}
"""Source of facts → what it tells of, in the order of the line."""
_FAILS: Final = "Look at it with `hudctl status`; as long as it fails, nothing leaves"
_NO_LOCK: Final = (
    "Start hudd inside a desktop session of systemd-logind or elogind, or run `hudctl pause` before you leave"
)


def check_privacy(context: Context) -> Iterable[Finding]:
    """Ask every source of facts once, as the daemon does at its start."""
    found, overlooked = asyncio.run(_ask(context))
    facts = sorted(found, key=lambda fact: [*_CALLED, fact["name"]].index(fact["name"]))
    by_state: dict[str, dict[str, list[str]]] = {}
    for fact in facts:
        called = _CALLED.get(str(fact["name"]), str(fact["name"]))
        by_state.setdefault(str(fact["state"]), {}).setdefault(str(fact["sentence"]), []).append(called)
    told = [name for state in ("known", "partly") for names in by_state.get(state, {}).values() for name in names]
    parts = [f"Told here: {', '.join(told)}." if told else "Nothing is told here.", *by_state.get("partly", {})]
    parts += [
        f"Not available: {', '.join(names)} ({_clause(why)})."
        for why, names in by_state.get("not_available", {}).items()
    ]
    parts += [f"Failing: {', '.join(names)} ({_clause(why)})." for why, names in by_state.get("failing", {}).items()]
    line = " ".join(parts)
    no_lock = any(fact["name"] == "lock" and fact["state"] == "not_available" for fact in facts)
    if "failing" in by_state:
        yield warning("privacy", line, _FAILS, facts=facts)
    elif no_lock and _shows_desktop(context):
        yield warning("privacy", line, _NO_LOCK, facts=facts)
    else:
        yield ok("privacy", line, facts=facts)
    if overlooked:
        cause, _, advice = overlooked.partition("; ")
        yield warning("privacy", f"{cause}.", advice.rstrip("."))


async def _ask(context: Context) -> tuple[list[Mapping[str, object]], str]:
    """The facts as the status tells them, and what the person excluded and nobody can tell of."""
    from hudd.desktop.bus import Bus  # noqa: PLC0415 - the doctor starts without what the daemon needs
    from hudd.guards import Guards  # noqa: PLC0415 - see above
    from hudd.policy.facts import Facts  # noqa: PLC0415 - see above

    clock = SystemClock()
    session_bus, system_bus = (
        Bus("session", context.environ, clock=clock),
        Bus("system", context.environ, clock=clock),
    )
    guards = Guards(
        settings=context.settings,
        environ=context.environ,
        facts=Facts(),
        session_bus=session_bus,
        system_bus=system_bus,
        clock=clock,
        on_state=lambda: None,
    )
    try:
        await guards.begin()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MOMENT_S):
                await guards.run()
        return list(guards.status()["facts"]), guards.overlooked
    finally:
        await session_bus.close()
        await system_bus.close()


def _clause(sentence: str) -> str:
    return sentence.rstrip(".")


def _shows_desktop(context: Context) -> bool:
    source = context.settings.screen.source
    return not source.startswith("pictures:") and any(context.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
