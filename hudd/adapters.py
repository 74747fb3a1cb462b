"""Small adapters between parts that do not know each other. Composition, like ``app``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Final

from hudd.bus.remote import KeyRing
from hudd.config.crosschecks import PROFILES
from hudd.config.key_programs import KeyPrograms
from hudd.config.keys import FoundKey, find_key
from hudd.config.paths import expand, state_dir
from hudd.config.settings import LOCAL_LONG_SIDE_PX, LOCAL_QUALITY, PictureSettings, RealtimeSettings, Settings
from hudd.engine.process import EngineArguments, EngineProcess
from hudd.errors import KeyMissingError, LinkRefusedError, PermissionsError, SettingsError
from hudd.flow.spending import QUESTION_OVERHEAD_TOKENS, Limits
from hudd.ledger.caps import Caps
from hudd.ledger.prices import PriceTable
from hudd.model import Picture, Shot
from hudd.realtime.link import Link, endpoint_url, open_link
from hudd.realtime.memory import context_tokens
from hudd.realtime.models import Models
from hudd.realtime.prompt import compose_instructions, estimate_tokens
from hudd.screen.change import Change
from hudd.screen.content import describe
from hudd.screen.cropping import details
from hudd.screen.pixels import Fingerprint, compare, encode, fingerprint, uniform
from hudd.screen.source import Rect
from hudd.service.logs import Log
from hudd.wire.remote_keys import KeyFolder

LONGEST_PROFILE: Final = 8000
KEY_REFUSED: Final = (401, 403)
"""HTTP answers to a key that is not, or no longer, good."""
LEAST_PICTURE_BYTES: Final = 20_000
"""A picture of fewer bytes shows no text that could be read."""
MICRO: Final = 1_000_000
"""Micro-dollars of a dollar."""


class FramePixels:
    """The pixel work with the settings filled in."""

    def __init__(
        self, picture: PictureSettings, luma_step: int, redact: Callable[[Shot], tuple[Shot, int]] | None = None
    ) -> None:
        self._picture = picture
        self._redact = redact
        self._redacted: tuple[Shot, Shot, int] | None = None
        self._luma_step = luma_step
        self._newest_bytes = 0

    def fingerprint(self, shot: Shot, previous: Fingerprint | None) -> Fingerprint:
        return fingerprint(shot, previous)

    def compare(self, now: Fingerprint, before: Fingerprint, *, ignored: Sequence[Rect]) -> Change:
        return compare(now, before, luma_step=self._luma_step, ignored=ignored)

    def describe(self, change: Change, now: Fingerprint, before: Fingerprint, *, moving: bool) -> Change:
        return describe(change, now, before, moving=moving)

    def uniform(self, shot: Shot) -> str:
        return uniform(shot)

    def encode(self, shot: Shot, *, frame_hash: str) -> Picture:
        shot, redacted = self._readable(shot)
        picture = encode(shot, self._picture, frame_hash=frame_hash)
        self._newest_bytes = len(picture.data)
        return replace(picture, masked=shot.masked, redacted=redacted) if shot.masked or redacted else picture

    @property
    def no_parts(self) -> bool:
        """Whether the settings leave no room for pictures of parts."""
        return self._picture.crops != "auto" or self._picture.max_pictures < 2

    def details(
        self, shot: Shot, change: Change | None, *, most: int, focus: Callable[[], Rect | None]
    ) -> tuple[Picture, ...]:
        most = 0 if self.no_parts else min(most, self._picture.max_pictures - 1)
        return details(self._readable(shot)[0], change, self._picture, most=most, focus=focus) if most > 0 else ()

    def _readable(self, shot: Shot) -> tuple[Shot, int]:
        """What may be read by others; the whole and its parts are pictures of one frame, which is read once."""
        if self._redact is None:
            return shot, 0
        if self._redacted is None or self._redacted[0] is not shot:
            self._redacted = (shot, *self._redact(shot))
        return self._redacted[1:]

    def shrink(self) -> bool:
        """Halve the byte budget, because a question was too big for the endpoint; False when that is no use any more.

        Pictures of parts are left out from then on.
        """
        budget = min(self._picture.max_bytes, self._newest_bytes) // 2
        if budget < LEAST_PICTURE_BYTES:
            return False
        self._picture = replace(self._picture, max_bytes=budget, crops="never")
        return True


def picture_settings(settings: Settings) -> PictureSettings:
    """The local engine reads text better on large pictures, and nothing is billed for them."""
    picture = settings.picture
    if settings.realtime.use != "local":
        return picture
    quality = LOCAL_QUALITY if picture.quality == PictureSettings().quality else picture.quality
    return replace(picture, long_side_px=picture.long_side_px or LOCAL_LONG_SIDE_PX, quality=quality)


class Endpoint:
    """Opens the link to whoever answers: the service, or the engine that this daemon started.

    Args:
        settings: Which of them, and where.
        environ: Where a key may be.
        engine: The engine's process; None with the service.
        log: Told to hide the key.
        models: Which model is asked now.

    Attributes:
        seeks_key: True while the key is looked for, which may mean that a person is asked for it.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        engine: EngineProcess | None,
        log: Log,
        models: Models | None = None,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._engine = engine
        self._log = log
        self._models = models or Models(settings.realtime.model)
        self._key = ""
        self._programs, self._programs_of_news = KeyPrograms(), KeyPrograms()
        self._kept: FoundKey | None = None
        self._looked: tuple[Settings, FoundKey] | None = None
        self.seeks_key = False

    def change(self, settings: Settings) -> None:
        """Other settings hold from the next connection on; which engine answers stays."""
        looked, self._looked = self._looked, None
        self._kept = looked[1] if looked is not None and looked[0] == settings and looked[1].asked else None
        self._settings = settings

    def look_again(self) -> None:
        """A key that a program or the keyring gave is asked for anew at the next connection."""
        self._kept = None

    def close(self) -> None:
        """End what is still asked for the key; nothing is asked any more."""
        self._programs.close()
        self._programs_of_news.close()

    def key_news(self, settings: Settings) -> tuple[bool, str]:
        """Whether the key found with these settings is another one than the last one shown to the service.

        Returns:
            That, and why there is no key that may be used, or ''. Blocks.
        """
        self._looked = None
        try:
            found = find_key(settings, self._environ, self._programs_of_news)
        except (KeyMissingError, PermissionsError) as error:
            return False, str(error)
        self._looked = (settings, found)
        return bool(self._key) and found.value != self._key, ""

    async def open(self) -> Link:
        """Open a connection.

        Raises:
            LinkError: There is no key that may be used, no engine, or nobody answers.
        """
        realtime, model = self._settings.realtime, self._models.current
        if self._engine is not None:
            address = self._engine.address
            if address is None:
                raise LinkRefusedError("The local engine is not up yet.", hint="It is started again by itself.")
            return await open_link(
                endpoint_url(address.url, model),
                {"Authorization": f"Bearer {address.token}"},
                connect_s=realtime.connect_s,
                ping_timeout_s=realtime.ping_timeout_s,
            )
        found = await self._found()
        try:
            return await open_link(
                endpoint_url(realtime.url, model),
                request_headers(realtime, found.value),
                connect_s=realtime.connect_s,
                ping_timeout_s=realtime.ping_timeout_s,
                proxy=realtime.proxy != "none" and (realtime.proxy or True),
                ca_file=str(expand(realtime.ca_file, self._environ)) if realtime.ca_file else "",
            )
        except LinkRefusedError as error:
            if error.status in KEY_REFUSED:
                self._kept = None
            raise

    async def _found(self) -> FoundKey:
        """The key; files, programs and the keyring are asked beside the event loop."""
        found = self._kept
        if found is None:
            self.seeks_key = True
            try:
                found = await asyncio.to_thread(find_key, self._settings, self._environ, self._programs)
            except PermissionsError as error:
                raise KeyMissingError(error.message, hint=error.hint) from error
            except asyncio.CancelledError:
                self._programs.end()
                raise
            finally:
                self.seeks_key = False
        self._kept = found if found.asked else None
        self._key = found.value
        self._log.mask.hide(found.value)
        return found


