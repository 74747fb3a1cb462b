"""Forced disconnects: every fault in every phase, and faults that must stop the daemon until a person acts."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hudd.engine.fault_mix import ANSWERS, FATAL, PHASES, SILENCES, Draw, Phase
from hudd.engine.faults import parse_fault
from tests.soak.books import State, memory_slope_kb
from tests.soak.daemon import Tried
from tests.soak.service import WORDS, Life, Script, Service

FULL = 1000
SILENT_EVERY = 25
"""A silence lasts as long as the daemon's patience, so it is played only now and then."""
OUTAGE_EVERY = 100
"""Likewise the outages in which nobody listens."""
REST_EVERY = 20
SHORT_OUTAGE_S = 1.0
SLOWEST_RETURN_S = 3.0
MOST_LATE_S = 2.0
MEMORY_KB_PER_1000 = 2000.0
STEADY_AFTER = 400
"""From so many disconnects on the slope is judged."""
KEPT_SNAPS = 1000
"""So many snaps are kept so that a repeated request gets its answer; they are asked for before memory is weighed."""
MEMORY_KB = 12_000
"""More than this is a leak however short the run."""
MOST_DESCRIPTORS_MORE = 3
LIFE_S = 60.0
"""So long a connection that shall end may live on: longer than the daemon's patience with any silence."""
WAITING = ("backing_off", "flapping")
EARLY: tuple[Phase, ...] = ("connecting", "configuring")
LATE: tuple[Phase, ...] = ("idle", "streaming")


@dataclass
class Report:
    """Figures of a run.

    Attributes:
        seed: Of the run.
        disconnects: By phase.
        returns_s: From the end of a connection to the next that is ready, for outages of at most a second.
        late_s: After longer outages, by how much the return exceeded the delay in force.
        snaps: How they ended.
        memory_kb: First and last.
        slope_kb: More memory for each thousand disconnects.
        descriptors: Fewest and most.
        curve_kb: At each rest.
        requests: Checked against the official types.
        seconds: How long it took.
    """

    seed: int
    disconnects: dict[str, int] = field(default_factory=dict)
    returns_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    snaps: dict[str, int] = field(default_factory=dict)
    memory_kb: tuple[int, int] = (0, 0)
    curve_kb: list[int] = field(default_factory=list)
    slope_kb: float = 0.0
    descriptors: tuple[int, int] = (0, 0)
    requests: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        late = f", late after longer outages at most {max(self.late_s):.2f} s" if self.late_s else ""
        return (
            f"seed {self.seed}: {sum(self.disconnects.values())} disconnects {self.disconnects} in {self.seconds:.0f} s; "
            f"back to ready p50 {percentile(self.returns_s, 50):.2f} s, p95 {percentile(self.returns_s, 95):.2f} s, "
            f"most {max(self.returns_s, default=0):.2f} s ({len(self.returns_s)} times){late}; snaps {self.snaps}; "
            f"memory {self.memory_kb[0]} -> {self.memory_kb[1]} kB ({self.slope_kb:+.0f} kB a thousand; {self.curve_kb[::4]}), "
            f"descriptors {self.descriptors[0]}..{self.descriptors[1]}; {self.requests} requests checked"
        )


