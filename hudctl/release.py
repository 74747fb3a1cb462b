"""Which hudctl this is."""

from __future__ import annotations


def client_version() -> str:
    """The version of this installation."""
    # It takes longer to load than everything else of hudctl together.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - few verbs need it

    try:
        return version("hudd")
    except PackageNotFoundError:
        return "0+unknown"
