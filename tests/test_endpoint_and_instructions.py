"""Headers of the upgrade, and the layers of the instructions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hudd.adapters import LONGEST_PROFILE, load_instructions, request_headers, shipped_text
from hudd.config.crosschecks import PROFILES
from hudd.config.settings import NotesSettings, RealtimeSettings, Settings
from hudd.errors import SettingsError


def test_the_key_is_shown_as_a_bearer_token_and_nothing_else_is_told() -> None:
    assert request_headers(RealtimeSettings(), "k") == {"Authorization": "Bearer k"}


def test_azure_form_and_optional_headers() -> None:
    realtime = RealtimeSettings(auth="api-key", organization="org_1", project="proj_1", safety_identifier="u1")
    assert request_headers(realtime, "k") == {
        "api-key": "k",
        "OpenAI-Organization": "org_1",
        "OpenAI-Project": "proj_1",
        "OpenAI-Safety-Identifier": "u1",
    }


def with_notes(**notes: str) -> Settings:
    return replace(Settings(), notes=NotesSettings(**notes))


@pytest.mark.parametrize("profile", PROFILES)
def test_a_shipped_profile_lies_between_the_instructions_and_ones_own(profile: str) -> None:
    text = load_instructions(with_notes(profile=profile, instructions="Write German."), {})
    layer = shipped_text(f"profiles/{profile}.txt").strip()
    assert text.startswith(shipped_text("instructions.txt").strip())
    assert text.endswith(f"{layer}\n\nWrite German.")
    assert len(layer) < 800, "each question pays for it"


def test_without_a_profile_only_the_shipped_text_is_told() -> None:
    assert load_instructions(Settings(), {}) == shipped_text("instructions.txt").strip()


def test_a_profile_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Mind the build numbers.\n")
    assert load_instructions(with_notes(profile=str(path)), {}).endswith("Mind the build numbers.")


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"x" * (LONGEST_PROFILE + 1)])
def test_a_profile_that_cannot_be_used_is_a_mistake_in_the_settings(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"mine\.txt"):
        load_instructions(with_notes(profile=str(path)), {})