def request_headers(realtime: RealtimeSettings, key: str) -> dict[str, str]:
    """The headers of the upgrade (realtime-protocol 1.2, 1.6). Never one for the retired beta interface."""
    shown = {"api-key": key} if realtime.auth == "api-key" else {"Authorization": f"Bearer {key}"}
    optional = {
        "OpenAI-Organization": realtime.organization,
        "OpenAI-Project": realtime.project,
        "OpenAI-Safety-Identifier": realtime.safety_identifier,
    }
    return shown | {name: value for name, value in optional.items() if value}


def effort_of(settings: Settings) -> str:
    """How long a model with reasoning thinks; '' leaves it to the model."""
    return "" if settings.realtime.reasoning == "default" else settings.realtime.reasoning


def load_instructions(settings: Settings, environ: Mapping[str, str]) -> str:
    """What the model is told: the shipped text, the profile's layer, the person's own sentences.

    Raises:
        SettingsError: The profile's file cannot be read.
    """
    profile = settings.notes.profile
    layer = ""
    if profile in PROFILES:
        layer = shipped_text(f"profiles/{profile}.txt")
    elif profile:
        path = expand(profile, environ)
        try:
            with path.open(encoding="utf-8") as file:
                layer = file.read(LONGEST_PROFILE + 1)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError([f"The profile {path} of [notes] profile cannot be read: {error}."]) from error
        if len(layer) > LONGEST_PROFILE:
            raise SettingsError([f"The profile {path} is longer than {LONGEST_PROFILE} characters; shorten it."])
    return compose_instructions(shipped_text("instructions.txt"), layer, settings.notes.instructions)


