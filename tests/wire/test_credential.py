from __future__ import annotations

from pathlib import Path

import pytest

from hudd.wire.credential import Credential, find_credential


def units(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / f"{number}.conf" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("LoadCredential=realtime-key:/a b/key", "/a b/key"),
        (" LoadCredential = realtime-key:%h/50%% mine ", "/home/me/50% mine"),
        ("LoadCredential=realtime-key", None),
        ("LoadCredential=realtime-key:of-the-system", None),
        ("LoadCredentialEncrypted=realtime-key:/a/key", None),
        ("SetCredential=realtime-key:/a/key", None),
        ("SetCredentialEncrypted=realtime-key: Whxqht+dQJax1aZeCGLxm", None),
    ],
)
def test_each_kind_of_line_is_known(tmp_path: Path, line: str, file: str | None) -> None:
    (unit,) = units(tmp_path, f"[Service]\n{line}\n")
    assert find_credential([unit], "/home/me") == Credential(None if file is None else Path(file), unit)


def test_the_last_one_counts_and_an_empty_one_takes_back(tmp_path: Path) -> None:
    first, second, empty = units(
        tmp_path,
        "LoadCredential=realtime-key:/first\nLoadCredential=other:/other\n",
        "#LoadCredential=realtime-key:/comment\nLoadCredential=realtime-key:/second\n",
        "LoadCredential=\n",
    )
    assert find_credential([first], "") == Credential(Path("/first"), first)
    assert find_credential([first, second], "") == Credential(Path("/second"), second)
    assert find_credential([first, second, empty], "") is None
    assert find_credential([empty, first, tmp_path / "absent"], "") == Credential(Path("/first"), first)
