"""One question to whoever answers: the smallest that tells whether it answers, or a frame for the local engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from importlib.resources import files
from typing import Final

from hudd.adapters import engine_arguments, load_prices
from hudd.checks.finding import Context, Finding, failure, ok, warning
from hudd.clock import SystemClock
from hudd.engine.process import EngineProcess
from hudd.errors import HuddError
from hudd.ledger.prices import PriceTable
from hudd.protocol.codec import decode, encode
from hudd.protocol.events import (
    ErrorEvent,
    ImagePart,
    Malformed,
    Message,
    ResponseCreate,
    ResponseDone,
    SessionUpdate,
    SessionUpdated,
    TextDelta,
    TextPart,
)
from hudd.realtime.link import Link, endpoint_url, open_link
from hudd.realtime.sentences import explain_error
from hudd.wire.installation import Installation

ANSWER_S: Final = 8.0
TRY_AGAIN: Final = "See hudctl errors, and try again"
_INSTRUCTIONS: Final = "Answer with one word."
_QUESTION: Final = "Say: ready"
_ON_THE_PICTURE: Final = ("make check", "compiling", "harbour", "tidewater")
"""Of the first picture that ships with hudd; a reader that works reads one of them."""


async def ask_once(
    link: Link, frames: AsyncIterator[str | Malformed], context: Context, most_tokens: int, picture: bytes = b""
) -> Finding:
    """Ask for one word, or what is on a picture, and tell what it cost.

    Args:
        link: Its ``session.created`` has come.
        frames: The rest of its frames.
        context: For the prices.
        most_tokens: Longest answer.
        picture: PNG, the first that ships with hudd; none for a question in words.
    """
    update = SessionUpdate("doctor-1", _INSTRUCTIONS, max(16, most_tokens), 0.5, 1000)
    await link.send(encode(update))
    parts = (ImagePart("image/png", picture),) if picture else (TextPart(_QUESTION),)
    text = ""
    async with asyncio.timeout(ANSWER_S):
        async for frame in frames:
            event = decode(frame) if isinstance(frame, str) else frame
            match event:
                case SessionUpdated():
                    await link.send(encode(ResponseCreate("doctor-2", (Message("user", parts),), max(16, most_tokens))))
                case TextDelta(delta=delta):
                    text += delta
                case ErrorEvent(error=error):
                    return _failed(explain_error(error, configuring=not text).sentence)
                case ResponseDone(error=error) if event.status == "failed":
                    return _failed(explain_error(error).sentence if error else "The answer failed.")
                case ResponseDone(usage=usage):
                    model = context.settings.realtime.model
                    cost = _prices(context).cost_microusd(usage, model) if usage is not None and not picture else None
                    told = "It answered a question" if not picture else "It read a picture"
                    told += (
                        f" for {(cost or 0) / 1e6:.6f} dollars, which hudd's own count does not know." if cost else "."
                    )
                    paid = not picture
                    read = any(word in text.lower() for word in _ON_THE_PICTURE)
                    more = {"read": read} if picture else {}
                    return ok(
                        "endpoint", told, step="question", paid=paid, cost_microusd=cost, letters=len(text), **more
                    )
                case _:
                    continue
    return _failed("The connection ended before the answer.")


def _prices(context: Context) -> PriceTable:
    return load_prices(context.settings, context.environ)


def _failed(sentence: str) -> Finding:
    cause, _, remedy = sentence.partition("; ")
    return failure("endpoint", f"{cause.rstrip('.')}.", f"{remedy[:1].upper()}{remedy[1:]}".rstrip(".") or TRY_AGAIN)


def check_engine(context: Context) -> Iterable[Finding]:
    """Start the local engine and show it a picture that ships with hudd. Free, and nothing leaves the machine."""
    try:
        found = asyncio.run(_ask_engine(context))
    except (HuddError, TimeoutError) as error:
        why = str(error) or f"no answer within {ANSWER_S:g} s"
        yield failure(
            "engine",
            f"The local engine does not answer: {why}",
            f"Install hudd again: {Installation.find().reinstall()}",
        )
        return
    if found.state == "ok":
        yield _what_it_read(context, found)
    else:
        yield failure("engine", found.cause, found.remedy)


def _what_it_read(context: Context, found: Finding) -> Finding:
    engine, details = context.settings.engine, dict(found.details)
    if engine.answers == "canned":
        told = "The local engine answers; it reads nothing, because [engine] answers is canned."
        return ok("engine", told, **details)
    if engine.reader == "none":
        cause = "The local engine answers; it reads nothing, because [engine] reader is none."
        return warning("engine", cause, 'Set [engine] reader = "auto"', **details)
    if details.get("read"):
        return ok("engine", "The local engine read a picture that ships with hudd.", **details)
    return warning(
        "engine",
        "The local engine answers, and read no word of a picture that ships with hudd.",
        "See the line reading of hudctl doctor; if the machine is slow, raise [engine] budget_s",
        **details,
    )


async def _ask_engine(context: Context) -> Finding:
    folder = files("hudd") / "data" / "pictures"
    picture = next(file for file in sorted(folder.iterdir(), key=lambda f: f.name) if file.name.endswith(".png"))
    engine = EngineProcess(engine_arguments(context.settings), clock=SystemClock())
    try:
        address = await engine.start()
        link = await open_link(
            endpoint_url(address.url, context.settings.realtime.model),
            {"Authorization": f"Bearer {address.token}"},
            proxy=False,
        )
        try:
            return await ask_once(link, aiter(link), context, 200, picture.read_bytes())
        finally:
            link.abort()
    finally:
        await engine.stop()
