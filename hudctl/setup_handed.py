"""The key that systemd hands to the service, in ``hudctl setup``: no other is looked for, so a new one goes there."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hudctl.errors import HudctlError
from hudctl.service import run_command
from hudctl.service_text import MARK, key_drop_in, key_line
from hudctl.setup_files import write_whole

if TYPE_CHECKING:
    from hudctl.setup import Setup  # it hands itself over; at run time this module does not know it
    from hudd.wire.credential import Credential

_THEN: Final = "then run: systemctl --user daemon-reload && hudctl service restart"


def handed_in(run: Setup) -> Path | None:
    """The file of the service's credential, where a key is to be written; None when the service has none.

    Raises:
        HudctlError: There is one, and it cannot be written here.
    """
    handed = _handed(run)
    if handed is None:
        return None
    if handed.file is None:
        raise HudctlError(
            f"systemd hands the service its key by {handed.said_in}, where only systemd can put a new one.",
            hint=f"Put it there as you did the first time, or take that line out; {_THEN}",
        )
    try:
        found = handed.file.stat()
    except FileNotFoundError:
        return handed.file
    except OSError as error:
        raise HudctlError(
            f"systemd hands the service its key from {handed.file}, which cannot be looked at: {error.strerror}.",
            hint="Correct its owner or mode, then run setup again.",
        ) from error
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
        raise HudctlError(
            f"systemd hands the service its key from {handed.file}, which is no plain file of yours.",
            hint="Put the key there yourself and run: hudctl service restart; or name a file of your own: hudctl "
            "service install --key-file FILE",
        )
    return handed.file


def hand_over(run: Setup, file: Path) -> None:
    """Let the service have its key from another file, where systemd hands it one.

    Raises:
        HudctlError: A person's own drop-in names the old one, or ours cannot be written.
    """
    handed = _handed(run)
    if handed is None or (handed.file is not None and os.path.realpath(handed.file) == os.path.realpath(file)):
        return
    if not _is_ours(handed.said_in):
        raise HudctlError(
            f"systemd hands the service its key by {handed.said_in}, which goes before the settings.",
            hint=f"Let that line be {key_line(file)}, {_THEN}",
        )
    write_whole(handed.said_in, key_drop_in(file), private=True)
    run_command(("systemctl", "--user", "daemon-reload"))
    run.done.append(f"The service has its key from {file} from its next start on.")


def refuse_keyring(run: Setup) -> None:
    """A key in the keyring would never be read.

    Raises:
        HudctlError: systemd hands the service a key.
    """
    handed = _handed(run)
    if handed is not None:
        how = f"Remove {handed.said_in}" if _is_ours(handed.said_in) else f"Take that line out of {handed.said_in}"
        raise HudctlError(
            f"systemd hands the service its key by {handed.said_in}, which goes before the keyring.",
            hint=f"{how} and run: systemctl --user daemon-reload; then run setup again.",
        )


def _handed(run: Setup) -> Credential | None:
    if run.installed is None or os.environ.get("HUDD_RUNTIME_DIR"):
        return None  # a hudd in a folder of its own is not the service
    return run.installed.key


def _is_ours(path: Path) -> bool:
    try:
        return path.read_text(encoding="utf-8", errors="replace").startswith(MARK)
    except OSError:  # only root may read it
        return False
