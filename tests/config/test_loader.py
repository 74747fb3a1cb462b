from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hudd.cli import main
from hudd.config import loader, paths
from hudd.config.loader import Loaded, default_toml, describe, load
from hudd.config.settings import Settings
from hudd.config.toml_values import all_keys, to_toml
from hudd.errors import EXIT_SETTINGS, SettingsError

RUN = {"HUDD_RUNTIME_DIR": "/run/x"}


def from_toml(tmp_path: Path, text: str | bytes, environ: dict[str, str] | None = None, **flags: object) -> Loaded:
    file = tmp_path / "config.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    named = {path.replace("__", "."): value for path, value in flags.items()}
    return load(config=file, environ={**RUN, **(environ or {})}, flags=named)


def mistakes(
    tmp_path: Path, text: str | bytes, environ: dict[str, str] | None = None, **flags: object
) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        from_toml(tmp_path, text, environ, **flags)
    assert caught.value.exit_code == EXIT_SETTINGS
    return caught.value.problems


def test_without_anything_there_are_defaults(tmp_path: Path):
    loaded = load(config=None, environ={**RUN, "XDG_CONFIG_HOME": str(tmp_path)}, flags={})
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}
    assert set(loaded.origins) == set(all_keys())
    assert loaded.file is None
    assert loaded.notes == (f"There is no settings file at {tmp_path}/hudd/config.toml; defaults are used.",)


def test_flags_before_environment_before_file_before_default(tmp_path: Path):
    text = "[gate]\nsettle_s = 1\nmin_interval_s = 1\nmin_tiles = 1\n"
    environ = {"HUDD_GATE_MIN_INTERVAL_S": "2", "HUDD_GATE_MIN_TILES": "2"}
    loaded = from_toml(tmp_path, text, environ, gate__min_tiles=3, log__level=None)
    gate = loaded.settings.gate
    assert (gate.settle_s, gate.min_interval_s, gate.min_tiles, gate.luma_step) == (1.0, 2.0, 3, 16)
    origins = [loaded.origins[f"gate.{name}"] for name in ("settle_s", "min_interval_s", "min_tiles", "luma_step")]
    assert origins == ["file", "HUDD_GATE_MIN_INTERVAL_S", "flag", "default"]
    assert loaded.origins["log.level"] == "default", "a flag of None was not given"
    assert loaded.file == tmp_path / "config.toml"
    assert loaded.notes == ()


def test_the_usual_file_is_read_and_can_be_moved(tmp_path: Path):
    (tmp_path / "hudd").mkdir()
    (tmp_path / "hudd/config.toml").write_text('log.level = "debug"')
    assert load(config=None, environ={**RUN, "XDG_CONFIG_HOME": str(tmp_path)}, flags={}).settings.log.level == "debug"
    (tmp_path / "other.toml").write_text('[log]\nlevel = "error"')
    environ = {**RUN, "HUDD_CONFIG": str(tmp_path / "other.toml")}
    assert load(config=None, environ=environ, flags={}).settings.log.level == "error"


def test_flags_may_be_texts_or_values(tmp_path: Path):
    loaded = from_toml(tmp_path, "", gate__settle_s="0.25", screen__monitors="a,b", picture__quality=80)
    assert loaded.settings.gate.settle_s == 0.25
    assert loaded.settings.screen.monitors == ("a", "b")
    assert loaded.settings.picture.quality == 80


