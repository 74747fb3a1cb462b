from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace

import pytest

from hudd.errors import CaptureError
from hudd.screen.macos import check_permission


@pytest.mark.parametrize("granted", [False, True])
def test_the_answer_of_macos_counts(monkeypatch: pytest.MonkeyPatch, granted: bool) -> None:
    """A library of the same shape; macOS itself was not asked."""

    def preflight() -> bool:
        return granted

    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(CGPreflightScreenCaptureAccess=preflight))
    if granted:
        check_permission()
    else:
        with pytest.raises(CaptureError, match="macOS does not let hudd see the screen") as caught:
            check_permission()
        assert "Privacy & Security" in caught.value.hint


def test_before_the_permission_existed_nothing_is_asked(tmp_path: Path) -> None:
    check_permission(str(tmp_path / "none"))
    check_permission("libc.so.6")