def percentile(values: list[float], percent: int) -> float:
    """A percentile; the only value when there is one, 0 when there is none."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


Turn = tuple[str, tuple[str, ...]]
"""A phase, and the faults of one connection: how its answers are disturbed, and how it ends."""


def dealt(seed: int, count: int) -> list[Turn]:
    """What the connections of a run play, in order.

    An early end is always followed by a late one, in which at least one answer is completed: otherwise the daemon would
    rightly call the service flapping and wait for a minute.
    """
    draw, turns = Draw("drops", seed), []
    for number in range(count):
        silent = number % SILENT_EVERY == SILENT_EVERY // 2
        phases = EARLY if number % 2 == 0 else LATE
        phase = phases[draw.below(len(phases))]
        disturbed = ANSWERS[draw.below(len(ANSWERS))].format(n=2) if phase in LATE else ""
        silences = tuple(fault for fault in SILENCES if _is_early(fault) == (phase in EARLY))
        end = _after_an_answer(draw, draw.fault(silences if silent else PHASES[phase]))
        name = f"silent {'early' if phase in EARLY else 'late'}" if silent else phase
        turns.append((name, tuple(fault for fault in (disturbed, end) if fault)))
    return turns


def _after_an_answer(draw: Draw, fault: str) -> str:
    """The fault in the second or third answer of its connection."""
    event = parse_fault(fault).event
    if not event.startswith("response"):
        return fault
    time_ = 2 + draw.below(2)
    if event == "response.output_text.delta":
        time_ = WORDS + 1 + draw.below(2 * WORDS)
    return f"{fault.partition('#')[0]}#{time_}"


def _is_early(silence: str) -> bool:
    return parse_fault(silence).event.startswith(("session", "open"))


def run_drops(folder: Path, *, seed: int, count: int) -> Report:
    """Play disconnects and compare what everybody saw.

    Raises:
        AssertionError: Something is lost or doubled, or takes too long; names seed and phase.
    """
    report, started = Report(seed), time.monotonic()
    plan = dealt(seed, count)
    script = Script()
    with Service(script) as service, Tried(folder, service) as tried:
        for _ in range(KEPT_SNAPS if count >= STEADY_AFTER else 1):
            tried.snap()
        for position in range(0, len(plan), REST_EVERY):
            chunk = plan[position : position + REST_EVERY]
            first = len(service.lives)
            try:
                _play(tried, script, [faults for _, faults in chunk])
            except AssertionError as error:
                number = min(position + max(0, len(service.lives) - first - 1), len(plan) - 1)
                raise AssertionError(f"seed {seed}, disconnect {number} {plan[number]}: {error}") from error
            report.disconnects = dict(Counter(report.disconnects) + Counter(phase for phase, _ in chunk))
            measure(service.lives[first:], list(tried.books.states), report)
            tried.weigh()
            if (position + REST_EVERY) % OUTAGE_EVERY == 0 or position + REST_EVERY >= len(plan):
                report.late_s.append(_outage(tried, 2.0 + Draw(seed, position).below(4)))
        try:
            _large(tried, script)
            tried.check()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        _fill(report, tried)
    report.seconds = time.monotonic() - started
    return report


def judge(report: Report) -> None:
    """Compare the figures with their bars.

    Raises:
        AssertionError: One of them is passed.
    """
    assert percentile(report.returns_s, 95) <= SLOWEST_RETURN_S, report
    assert max(report.late_s, default=0.0) <= MOST_LATE_S, report
    if sum(report.disconnects.values()) >= STEADY_AFTER:
        assert report.slope_kb <= MEMORY_KB_PER_1000, report
    assert report.memory_kb[1] - report.memory_kb[0] <= MEMORY_KB, report
    assert report.descriptors[1] - report.descriptors[0] <= MOST_DESCRIPTORS_MORE, report
    assert report.snaps.get("note", 0) > sum(report.disconnects.values()) / 4, report


def restart(service: Service) -> None:
    """End the connection that is up, as a service does that is restarted."""
    service.silence()
    service.listen()


def _play(tried: Tried, script: Script, turns: list[tuple[str, ...]]) -> None:
    """Let connections play these, one after the other, and ask all the while; ends with a connection that stays."""
    service = tried.service
    first = len(service.lives)
    for faults in turns:
        script.add(*faults)
    restart(service)
    service.wait_for(lambda: len(service.lives) > first, LIFE_S, "a new connection")
    while True:
        life = service.lives[-1]
        if life.index - first >= len(turns) and life.ready:
            assert tried.snap().note is not None, "the connection without faults does not answer"
            return
        started = life.ready or life.opened
        assert time.monotonic() - started < LIFE_S, f"the daemon stays with connection {life.index}: {life.script}"
        if life.ready and life.done and "@idle" in "".join(life.script):
            service.wait_for(lambda one=life: one.ended, LIFE_S, "an end of an idle connection")
        tried.snap()


def measure(lives: list[Life], states: list[State], report: Report) -> None:
    """Add how long it took from the end of each ready connection to the next that was ready.

    A connection ended when the service saw it end, or when the daemon gave it up, whichever came first: a silence is
    seen by the daemon only. The delay in force is the one that was really drawn, as the daemon told it.
    """
    down: float | None = None
    last_end = 0.0
    for life, following in zip(lives, [*lives[1:], None], strict=True):
        end = _end(life, following, states)
        if life.ready is not None:
            if down is not None and last_end - down <= SHORT_OUTAGE_S:
                report.returns_s.append(life.ready - down)
            elif down is not None:
                report.late_s.append(life.ready - _due(states, life.opened, default=last_end))
            down = last_end = end
        else:
            last_end = end


def _end(life: Life, following: Life | None, states: list[State]) -> float:
    until = life.opened + LIFE_S if following is None else following.opened
    given_up = (s.at for s in states if s.word in WAITING and (life.ready or life.opened) < s.at <= until)
    return min([*given_up, until if life.ended is None else min(life.ended, until)])


def _due(states: list[State], opened: float, *, default: float) -> float:
    """When the try was to begin that opened a connection, as the daemon had told before."""
    told = [s.at + s.next_try_s for s in states if s.word in WAITING and s.next_try_s is not None and s.at <= opened]
    return told[-1] if told else default


def _outage(tried: Tried, seconds: float) -> float:
    """Let nobody listen for a while; returns by how much the return exceeded the delay in force."""
    service = tried.service
    service.silence()
    time.sleep(seconds)
    before = len(service.lives)
    service.listen()
    delay_s = float(tried.client.status()["next_try_s"] or 0.0)
    back = time.monotonic()
    service.wait_for(lambda: any(life.ready for life in service.lives[before:]), LIFE_S, "a return after an outage")
    assert tried.snap().note is not None, "no answer after an outage"
    ready = next(life.ready for life in service.lives[before:] if life.ready)
    return ready - back - delay_s


def _large(tried: Tried, script: Script) -> None:
    """Twenty megabytes that mean nothing; after the last weighing, for they are in memory once."""
    script.add("garbage:large")
    restart(tried.service)
    assert tried.snap().note is not None, "no answer after a large frame"
    # On a busy machine reading it may take longer than the daemon's shortest patience: then another session answers.
    assert any(life.script == ("garbage:large",) for life in tried.service.lives[-3:]), tried.service.lives[-3:]


def _fill(report: Report, tried: Tried) -> None:
    books = tried.books
    report.curve_kb = books.memory_kb
    report.snaps = dict(Counter("note" if snap.note else snap.error.partition(":")[0] for snap in books.snaps.values()))
    report.memory_kb = (books.memory_kb[0], books.memory_kb[-1])
    report.slope_kb = memory_slope_kb(books.memory_kb) * 1000 / REST_EVERY
    report.descriptors = (min(books.descriptors), max(books.descriptors))
    report.requests = tried.service.checked


# --- faults after which trying again is useless ------------------------------------------------------------------

STAYS_STOPPED_S = 1.5
"""Longer than any back-off of a first failure."""


def run_fatal(folder: Path, *, seed: int, count: int) -> list[str]:
    """Play fatal faults; returns those that were played.

    Raises:
        AssertionError: The daemon tried again by itself, said nothing, or did not come back when it was told to.
    """
    first = Draw("fatal", seed).below(len(FATAL))
    faults = [FATAL[(first + number) % len(FATAL)] for number in range(count)]
    script = Script()
    with Service(script) as service, Tried(folder, service, page_s=0) as tried:
        for fault in faults:
            try:
                _stop_and_resume(tried, script, fault)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, {fault}: {error}") from error
        tried.check()
    return faults


def _stop_and_resume(tried: Tried, script: Script, fault: str) -> None:
    service = tried.service
    assert tried.snap().note is not None, "no answer at the start"
    script.add(fault)
    restart(service)
    if fault.startswith("quota"):
        service.wait_for(lambda: service.lives[-1].ready and service.lives[-1].script, LIFE_S, "the next connection")
        assert tried.snap().error.startswith("E_UPSTREAM"), "no quota, and no word of it"
    tried.until("needs_attention", LIFE_S)
    tries = len(service.lives)
    refused = tried.snap()
    assert refused.error.startswith("E_UPSTREAM"), f"a snap ended as {refused}"
    assert refused.ended - refused.asked < 1.0, "a snap waited for a connection that nobody opens"
    time.sleep(STAYS_STOPPED_S)
    assert len(service.lives) == tries, "it tried again by itself"
    status = tried.client.status()
    assert status["connection"] == "needs_attention"
    assert status["last_errors"], "nothing is said"
    done = tried.daemon.hudctl("resume")
    assert done.returncode == 0, done.stderr
    tried.until("ready", LIFE_S)
    assert len(service.lives) == tries + 1
