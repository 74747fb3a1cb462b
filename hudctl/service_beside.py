"""Another hudd beside the service: both would watch one screen, and only one of them can be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hudctl.errors import HudctlError, UsageError
from hudd.wire.endpoints import LOCK, EndpointError, runtime_dir
from hudd.wire.locks import holder


def service_folder(environ: Mapping[str, str]) -> Path:
    """The runtime folder of the service, wherever this shell's own hudd has its one.

    Raises:
        EndpointError: As `runtime_dir`.
    """
    return runtime_dir({name: value for name, value in environ.items() if name != "HUDD_RUNTIME_DIR"})


def another_hudd(environ: Mapping[str, str], service_pid: Callable[[], object]) -> HudctlError | None:
    """What to say when a hudd that is not the service's holds the lock of the service's runtime folder; else None.

    Args:
        environ: Tells the folder.
        service_pid: Asks for the main process of the service, which is None when it does not run.

    Raises:
        UsageError: There is no telling where the runtime folder is.
    """
    try:
        pid = holder(service_folder(environ) / LOCK)
    except EndpointError as error:
        raise UsageError(str(error)) from error
    if pid is None or (of_service := service_pid()) == pid:
        return None
    if not pid:
        if of_service is not None:
            return None  # the service itself, which is just starting
        return HudctlError("Another hudd is just starting or ending.", hint="Give the same command again in a moment.")
    return HudctlError(
        f"Another hudd (pid {pid}), which is not the service's, runs already, and one must not watch beside the other.",
        hint=f"End it (kill {pid}), then give the same command again.",
    )
