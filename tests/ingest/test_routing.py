from __future__ import annotations

import pytest

from stupid_dagster.event_model import parse_event_model
from stupid_dagster.ingest.readers import READERS
from stupid_dagster.ingest.readers.delimited import DelimitedReader
from stupid_dagster.ingest.routing import (
    date_of_path,
    event_type_candidate,
    event_type_of_path,
    match_event_type,
    unknown_event_type,
)
from tests.gaming import GAMING, gaming_model

MODEL = gaming_model()


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("2025-03-02.parquet", "2025-03-02"),
        ("20250302.csv.gz", "2025-03-02"),
        ("2025_03_02.csv", "2025-03-02"),
        ("2025.03.02.csv", "2025-03-02"),
        ("events_2025-03-02T10.jsonl", "2025-03-02"),
        ("part-00012-20250302.csv", "2025-03-02"),
        ("20250302123456.csv", "2025-03-02"),
        ("12345678-2025-03-02.csv", "2025-03-02"),
        ("2025-02-30.csv", None),
        ("2025-02-30_2025-03-02.csv", "2025-03-02"),
        ("2025-0302.csv", None),
        ("2025-03_02.csv", None),
        ("part-0001.csv", None),
        ("part-00010101.csv", None),
        ("export-12340101.csv", None),
        ("Login/date=2025-03-02/part-0.parquet", "2025-03-02"),
        ("date=2025-03-01/2025-03-02.csv", "2025-03-02"),
        ("2025-03-01/Login/part.csv", "2025-03-01"),
        ("year=2025/month=3/day=2/part-0.parquet", "2025-03-02"),
        ("Login/2025/03/02/part.csv", "2025-03-02"),
        ("Login/2025/03/02.csv.gz", "2025-03-02"),
        ("2025/3/2/Login/a.csv", "2025-03-02"),
        ("2025/13/02/a.csv", None),
        ("2025/03/a.csv", None),
        ("a", None),
        ("", None),
    ],
)
def test_dates_of_paths(path: str, wanted: str | None) -> None:
    if path:
        assert date_of_path(path) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("Login/2025-03-02.parquet", "Login"),
        ("deep/er/signin/x.csv", "Login"),
        ("GameOpened/Login/x.csv", "Login"),
        ("event=Login/date=2025-03-02/x.csv", "Login"),
        ("Login/2025/03/02/x.csv", "Login"),
        ("Login/region=eu/x.csv", "Login"),
        ("api_error/x.csv", "API Error"),
        ("Login/GameOpened.csv", "Login"),
        ("login-2025-03-02.csv", "Login"),
        ("login-2025-03-01-part-7.csv.gz", "Login"),
        ("2025-03-02_game_opened.jsonl", "GameOpened"),
        ("API Error 2025-03-02.csv", "API Error"),
        ("api.error.csv", "API Error"),
        ("apiError_0001.csv", "API Error"),
        ("signin.snappy.parquet", "Login"),
        ("part-0.parquet", None),
        ("logins/x.csv", None),
        ("2025-03-02.csv", None),
        ("...csv", None),
    ],
)
def test_event_types_of_paths(path: str, wanted: str | None) -> None:
    assert event_type_of_path(MODEL, path) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("Some Event/2025-03-02.csv", "Some Event"),
        ("event=Some/date=2025-03-02/part-0.csv", "Some"),
        ("some_event-2025-03-02-part-7.csv.gz", "some event"),
        ("2025-03-02_some.event.jsonl", "some event"),
        ("some_event_0001.csv", "some event"),
        ("2025-03-02.csv", "2025-03-02.csv"),
    ],
)
def test_what_a_path_most_likely_names(path: str, wanted: str) -> None:
    assert event_type_candidate(path) == wanted


def test_names_that_differ_in_case_or_punctuation_only_are_told_apart() -> None:
    text = GAMING.replace("aliases: [SignIn]", "aliases: [SignIn, game opened, apierror]")
    model = parse_event_model(text)
    names = ["Game Opened", "game opened", "GAMEOPENED", "game_opened", "apierror", "API error"]
    found = [match_event_type(model, name) for name in names]
    assert found == ["Login", "Login", "GameOpened", "Login", "Login", "API Error"]


def test_nothing_is_named_by_nothing() -> None:
    assert [match_event_type(MODEL, name) for name in ("", "--", "雪")] == [None] * 3
    assert "'Logn' (did you mean 'Login'?)" in unknown_event_type(MODEL, "Logn/2025-03-02.csv")


@pytest.mark.parametrize("kind", [".log", *READERS])
def test_what_says_the_kind_of_a_file_is_no_event_type_s_name(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setitem(READERS, ".log", DelimitedReader)
    for name in ("Login", "login-2025-03-02-part-7", "2025-03-02_LOGIN"):
        assert event_type_candidate(f"{name}{kind}").casefold() == "login"
        assert event_type_of_path(MODEL, f"{name}{kind.upper()}") == "Login"
