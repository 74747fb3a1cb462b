"""The shape of the house: floors, doors, no cycles, length. CONTRIBUTING.md tells the reasons."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("hudd", "hudctl")
    for path in sorted((ROOT / package).rglob("*.py"))
}

# Each library has one door (or one on each side of a wire); everything else asks the door.
DOORS = {
    "websockets": {"hudd.realtime.link", "hudd.engine.server"},
    "mss": {"hudd.screen.mss_source"},
    "xcffib": {"hudd.screen.x11"},
    "PIL": {
        "hudd.screen.pixels",
        "hudd.screen.pictures",
        "hudd.engine.ocr",
        "hudd.engine.picture",
        "hudd.engine.frames",
    },
    "numpy": {
        "hudd.screen.arrange",
        "hudd.screen.cropping",
        "hudd.screen.pixels",
        "hudd.screen.content",
        "hudd.engine.ocr",
        "hudd.engine.picture",
    },
    "xxhash": {"hudd.screen.pixels"},
    "zmq": {
        "hudd.bus.admission",
        "hudd.bus.crowd",
        "hudd.bus.handshakes",
        "hudd.bus.replies",
        "hudd.bus.sockets",
        "hudd.bus.publisher",
        "hudd.bus.unread",
        "hudd.bus.server",
        "hudctl.client",
        "hudctl.feed",
        "hudctl.feed_link",
        "hudctl.afeed",
        "hudctl.connection",
        "hudctl.far",
        "hudctl.keys",
        "hudctl.pieces",
        "hudd.bus.authenticator",
        "hudd.checks.machine",  # tells the version of libzmq
    },
    "sqlite3": {
        "hudd.journal.backup",
        "hudd.journal.ballast",
        "hudd.journal.changes",
        "hudd.journal.events",
        "hudd.journal.export",
        "hudd.journal.forget",
        "hudd.journal.lanes",
        "hudd.journal.money",
        "hudd.journal.opening",
        "hudd.journal.pages",
        "hudd.journal.queries",
        "hudd.journal.retention",
        "hudd.journal.salvage",
        "hudd.journal.schema",
        "hudd.journal.soundness",
        "hudd.journal.store",
        "hudd.journal.upkeep",
    },
    "dbus_fast": {"hudd.desktop.bus"},
    "keyring": {"hudd.config.keyring_program"},
    "platformdirs": {"hudd.wire.endpoints", "hudd.config.paths"},
    "tesserocr": {"hudd.engine.ocr"},
    "rapidocr": {"hudd.engine.ocr"},
    "systemd": {"hudd.service.journald"},
}

# Floors, top to bottom. A module imports from its own floor's group only within its folder, and from floors below.
COMPOSITION, FLOW, EDGES, DECISIONS, WORDS = "composition", "flow", "edges", "decisions", "words"
EDGE_MODULES = {
    "hudd.config.loader", "hudd.config.paths", "hudd.config.keys", "hudd.config.crosschecks",
    "hudd.config.key_programs", "hudd.config.keyring_program",
    "hudd.screen.mss_source", "hudd.screen.pictures", "hudd.screen.x11", "hudd.screen.pixels", "hudd.screen.choose",
    "hudd.screen.judge", "hudd.screen.content", "hudd.screen.arrange", "hudd.screen.command", "hudd.screen.grim",
    "hudd.screen.cropping",
    "hudd.screen.programs", "hudd.screen.macos", "hudd.screen.portal", "hudd.screen.pipewire", "hudd.screen.told",
    "hudd.screen.windows", "hudd.screen.tellers", "hudd.screen.x11_saver",
    "hudd.screen.sway", "hudd.screen.wayland", "hudd.screen.wayland_frames", "hudd.screen.wayland_globals",
    "hudd.screen.wayland_idle", "hudd.screen.wayland_watch", "hudd.screen.wayland_wire",
    "hudd.realtime.link",
    "hudd.engine.server", "hudd.engine.ocr", "hudd.engine.picture", "hudd.engine.reader_process", "hudd.engine.worker",
    "hudd.engine.process", "hudd.engine.command", "hudd.engine.answers", "hudd.engine.frames", "hudd.engine.runner", "hudd.engine.__main__",
}  # fmt: skip
EDGE_FOLDERS = ("hudd.journal.", "hudd.bus.", "hudd.service.", "hudd.desktop.")
DECISION_MODULES = {"hudd.config.toml_values", "hudd.config.changes"}
DECISION_FOLDERS = ("hudd.screen.", "hudd.realtime.", "hudd.notes.", "hudd.ledger.", "hudd.policy.", "hudd.engine.")
WORD_MODULES = {
    "hudd.errors",
    "hudd.child",
    "hudd.clock",
    "hudd.model",
    "hudd.config.declaring",
    "hudd.config.settings",
    "hudd.screen.source",
}
WORD_FOLDERS = ("hudd.wire.", "hudd.protocol.")
IMPURE = {"asyncio", "socket", "subprocess", "threading", "time", "random", "os", "sqlite3", "logging"}


def floor(module: str) -> str:
    """The floor a module lives on."""
    if module in {"hudd.app", "hudd.guards", "hudd.house", "hudd.redaction", "hudd.adapters", "hudd.refit", "hudd.relays", "hudd.reports", "hudd.cli",
                  "hudd.__main__"} or module.startswith("hudd.checks."):  # fmt: skip
        return COMPOSITION
    if module.startswith("hudd.flow"):
        return FLOW
    if module in WORD_MODULES or module.startswith(WORD_FOLDERS):
        return WORDS
    if module in EDGE_MODULES or module.startswith(EDGE_FOLDERS):
        return EDGES
    if module in DECISION_MODULES or module.startswith(DECISION_FOLDERS):
        return DECISIONS
    return WORDS  # package roots: empty


# A replay is a daemon's two sockets over a file. It runs the daemon's own code, which only this verb loads.
REPLAY_IMPORTS = {
    "hudctl.replay": {"hudd.clock"},
    "hudctl.replay_stage": {"hudd.bus.publisher", "hudd.bus.server", "hudd.clock"},
}

MAY_IMPORT = {
    COMPOSITION: {COMPOSITION, FLOW, EDGES, DECISIONS, WORDS},
    FLOW: {FLOW, DECISIONS, WORDS},
    EDGES: {EDGES, DECISIONS, WORDS},
    DECISIONS: {DECISIONS, WORDS},
    WORDS: {WORDS},
}


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _walk(tree: ast.AST, *, types: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not types and _is_type_checking(node):
            continue
        yield node
        yield from _walk(node, types=types)


def imports(path: Path, *, types: bool = True) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in _walk(ast.parse(path.read_text(encoding="utf-8")), types=types):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def own_imports(module: str, *, types: bool = True) -> set[str]:
    """The modules of the project that a module imports."""
    return {i for i in imports(MODULES[module], types=types) if i in MODULES and i != module}


@pytest.mark.parametrize("library", sorted(DOORS))
def test_each_library_has_its_own_door(library: str) -> None:
    users = {m for m, path in MODULES.items() if any(i.split(".")[0] == library for i in imports(path))}
    allowed = DOORS[library] | (
        {m for m in MODULES if m.startswith("hudd.service.")} if library == "systemd" else set()
    )
    assert users <= allowed, f"{library} has other doors: {sorted(users - allowed)}"
    assert users or library == "systemd", f"nobody uses {library}; close the door"


@pytest.mark.parametrize("module", sorted(m for m in MODULES if m.startswith("hudd.") and m in MODULES))
def test_imports_go_downwards_only(module: str) -> None:
    own = floor(module)
    for imported in own_imports(module):
        assert floor(imported) in MAY_IMPORT[own], f"{module} ({own}) imports {imported} ({floor(imported)})"


def test_edges_of_different_folders_do_not_see_each_other() -> None:
    for module in MODULES:
        if floor(module) != EDGES:
            continue
        folder = module.rsplit(".", 1)[0]
        for imported in own_imports(module):
            if floor(imported) == EDGES and imported != "hudd.config.keys":
                assert imported.rsplit(".", 1)[0] == folder, f"{module} imports the edge {imported}"


@pytest.mark.parametrize("module", sorted(m for m in MODULES if m.startswith("hudd.") and floor(m) == DECISIONS))
def test_decisions_are_pure(module: str) -> None:
    roots = {i.split(".")[0] for i in imports(MODULES[module])}
    assert not roots & IMPURE, f"{module} imports {sorted(roots & IMPURE)}"


def test_the_two_halves_of_the_protocol_share_only_the_vocabulary() -> None:
    for module in MODULES:
        seen = own_imports(module)
        if module.startswith("hudd.engine"):
            assert not [i for i in seen if i.startswith("hudd.realtime")], module
        if module.startswith("hudd.realtime"):
            assert not [i for i in seen if i.startswith("hudd.engine")], module


def test_hudctl_imports_only_the_contract() -> None:
    for module in MODULES:
        if module.startswith("hudctl"):
            foreign = {i for i in own_imports(module) if i.startswith("hudd")} - REPLAY_IMPORTS.get(module, set())
            assert all(i == "hudd.wire" or i.startswith("hudd.wire.") for i in foreign), (module, foreign)


def test_there_is_no_import_cycle() -> None:
    graph = {m: own_imports(m, types=False) for m in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path[path.index(module) :], module))
        if module not in done:
            for imported in sorted(graph[module]):
                visit(imported, (*path, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_module_and_no_function_is_long(module: str) -> None:
    text = MODULES[module].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400, f"{module} usually hides two things"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (node.end_lineno or 0) - (body[0].lineno if body else node.lineno) + 1
            assert length <= 60, f"{module}.{node.name} has {length} lines"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nothing_works_at_import(module: str) -> None:
    """Only definitions, imports and constants at the top of a module."""
    for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            is_exit = module.endswith("__main__") and isinstance(node.value, ast.Call)
            assert is_exit, f"{module}:{node.lineno} does something at import"