def engine_arguments(settings: Settings) -> EngineArguments:
    """What the engine is started with."""
    engine = settings.engine
    return EngineArguments(answers=engine.answers, reader=engine.reader, budget_s=engine.budget_s, idle_s=engine.idle_s)


def paid_caps(settings: Settings) -> Caps | None:
    """What may be spent, in the ledger's units; None when the local engine answers, which costs nothing."""
    cost = settings.cost
    if settings.realtime.use == "local":
        return None
    return Caps(
        day=round(cost.cap_day_usd * MICRO),
        hour=round(cost.cap_hour_usd * MICRO),
        month=round(cost.cap_month_usd * MICRO),
    )


def spending_limits(settings: Settings, model: str, instructions: str) -> Limits:
    """What may be spent, in the ledger's units; ``model`` is whose prices apply."""
    cost, session = settings.cost, settings.session
    history_tokens = session.history_tokens
    return Limits(
        engine=settings.realtime.use,
        model=model,
        cap_day_microusd=round(cost.cap_day_usd * MICRO),
        token_cap_day=cost.token_cap_day,
        image_tokens=cost.image_tokens,
        text_tokens=estimate_tokens(instructions) + history_tokens + QUESTION_OVERHEAD_TOKENS,
        max_output_tokens=session.max_output_tokens,
        cap_hour_microusd=round(cost.cap_hour_usd * MICRO),
        cap_month_microusd=round(cost.cap_month_usd * MICRO),
        active_hours=cost.active_hours,
        history_tokens=history_tokens,
        kept_image_tokens=context_tokens(session) - history_tokens,
    )


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


def check_remote_keys(settings: Settings, environ: Mapping[str, str]) -> None:
    """Whether other machines could be let in, where the settings say so.

    Raises:
        SettingsError: The daemon has no key, or no client is in the list.
        PermissionsError: A file of them is open to others or cannot be used.
    """
    if settings.bus.remote:
        KeyRing(KeyFolder(state_dir(environ))).daemon_key()


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
