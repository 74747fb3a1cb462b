"""Small adapters between parts that do not know each other. Composition, like ``app``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.resources import files

from hudd.config.keys import find_key
from hudd.config.paths import expand
from hudd.config.settings import PictureSettings, Settings
from hudd.engine.process import EngineArguments, EngineProcess
from hudd.errors import KeyMissingError, LinkRefusedError, PermissionsError, SettingsError
from hudd.ledger.prices import PriceTable
from hudd.model import Picture, Shot
from hudd.realtime.link import Link, endpoint_url, open_link
from hudd.screen.change import Change
from hudd.screen.pixels import Fingerprint, compare, encode, fingerprint
from hudd.screen.source import Rect
from hudd.service.logs import Log


class FramePixels:
    """The pixel work with the settings filled in."""

    def __init__(self, picture: PictureSettings, luma_step: int) -> None:
        self._picture = picture
        self._luma_step = luma_step

    def fingerprint(self, shot: Shot, previous: Fingerprint | None) -> Fingerprint:
        return fingerprint(shot, previous)

    def compare(self, now: Fingerprint, before: Fingerprint, *, ignored: Sequence[Rect]) -> Change:
        return compare(now, before, luma_step=self._luma_step, ignored=ignored)

    def encode(self, shot: Shot, *, frame_hash: str) -> Picture:
        return encode(shot, self._picture, frame_hash=frame_hash)


class Endpoint:
    """Opens the link to whoever answers: the service, or the engine that this daemon started.

    Args:
        settings: Which of them, and where.
        environ: Where a key may be.
        engine: The engine's process; None with the service.
        log: Told to hide the key.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str], engine: EngineProcess | None, log: Log) -> None:
        self._settings = settings
        self._environ = environ
        self._engine = engine
        self._log = log

    async def open(self) -> Link:
        """Open a connection.

        Raises:
            LinkError: There is no key that may be used, no engine, or nobody answers.
        """
        realtime = self._settings.realtime
        if self._engine is None:
            try:
                found = find_key(self._settings, self._environ)
            except PermissionsError as error:
                raise KeyMissingError(error.message, hint=error.hint) from error
            self._log.mask.hide(found.value)
            url, key = realtime.url, found.value
        else:
            address = self._engine.address
            if address is None:
                raise LinkRefusedError("The local engine is not up yet.", hint="It is started again by itself.")
            url, key = address.url, address.token
        return await open_link(
            endpoint_url(url, realtime.model),
            {"Authorization": f"Bearer {key}"},
            connect_s=realtime.connect_s,
            ping_timeout_s=realtime.ping_timeout_s,
        )


def engine_arguments(settings: Settings) -> EngineArguments:
    """What the engine is started with."""
    engine = settings.engine
    return EngineArguments(answers=engine.answers, reader=engine.reader, budget_s=engine.budget_s, idle_s=engine.idle_s)


def load_prices(settings: Settings, environ: Mapping[str, str]) -> PriceTable:
    """The shipped table, with the person's own on top.

    Raises:
        SettingsError: The person's own cannot be read, or has mistakes.
    """
    table = PriceTable.from_toml(shipped_text("prices.toml"))
    if not settings.cost.prices_file:
        return table
    path = expand(settings.cost.prices_file, environ)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"The prices in {path} cannot be read: {error}."]) from error
    return table.merged(PriceTable.from_toml(text, name=str(path)))


def shipped_text(name: str) -> str:
    """A text file of ``hudd/data``."""
    return (files("hudd") / "data" / name).read_text(encoding="utf-8")


def is_alive(pid: int) -> bool:
    """Whether a process of this user runs."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError, OverflowError):
        return False
    return True
