from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudctl import service_text
from hudd.service.drop_ins import OURS, loosened, shows_key

UNIT = Path(__file__).parents[2] / "packaging/systemd/hudd.service"


@pytest.mark.parametrize(
    "line",
    [
        "NoNewPrivileges=no",
        "PrivateUsers=false",
        "RestrictNamespaces=user mnt",
        "ProtectSystem=full",
        "ProtectHome=no",
        "ProtectProc=default",
        "DevicePolicy=auto",
        "DeviceAllow=/dev/dri rw",
        "KeyringMode=inherit",
        "ReadWritePaths=%h/x",
        "BindPaths=/x",
        "CapabilityBoundingSet=CAP_NET_ADMIN",
        "AmbientCapabilities=CAP_NET_ADMIN",
        "RestrictAddressFamilies=AF_BLUETOOTH",
        "SystemCallFilter=",
        "SystemCallFilter=@privileged",
        "LimitCORE=infinity",
        "MemoryMax=infinity",
        "UMask=0022",
        "MemoryDenyWriteExecute = no",
    ],
)
def test_what_takes_away_from_the_sandbox_is_seen(line: str) -> None:
    assert loosened(f"[Service]\n{line}\n") == (line.replace(" = ", "="),)
    assert loosened(f"[Unit]\n{line}\n") == ()
    assert loosened(f"[Service]\n# {line}\n; {line}\n") == ()


@pytest.mark.parametrize(
    "line",
    [
        "NoNewPrivileges=true",
        "ProtectHome=tmpfs",
        "ProtectSystem=strict",
        "SystemCallFilter=~@mount",
        "RestrictAddressFamilies=none",
        "RestrictAddressFamilies=~AF_INET6",
        "CapabilityBoundingSet=",
        "ReadWritePaths=",
        "MemoryMax=4G",
        "Nice=5",
        "Environment=A=ProtectHome=no",
        "words",
    ],
)
def test_what_takes_nothing_away_is_not(line: str) -> None:
    assert loosened(f"[Service]\n{line}\n") == ()


def test_the_shipped_unit_loosens_only_what_it_must_by_its_own_measure() -> None:
    allowed = ("ReadWritePaths=-%h/.local/state/hudd", "RestrictAddressFamilies=", "SystemCallFilter=")
    assert not [line for line in loosened(UNIT.read_text()) if not line.startswith(allowed)]


@pytest.mark.parametrize("name", service_text.LOOSEN)
def test_every_shipped_drop_in_is_seen_to_loosen(name: str) -> None:
    text = service_text.drop_in(f"loosen/{name}.conf")
    assert text.startswith(OURS)
    keys = re.findall(r"^(\w+)=", text, re.MULTILINE)
    assert set(keys) - {"SystemCallFilter"} <= {line.partition("=")[0] for line in loosened(text)}


def test_a_line_that_goes_on_is_one() -> None:
    assert loosened("[Service]\nReadWritePaths=/a \\\n /b\n") == ("ReadWritePaths=/a   /b",)


def test_a_key_in_the_environment_is_seen() -> None:
    assert shows_key('[Service]\nEnvironment="HUDD_REALTIME_KEY=sk"\n')
    assert shows_key("[Service]\nEnvironment=A=1 OPENAI_API_KEY=sk\n")
    assert not shows_key("[Service]\nEnvironment=HUDD_REALTIME_USE=service\nLoadCredential=realtime-key:/k\n")


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    loosened(f"[Service]\n{text}")
    shows_key(text)