def test_all_mistakes_are_told_at_once(tmp_path: Path):
    text = """
        quality = 3
        gate = 4
        colour = 1
        [realtme]
        use = "local"
        [realtime]
        use = "servce"
        modle = "x"
        settle_s = 1
        model = 5
        url = "ws://example.com/"
        [journal]
        zzz = 1
    """
    environ = {"HUDD_LOG_LEVEl": "x", "HUDD_LOG_LEVEL": "loud", "HUDD_ZZZ": "", "HUDD_STATE_DIR": "here"}
    environ |= {"HUDD_GATE_FOO": "1", "HUDD_GATE_SETLE_S": "1", "HUDD_REALTIME_KYE": "1"}
    file = tmp_path / "config.toml"
    assert mistakes(tmp_path, text, environ, cost__cap_day_usd=-1, gate__setle_s=1) == (
        f'"quality" stands outside of a section in {file}; put it under [picture].',
        f"gate in {file} is 4; it must be a section: write [gate] and its keys below.",
        f"{file} has an unknown section [colour].",
        f"{file} has an unknown section [realtme]; did you mean realtime?",
        f'[realtime] use in {file} is "servce"; it must be one of "local", "service"; did you mean service?',
        f"{file} has an unknown key modle in [realtime]; did you mean model?",
        f"{file} has an unknown key settle_s in [realtime]; did you mean settle_s in [gate]?",
        f"[realtime] model in {file} is 5; it must be a text in quotes.",
        f"{file} has an unknown key zzz in [journal].",
        "The environment variable HUDD_GATE_FOO is unknown; unset it.",
        "The environment variable HUDD_GATE_SETLE_S is unknown; did you mean HUDD_GATE_SETTLE_S?",
        'HUDD_LOG_LEVEL is "loud"; it must be one of "debug", "info", "warning", "error".',
        "The environment variable HUDD_LOG_LEVEl is unknown; did you mean HUDD_LOG_LEVEL?",
        "The environment variable HUDD_REALTIME_KYE is unknown; did you mean HUDD_REALTIME_KEY?",
        "The environment variable HUDD_ZZZ is unknown; unset it.",
        "--cost-cap-day-usd is -1; it must be a number from 0 to 1000.",
        'There is no setting "gate.setle_s"; did you mean gate.settle_s?',
        "HUDD_STATE_DIR is 'here', which is no absolute path; give one that starts with a slash.",
        '[realtime] url would send pictures and key to "example.com" unencrypted; use wss:// there.',
    )


def test_invalid_toml_names_line_and_column_and_hides_no_other_mistake(tmp_path: Path):
    syntax, level = mistakes(tmp_path, "[log]\nlevel = debug\n", {"HUDD_LOG_LEVEL": "loud"})
    assert syntax.startswith(f"The settings file {tmp_path}/config.toml is not valid TOML: ")
    assert "(at line 2, column 9); correct it there." in syntax
    assert level.startswith("HUDD_LOG_LEVEL is")


def test_a_named_file_must_exist(tmp_path: Path):
    absent = tmp_path / "absent.toml"
    with pytest.raises(SettingsError, match=f"{absent} that --config names does not exist; correct the path"):
        load(config=absent, environ=RUN, flags={})
    with pytest.raises(SettingsError, match=f"{absent} that HUDD_CONFIG names does not exist"):
        load(config=None, environ={**RUN, "HUDD_CONFIG": str(absent)}, flags={})
    with pytest.raises(SettingsError, match=r"HUDD_CONFIG is 'absent\.toml', which is no absolute path"):
        load(config=None, environ={**RUN, "HUDD_CONFIG": "absent.toml"}, flags={})


def test_files_that_are_none_are_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load(config=tmp_path, environ=RUN, flags={})
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingsError, match="is a pipe or a device; name a TOML file"):
        load(config=tmp_path / "pipe", environ=RUN, flags={})
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be read: Not a directory; correct its path"):
        load(config=tmp_path / "file/config.toml", environ=RUN, flags={})
    with pytest.raises(SettingsError, match="cannot be read: embedded null byte"):
        load(config=Path("/a\0b"), environ=RUN, flags={})
    with pytest.raises(SettingsError, match="larger than 1 MiB"):
        load(config=Path("/dev/zero"), environ=RUN, flags={})
    assert load(config=Path("/dev/null"), environ=RUN, flags={}).settings == Settings()


