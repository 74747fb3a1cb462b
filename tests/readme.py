"""``python -m tests.readme`` puts the settings file with every default into the README again."""

from __future__ import annotations

from pathlib import Path

from hudd.config.loader import default_toml

README = Path(__file__).resolve().parent.parent / "README.md"
FIRST_LINE = "# Settings of hudd."


def with_settings(text: str) -> str:
    """The README's text with its settings block renewed."""
    start = text.index(FIRST_LINE)
    return text[:start] + default_toml().strip() + text[text.index("\n```", start) :]


if __name__ == "__main__":
    README.write_text(with_settings(README.read_text(encoding="utf-8")), encoding="utf-8")
