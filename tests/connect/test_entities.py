from __future__ import annotations

import polars as pl
from hypothesis import given

from stupid_dagster import connect
from stupid_dagster.connect.entities import property_names
from stupid_dagster.tables import TABLES
from tests.connect import slow
from tests.connect.events import MODEL, START, day_documents, documents, unhurried


@unhurried
@given(day_documents())
def test_entities_are_those_counted_event_by_event(frames: dict[str, pl.DataFrame]) -> None:
    found = connect.build_entities(MODEL, connect.enrich(MODEL, frames))
    assert found.to_dicts() == slow.entities(MODEL, slow.events_of(MODEL, frames))
    assert list(found.schema.items())[:-1] == list(TABLES["entities"].schema.items())


def minutes(n: int) -> dict[str, object]:
    return {"timestamp": START.replace(hour=18, minute=n)}


def test_a_property_is_the_last_one_given_though_later_events_lack_it() -> None:
    frames = documents(
        MODEL,
        {
            "Login": [
                minutes(0) | {"memberCode": "ann", "level": 1},
                minutes(50) | {"memberCode": "ann"},
            ],
            "GameOpened": [minutes(20) | {"memberCode": "ann", "level": 2}],
        },
    )
    ann = connect.build_entities(MODEL, connect.enrich(MODEL, frames)).filter(type="Member")
    assert ann["properties"].struct.field("level").to_list() == ["2"]
    assert ann["events"].to_list() == [3]


def test_an_event_that_names_an_entity_in_two_roles_counts_once() -> None:
    home_and_here = minutes(0) | {"homeCountry": "TH", "ipCountry": "TH"}
    away = minutes(1) | {"homeCountry": "TH", "ipCountry": "ID"}
    frames = documents(MODEL, {"Login": [home_and_here, away]})
    found = connect.build_entities(MODEL, connect.enrich(MODEL, frames))
    countries = found.filter(type="Country").select("key", "events").rows()
    assert countries == [("ID", 1), ("TH", 2)]


def test_keys_are_normalised_and_long_texts_hashed() -> None:
    frames = documents(
        MODEL,
        {
            "GameOpened": [minutes(0) | {"gameUid": "G1"}, minutes(1) | {"gameUid": "g1"}],
            "API Error": [minutes(2) | {"error": "x" * 99_999, "platform": "ios"}],
        },
    )
    ids = connect.build_entities(MODEL, connect.enrich(MODEL, frames))["entity_id"].to_list()
    assert [i for i in ids if i.startswith("game:")] == ["game:g1"]
    assert "platform:IOS" in ids
    [error] = [i for i in ids if i.startswith("error:")]
    assert len(error) == len("error:") + 16


def test_only_an_entity_of_nothing_but_test_events_is_a_test_s() -> None:
    tester = minutes(0) | {"memberCode": "ann", "isTestAccount": True, "fingerprint": "shared"}
    other = minutes(1) | {"memberCode": "bob", "isTestAccount": False, "fingerprint": "shared"}
    frames = documents(MODEL, {"Login": [tester, other]})
    found = connect.build_entities(MODEL, connect.enrich(MODEL, frames))
    flags = dict(found.select("entity_id", "is_test").iter_rows())
    assert flags == {"member:ann": True, "member:bob": False, "device:shared": False}


def test_properties_may_be_named_like_the_table_s_own_columns() -> None:
    model = MODEL.model_copy(
        update={
            "entities": MODEL.entities
            | {"Member": MODEL.entities["Member"].model_copy(update={"properties": OWN_NAMES})},
            "events": {
                "Login": MODEL.events["Login"].model_copy(
                    update={"fields": [*MODEL.events["Login"].fields, *OWN_NAMES]}
                )
            },
        }
    )
    values = {name: f"a {name}" for name in OWN_NAMES}
    frames = documents(model, {"Login": [minutes(0) | {"memberCode": "ann"} | values]})
    found = connect.build_entities(model, connect.enrich(model, frames)).filter(type="Member")
    given_back = found["properties"].struct.unnest().to_dicts()
    assert given_back == [dict.fromkeys(property_names(model)) | values]


OWN_NAMES = ["entity_id", "type", "key", "events", "first_seen", "last_seen"]


def test_no_events_give_no_entities() -> None:
    empty = {name: frame.clear() for name, frame in documents(MODEL, {"Login": []}).items()}
    for frames in ({}, connect.enrich(MODEL, empty)):
        found = connect.build_entities(MODEL, frames)
        assert found.is_empty()
        assert "properties" in found.columns