def test_an_unreadable_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(paths.os, "open", refuse)
    with pytest.raises(SettingsError, match="cannot be read: Permission denied; correct its path or its permissions"):
        load(config=tmp_path / "config.toml", environ=RUN, flags={})


def test_other_encodings_are_told_and_a_byte_order_mark_is_not_minded(tmp_path: Path):
    assert "is not UTF-8 text (byte 13)" in mistakes(tmp_path, b"[log]\nlevel='\xff'")[0]
    assert from_toml(tmp_path, '\ufeff[log]\nlevel = "error"').settings.log.level == "error"


def test_deep_nesting_is_told(tmp_path: Path):
    assert "is not valid TOML" in mistakes(tmp_path, "[log]\nlevel = " + "[" * 100_000)[0]


def test_very_many_mistakes_are_cut(tmp_path: Path):
    found = mistakes(tmp_path, "\n".join(f"[section{number}]" for number in range(5000)))
    assert len(found) == 51
    assert found[-1] == "There are 4950 more mistakes after these."


def test_a_socket_path_that_is_too_long_is_told_at_once(tmp_path: Path):
    assert "bytes and this system allows" in mistakes(tmp_path, "", {"HUDD_RUNTIME_DIR": "/" + "x" * 200})[0]


def test_a_folder_that_is_unsafe_is_not_a_mistake_in_the_settings(tmp_path: Path):
    (tmp_path / f"hudd-{os.getuid()}").mkdir(mode=0o777)
    environ = {"TMPDIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    assert load(config=None, environ=environ, flags={}).settings == Settings()


def test_known_variables_of_other_purpose_are_let_be(tmp_path: Path):
    environ = {"HUDD_STATE_DIR": "/s", "HUDD_REALTIME_KEY": "", "HUDD_DOSE": "1", "HUDDLE": "1", "PATH": "/bin"}
    assert from_toml(tmp_path, "", environ).settings == Settings()


def test_our_own_key_chooses_the_service(tmp_path: Path):
    loaded = from_toml(tmp_path, "", {"HUDD_REALTIME_KEY": "sk-secret-1"})
    assert loaded.settings.realtime.use == "service"
    assert loaded.origins["realtime.use"] == "HUDD_REALTIME_KEY"
    assert "so the service answers" in loaded.notes[0]
    assert "sk-secret" not in "".join(loaded.notes) + str(describe(loaded))


def test_nobody_elses_key_does(tmp_path: Path):
    loaded = from_toml(tmp_path, "", {"OPENAI_API_KEY": "sk-secret-1"})
    assert (loaded.settings.realtime.use, loaded.origins["realtime.use"]) == ("local", "default")


@pytest.mark.parametrize("place", ["file", "HUDD_REALTIME_USE", "flag"])
def test_a_setting_goes_before_our_own_key(tmp_path: Path, place: str):
    text = '[realtime]\nuse = "local"' if place == "file" else ""
    environ = {"HUDD_REALTIME_KEY": "sk-1"} | ({place: "local"} if place.startswith("HUDD") else {})
    loaded = from_toml(tmp_path, text, environ, realtime__use="local" if place == "flag" else None)
    assert (loaded.settings.realtime.use, loaded.origins["realtime.use"]) == ("local", place)
    assert loaded.notes == ('HUDD_REALTIME_KEY is set, but [realtime] use is "local": the key is not used.',)


def test_describe_tells_every_setting(tmp_path: Path):
    rows = describe(from_toml(tmp_path, '[screen]\nmonitors = ["eDP-1"]'))
    assert [row["name"] for row in rows] == list(all_keys())
    (monitors,) = [row for row in rows if row["name"] == "screen.monitors"]
    assert monitors["value"] == ["eDP-1"]
    assert monitors["default"] == []
    assert monitors["origin"] == "file"
    assert monitors["doc"]


def test_secrets_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import dataclasses

    keys = dict(all_keys())
    keys["realtime.model"] = dataclasses.replace(keys["realtime.model"], secret=True)
    monkeypatch.setattr(loader, "all_keys", lambda: keys)
    loaded = from_toml(tmp_path, '[realtime]\nmodel = "hunter2"')
    assert "hunter2" not in str(describe(loaded))
    assert "(hidden)" in str(describe(loaded))
    (problem,) = mistakes(tmp_path, '[realtime]\nmodel = ["hunter2"]')
    assert "is (hidden); it must be" in problem


def test_the_default_file_holds_every_key_and_changes_nothing(tmp_path: Path):
    text = default_toml()
    assert from_toml(tmp_path, text).settings == Settings()
    assert max(len(line) for line in text.splitlines()) <= 120
    enabled = "\n".join(
        line.removeprefix("# ") if line.startswith("# ") and " = " in line and line.split()[1] in ALL_NAMES else line
        for line in text.splitlines()
    )
    loaded = from_toml(tmp_path, enabled)
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"file"}
    for key in all_keys().values():
        assert key.doc in _joined(text)


