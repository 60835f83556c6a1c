from __future__ import annotations

import math
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from stupid_dagster.errors import SettingsError
from stupid_dagster.settings import SETTINGS, Settings, load_settings


def load(root: Path, toml: str = "", env: dict[str, str] | None = None, **flags: Any) -> Settings:
    (root / "stupid.toml").write_text(toml, encoding="utf-8")
    return load_settings(root, overrides=flags, environment=env or {})


def problems(root: Path, *args: Any, **flags: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(root, *args, **flags)
    first, *lines = str(caught.value).splitlines()
    assert first == "settings can't be used:"
    return [line.removeprefix("  - ") for line in lines]


def test_defaults_without_a_file(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, environment={})
    assert settings == Settings(root=tmp_path)
    assert settings.sources == {}
    assert settings.path(settings.landing) == tmp_path / "data" / "landing"


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    toml = 'window_days = 10\nseed = 1\napi_port = 1\nlanding = "x"\n'
    env = {"STUPID_WINDOW_DAYS": "20", "STUPID_SEED": "2", "OTHER": "1"}
    settings = load(tmp_path, toml, env, window_days=5, api_port=None)
    assert (settings.window_days, settings.seed, settings.api_port) == (5, 2, 1)
    assert settings.sources == {
        "window_days": "flag",
        "seed": "environment",
        "api_port": "stupid.toml",
        "landing": "stupid.toml",
    }
    assert settings.max_clusters == 20


def test_tables_of_the_file_are_prefixes(tmp_path: Path) -> None:
    settings = load(tmp_path, "[api]\nport = 9\n[graph]\nengine = 'ladybug'\n")
    assert (settings.api_port, settings.graph_engine) == (9, "ladybug")


def test_values_get_their_types_from_the_file_and_from_text(tmp_path: Path) -> None:
    toml = 'partitions_start = 2013-01-11\ndata_root = "lake"\nreject_share = 0\n'
    env = {"STUPID_PARTITIONS_END": "2013-02-09", "STUPID_GARBAGE_MINUTES": "0.5"}
    settings = load(tmp_path, toml, env)
    assert settings.partitions_start == date(2013, 1, 11)
    assert settings.partitions_end == date(2013, 2, 9)
    assert settings.lake_location == tmp_path / "lake"
    assert isinstance(settings.garbage_minutes, float)


def test_all_problems_are_told_at_once_with_where_and_hints(tmp_path: Path) -> None:
    toml = 'window_day = 3\nseed = "many"\npartitions_start = "yesterday"\n[api]\nports = 1\n'
    found = problems(tmp_path, toml, {"STUPID_KEPT_WINDOWS": "0"}, log_format="xml")
    assert len(found) == 6
    for part in (
        "stupid.toml: no setting is named 'window_day' (did you mean 'window_days'?)",
        "stupid.toml: no setting is named 'api_ports' (did you mean 'api_port'?)",
        "stupid.toml: seed = 'many': ",
        "stupid.toml: partitions_start = 'yesterday': ",
        "environment: kept_windows = '0': must be at least 1",
        "flag: log_format = 'xml': Input should be 'console' or 'json'",
    ):
        assert any(problem.startswith(part) for problem in found), (part, found)


RANGES = {name: f.metadata["range"] for name, f in SETTINGS.items()}


@pytest.mark.parametrize("name", [n for n, (low, _) in RANGES.items() if low is not None])
def test_no_number_may_be_out_of_its_range(tmp_path: Path, name: str) -> None:
    low, high = RANGES[name]
    # The bundled embedder has no use for what the others do with.
    toml = 'embedder_backend = "ollama"\nembedder_model = "m"\n'
    assert getattr(load(tmp_path, f"{toml}{name} = {low}\n"), name) == low
    assert problems(tmp_path, f"{name} = {low - 1}\n")[0].startswith(
        f"stupid.toml: {name} = {low - 1}: must be at least {low}"
    )
    assert problems(tmp_path, f"{name} = {high + 1}\n")
    for odd in (math.nan, math.inf):
        assert problems(tmp_path, **{name: odd})


def test_numbers_have_ranges() -> None:
    types = ("int", "float", "int | None", "float | None")
    numbers = {f.name for f in fields(Settings) if f.type in types}
    assert numbers == {name for name, (low, _) in RANGES.items() if low is not None}


def test_every_setting_has_help() -> None:
    assert all(field.metadata["help"].endswith(".") for field in SETTINGS.values())
    assert {"root", "sources"}.isdisjoint(SETTINGS)


def test_a_key_is_told_in_no_error(tmp_path: Path) -> None:
    for toml in ("api_key = 12345678", "api_key = ['12345678']", "[api]\nkey = 12345678"):
        [problem] = problems(tmp_path, toml)
        assert "api_key" in problem and "valid string" in problem and "12345678" not in problem


@pytest.mark.parametrize("name", ["root", "sources"])
def test_internal_fields_are_no_settings(tmp_path: Path, name: str) -> None:
    assert "no setting is named" in problems(tmp_path, f'{name} = "x"\n')[0]


@pytest.mark.parametrize(
    ("toml", "part"),
    [
        ("partitions_start = 2013-02-09\npartitions_end = 2013-02-08", "partitions_end"),
        ('api_key = " "', "api_key is empty"),
        ('landing = "data/lake/in"', "neither may lie in the other"),
        ("embedder_dimensions = 8", "embedder_backend = bundled has no use for"),
        ("[embedder]\nbackend = 'onnx'\nmodel = 'm'\nurl = 'http://x'", "embedder_url is set"),
        ("[embedder]\nbackend = 'ollama'", "embedder_model must name"),
        ("[embedder]\nbackend = 'openai'\nmodel = 'm'\npooling = 'cls'", "embedder_pooling is"),
        ('data_root = "data/landing/lake"', "neither may lie in the other"),
        ('landing = "data/../data/lake"', "neither may lie in the other"),
        *(
            (f"landing = '{url}'\ndata_root = 's3://b/lake'", "neither may lie in the other")
            for url in ("s3a://b/lake", "simplecache::s3://b/lake/x", "S3://b", "s3://b//lake/")
        ),
        ("landing = 'file:///a/../b/x'\ndata_root = '/b'", "neither may lie in the other"),
        ("landing = 'data'\ndata_root = 's3://b/lake'", "workplace = "),
        ("landing = 'data/workplace/x'\ndata_root = 's3://b/lake'", "workplace = "),
        ("inbox = 'data/workplace'\ndata_root = 's3://b/lake'", "nor have it in it"),
        ("inbox = 's3a://b/lake/x'\ndata_root = 's3://b/lake'", "inbox = s3a://b/lake/x"),
        ("llm_prices = {openai = [1, 2]}", "name a model as provider/model"),
        (
            "llm = ['ollama']\nllm_ollama_model = 'm'\nllm_run_cost = 1",
            'add "ollama/m" = [dollars per million tokens of prompts, of answers] to [llm_prices]',
        ),
    ],
)
def test_settings_that_contradict_each_other(tmp_path: Path, toml: str, part: str) -> None:
    [problem] = problems(tmp_path, toml)
    assert part in problem


def test_a_lake_in_a_folder_has_no_use_for_the_workplace(tmp_path: Path) -> None:
    assert load(tmp_path, 'landing = "data"\ndata_root = "lake"').workplace


PRICES = {"openai/m": (1, 2.5), "ollama/m:8b": (0, 0)}


@pytest.mark.parametrize("table", ["[llm_prices]", "[llm]\nseconds = 9\n[llm.prices]"])
def test_prices_are_a_table_of_the_file(tmp_path: Path, table: str) -> None:
    settings = load(tmp_path, f'{table}\n"openai/m" = [1, 2.5]\n"ollama/m:8b" = [0, 0]\n')
    assert settings.llm_prices == PRICES


def test_prices_are_json_in_the_environment(tmp_path: Path) -> None:
    env = {"STUPID_LLM_PRICES": '{"openai/m": [1, 2.5], "ollama/m:8b": [0, 0]}'}
    assert load(tmp_path, "", env).llm_prices == PRICES


@pytest.mark.parametrize("price", ["[1]", "[-1, 1]", "[1, nan]", "[1, inf]", "3"])
def test_prices_are_two_amounts(tmp_path: Path, price: str) -> None:
    [problem] = problems(tmp_path, f'[llm_prices]\n"openai/m" = {price}\n')
    assert problem.startswith("stupid.toml: llm_prices = ") and ": openai/m: " in problem


@pytest.mark.parametrize(
    "content", [b"window_days = ", b"\xff\xfe", b"window_days = 1\nwindow_days = 2"]
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "stupid.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"stupid\.toml is not valid TOML"):
        load_settings(tmp_path, environment={})


def test_a_folder_in_the_file_s_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "stupid.toml").mkdir()
    with pytest.raises(SettingsError, match=r"stupid\.toml can't be read"):
        load_settings(tmp_path, environment={})


@pytest.mark.parametrize("text", ["Airport, Carrier", '["Airport", "Carrier"]'])
def test_lists_are_names_with_commas_or_json_in_the_environment(tmp_path: Path, text: str) -> None:
    environment = {"STUPID_LLM_HIDDEN": text}
    assert load_settings(tmp_path, environment=environment).llm_hidden == ("Airport", "Carrier")
    with pytest.raises(SettingsError, match="llm_hidden"):
        load_settings(tmp_path, environment={"STUPID_LLM_HIDDEN": '["Airport"'})


def test_the_root_comes_from_the_argument_the_environment_or_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "named"
    named.mkdir()
    assert load_settings(environment={"STUPID_ROOT": str(named)}).root == named
    assert load_settings(tmp_path, environment={"STUPID_ROOT": str(named)}).root == tmp_path
    monkeypatch.chdir(named)
    assert load_settings(environment={}).root == named
    monkeypatch.setenv("STUPID_SEED", "99")
    assert load_settings().seed == 99


def test_days_that_are_kept() -> None:
    settings = Settings(window_days=30, kept_windows=2)
    assert settings.kept_days == 31
    assert settings.horizon(date(2013, 2, 9)) == date(2013, 1, 10)
    assert Settings(window_days=1, kept_windows=1).horizon(date(2013, 2, 9)) == date(2013, 2, 9)


def test_absolute_paths_and_home_stay_what_they_are(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    assert settings.path("/elsewhere") == Path("/elsewhere")
    assert settings.path("~/x") == (Path.home() / "x").resolve()
