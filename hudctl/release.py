"""Which hudctl this is."""

from __future__ import annotations


def client_version() -> str:
    """The version of this installation."""
    # Takes longer to load than everything else of hudctl together, and few need it.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("hudd")
    except PackageNotFoundError:
        return "0+unknown"
