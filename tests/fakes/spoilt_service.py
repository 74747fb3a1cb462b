"""Spoilt machines, the service: how systemd tells of one that does not stay up. One row for each."""

from __future__ import annotations

import os
from pathlib import Path

from hudd.checks.background import check_service
from hudd.checks.places import check_journal
from hudd.wire.endpoints import LOCK
from hudd.wire.locks import LockFile
from tests.fakes.machine import Machine
from tests.fakes.situations import Situations

SPOILT_SERVICE = Situations()
situation = SPOILT_SERVICE.row


_BEFORE = "ExecStartPre={{ path=/bin/mkdir ; argv[]=/bin/mkdir -p x ; ignore_errors=no ; code=exited ; status={} }}\n"


def _show(state: str, *, result: str = "exit-code", status: int = 0, before: int = 0) -> str:
    """What ``systemctl show`` tells of the unit, as systemd 252 does between two starts, or when it gave up."""
    return (
        f"LoadState=loaded\nActiveState={state}\nSubState={'auto-restart' if state == 'activating' else state}\n"
        f"Result={result}\nExecMainStatus={status}\nNRestarts=412\nUnitFileState=enabled\nFragmentPath=/u\nMainPID=0\n"
        f"{_BEFORE.format(before)}{_BEFORE.format(0)}"
    )


@situation(check_service, "failure", "exit code 74: storage; 412 restarts", "lines disk and journal")
def _service_that_fails_at_its_storage_again_and_again(machine: Machine) -> None:
    machine.systemctl(_show("activating", status=74))


@situation(check_service, "failure", "exit code 203: its program cannot be started", "hudctl service install")
def _service_whose_program_is_gone(machine: Machine) -> None:
    machine.systemctl(_show("activating", status=203))


@situation(
    check_service, "failure", "exit code 217: the system gives its sandbox no user", "systemctl --user edit hudd"
)
def _service_in_a_container_without_user_namespaces(machine: Machine) -> None:
    machine.systemctl(_show("activating", status=217))


@situation(
    check_service, "failure", "exit code 226: the system cannot set its sandbox up", "systemctl --user edit hudd"
)
def _service_whose_sandbox_cannot_be_made(machine: Machine) -> None:
    machine.systemctl(_show("activating", status=226))


@situation(check_service, "failure", "exit code 243: its key cannot be loaded", "--key-file FILE")
def _service_whose_credential_is_gone(machine: Machine) -> None:
    machine.systemctl(_show("activating", before=243))


@situation(check_service, "failure", "watchdog of systemd ended it; 412 restarts", "journalctl --user -u hudd")
def _service_that_stood_still(machine: Machine) -> None:
    machine.systemctl(_show("activating", result="watchdog", status=6))


@situation(check_service, "failure", "it was killed by SIGKILL", "journalctl --user -u hudd")
def _service_that_is_killed_again_and_again(machine: Machine) -> None:
    machine.systemctl(_show("activating", result="signal", status=9))


@situation(check_service, "failure", "a command that the unit runs before it failed", "journalctl --user -u hudd")
def _service_whose_state_folder_cannot_be_made(machine: Machine) -> None:
    machine.systemctl(_show("activating", before=1))


def _held(machine: Machine, lock: Path) -> None:
    """Another hudd runs; it is this process."""
    lock.parent.mkdir(mode=0o700)
    held = LockFile.take(lock)
    assert held is not None
    machine.at_the_end(held.close)


@situation(
    check_service, "failure", "exit code 69: another hudd runs; 412 restarts", f"kill {os.getpid()}; systemd then"
)
def _service_beside_a_hudd_that_runs_by_hand(machine: Machine) -> None:
    _held(machine, machine.run_dir / LOCK)
    machine.systemctl(_show("activating", status=69))


@situation(check_service, "failure", "exit code 69: another hudd runs).", "then run: systemctl --user start hudd")
def _service_that_gave_up_beside_another_hudd(machine: Machine) -> None:
    machine.systemctl(_show("failed", status=69))


@situation(check_service, "failure", "exit code 69: another hudd runs; 412 restarts", f"other hudd: kill {os.getpid()}")
def _service_beside_a_hudd_with_another_runtime_folder(machine: Machine) -> None:
    _held(machine, machine.state / "journal.lock")
    machine.systemctl(_show("activating", status=69))


@situation(check_journal, "failure", f"Another hudd (pid {os.getpid()}) writes into", f"End it: kill {os.getpid()}")
def _journal_of_a_hudd_with_another_runtime_folder(machine: Machine) -> None:
    _held(machine, machine.state / "journal.lock")