def _joined(text: str) -> str:
    return " ".join(line.removeprefix("# ") for line in text.splitlines())


ALL_NAMES = {key.name for key in all_keys().values()}
TOML_VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["service", "local", "debug", "png", "pictures:/x", "1979-05-27"]),
    st.lists,
    max_leaves=5,
)


@examples(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(sorted(all_keys())), TOML_VALUES, max_size=6))
def test_any_toml_value_for_any_key_loads_or_gives_sentences(tmp_path: Path, values: dict[str, object]):
    text = "\n".join(f"{path} = {to_toml(value)}" for path, value in values.items())
    tomllib.loads(text)
    loads_or_tells(tmp_path, text.encode(), {})


@examples(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary() | st.text().map(lambda text: text.encode(errors="surrogatepass")))
def test_any_file_loads_or_gives_sentences(tmp_path: Path, content: bytes):
    loads_or_tells(tmp_path, content, {})


@examples(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from([key.variable for key in all_keys().values()]) | st.text().map(lambda text: f"HUDD_{text}"),
        st.text(),
        max_size=4,
    )
)
def test_any_environment_loads_or_gives_sentences(tmp_path: Path, environ: dict[str, str]):
    loads_or_tells(tmp_path, b"", environ)


def loads_or_tells(tmp_path: Path, content: bytes, environ: dict[str, str]) -> None:
    try:
        from_toml(tmp_path, content, environ)
    except SettingsError as error:
        sentences = error.problems or ("",)
    else:
        return
    for sentence in sentences:
        assert sentence.endswith((".", "?")), sentence
        assert "\n" not in sentence, sentence
        assert len(sentence) < 600


def test_the_variable_of_the_tests_is_never_suggested(tmp_path: Path):
    for name in ("HUDD_DOES", "HUDD_DOSES", "HUDD_DOZE"):
        assert "HUDD_DOSE?" not in mistakes(tmp_path, "", {name: "1"})[0]


def test_a_check_between_settings_names_the_variable_that_set_the_value(tmp_path: Path):
    (told,) = mistakes(tmp_path, "[gate]\nmax_settle_s = 2", {"HUDD_GATE_SETTLE_S": "9"})
    assert told.startswith("[gate] max_settle_s is 2 and HUDD_GATE_SETTLE_S is 9;")


def test_a_setting_that_is_given_as_an_option_is_told_how(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["--screen-source", "pictures:/a"],
        ["--screen-source=pictures:/a"],
        ["--check", "--screen-source", "x"],
    ):
        assert main(words) == 64
        assert capsys.readouterr().err.endswith(
            "hudd: error: --screen-source is a setting, no option; set HUDD_SCREEN_SOURCE, or write source under [screen]"
            " into the settings file.\n"
        )
    assert main(["gate", "--screen-source"]) == 64
    assert "is a setting" not in capsys.readouterr().err
