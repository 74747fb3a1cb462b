"""``python -m hudd.checks``: one JSON object a line for each finding; `hudctl doctor` reads them as they come."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from typing import Final, NoReturn

from hudd.checks.background import check_service
from hudd.checks.configured import check_hosts, check_prices, check_profile, check_settings
from hudd.checks.confinement import check_sandbox
from hudd.checks.display import check_display
from hudd.checks.endpoint import check_endpoint, check_key
from hudd.checks.finding import Context, Finding, failure, gather
from hudd.checks.machine import check_disk, check_extras, check_libraries, check_limits, check_python, check_reading
from hudd.checks.places import check_folder, check_journal, check_sockets
from hudd.checks.privacy import check_privacy
from hudd.checks.runner import CHECK_S, Check, run_checks
from hudd.wire.installation import Installation

CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("python", check_python),
    ("libraries", check_libraries),
    ("extras", check_extras),
    ("settings", check_settings),
    ("profile", check_profile),
    ("prices", check_prices),
    ("folder", check_folder),
    ("sockets", check_sockets),
    ("service", check_service),
    ("sandbox", check_sandbox),
    ("display", check_display),
    ("privacy", check_privacy),
    ("reading", check_reading),
    ("key", check_key),
    ("endpoint", check_endpoint),
    ("disk", check_disk),
    ("journal", check_journal),
    ("limits", check_limits),
    ("hosts", check_hosts),
)


def main() -> None:
    """Run the checks, print them, and end at once, whatever still hangs."""
    parser = argparse.ArgumentParser(prog="python -m hudd.checks")
    parser.add_argument("--service", action="store_true", help="look at the service's endpoint although it is not used")
    parser.add_argument("--spend", action="store_true", help="make one small request that costs money")
    parser.add_argument("--within", type=float, default=CHECK_S, metavar="SECONDS", help="how long a check may take")
    parser.add_argument("--seen-by", default="", metavar="BACKEND", help="how the running hudd sees the screen")
    parser.add_argument("--settings", action="store_true", help="only print every setting, secrets hidden")
    parser.add_argument("--engine", action="store_true", help="only show the local engine a picture")
    arguments = parser.parse_args()
    logging.getLogger("hudd").addHandler(logging.NullHandler())  # what is found is told as a finding
    try:
        context = gather(service=arguments.service, spend=arguments.spend, seen_by=arguments.seen_by)
    except ImportError as error:
        _print(
            failure(
                "libraries",
                f"A library is missing: {error}.",
                f"Install hudd again: {Installation.find().reinstall()}",
            )
        )
        _end()
    if arguments.settings:
        _print_settings(context)
        _end()
    if arguments.engine:
        from hudd.checks.question import check_engine  # noqa: PLC0415 - loads what the daemon needs

        checks: tuple[tuple[str, Check], ...] = (("engine", check_engine),)
    else:
        checks = CHECKS
    for found in run_checks(checks, context, seconds=arguments.within):
        _print(found)
    _end()


def _print_settings(context: Context) -> None:
    from hudd.config.loader import describe  # noqa: PLC0415 - needs platformdirs
    from hudd.config.paths import config_file  # noqa: PLC0415 - beside it
    from hudd.errors import SettingsError  # noqa: PLC0415 - beside it

    told: dict[str, object] = {"problems": list(context.problems)}
    if context.loaded is not None:
        told["settings"] = describe(context.loaded)
    try:
        told["file"] = str(config_file(context.environ))
    except SettingsError:
        told["file"] = ""
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")


def _print(found: Finding) -> None:
    sys.stdout.write(json.dumps(found.to_json(), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _end() -> NoReturn:
    sys.stdout.flush()
    os._exit(0)  # a thread may hang in a call that never returns


if __name__ == "__main__":
    main()
