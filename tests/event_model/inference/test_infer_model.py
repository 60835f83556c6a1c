"""Drafts from small samples."""

from __future__ import annotations

import random

import pytest

from stupid_dagster.errors import InferenceError
from stupid_dagster.event_model.inference import infer_model
from tests.event_model.inference.made import ROWS, orders, strings


def test_one_event_type_is_enough() -> None:
    draft = infer_model({"Order": strings(orders())}, "My shop!")

    model = draft.model
    assert model.name == "my_shop"
    assert draft.entities[draft.actor] == ["customerId"]
    assert draft.timestamp_fields == ["time"]
    assert {key[0] for key in draft.entities.values()} == {"customerId", "city", "product", "brand"}
    assert model.edges["ProductToBrand"].target == "Brand"
    assert "ProductToCity" not in model.edges
    assert model.field_type("amount") == "float"
    assert model.test_flag == "isTest"
    assert draft.dropped_columns["Order"] == {
        "requestId": "a value of its own each event",
        "shop": "always the same",
        "comment": "always empty",
    }
    assert model.events["Order"].text == "Order city:{city} product:{product} brand:{brand}"
    assert model.features.columns["mean_amount"].mean == "amount"
    assert model.metrics["active_customer"].distinct == "customerId"


def test_a_few_codes_that_go_with_nothing_are_no_entity_type() -> None:
    columns = orders()
    columns["warehouseCode"] = [str(n % 3) for n in range(ROWS)]  # Goes with nothing.

    draft = infer_model({"Order": strings(columns)}, "x")

    assert ["warehouseCode"] not in draft.entities.values()
    assert "warehouseCode" in draft.model.events["Order"].fields


def test_metrics_are_split_by_what_happened_before_what_actors_are() -> None:
    columns = orders()
    del columns["product"], columns["brand"]
    chance = random.Random(4)
    plans = [f"plan {n % 8}" for n in range(60)]
    columns["plan"] = [plans[int(customer[1:])] for customer in columns["customerId"] if customer]
    columns["reason"] = [f"reason {chance.randrange(3)}" for _ in range(ROWS)]

    draft = infer_model({"Order": strings(columns)}, "x")

    assert draft.model.metrics["order_count"].by == ["reason", "plan"]


def test_no_entity_gets_the_ids_of_groups() -> None:
    columns = orders()
    columns["clusterId"] = columns.pop("customerId")

    draft = infer_model({"Order": strings(columns)}, "x")

    assert draft.actor == "Cluster"
    assert draft.model.entities["Cluster"].prefix == "cluster_2"


def test_web_server_lines() -> None:
    chance = random.Random(3)
    hosts = [chance.randrange(40) for _ in range(ROWS)]
    columns = {
        "remote host": [f"10.0.0.{n}" for n in hosts],
        "user": ["-"] * ROWS,
        "time.local": [f"12/Mar/2025:{n % 24:02}:00:{n % 60:02} +0100" for n in range(ROWS)],
        "request": [f"GET /page/{n % 9}?q={n} HTTP/1.1" for n in range(ROWS)],
        "status": [("200", "404", "500")[n % 3] for n in range(ROWS)],
        "bytes": [str(chance.randrange(9000)) for _ in range(ROWS)],
    }

    draft = infer_model({"access": strings(columns)}, "web")

    assert draft.entities[draft.actor] == ["remote host"]
    assert draft.timestamp_fields == ["time.local"]
    assert draft.model.timestamp.formats == ["%d/%b/%Y:%H:%M:%S %z"]
    assert "status" in draft.model.events["access"].text
    assert "-" in draft.nulls
    assert draft.checks  # Nothing but its values says that a host acts.


def test_a_session_is_not_the_actor() -> None:
    columns = orders()
    del columns["product"]
    columns["sessionId"] = [f"s{c}-{n % 3}" for n, c in enumerate(columns["customerId"])]
    named = infer_model({"Order": strings(columns)}, "x")
    columns["zyx"] = columns.pop("customerId")
    columns["wvu"] = columns.pop("sessionId")
    unnamed = infer_model({"Order": strings(columns)}, "x")

    assert named.entities[named.actor] == ["customerId"]
    assert unnamed.entities[unnamed.actor] == ["zyx"]


@pytest.mark.parametrize("actor", ["amount", "isTest", "time", "requestId", "shop"])
def test_any_column_may_be_asked_for_as_the_actor(actor: str) -> None:
    draft = infer_model({"Order": strings(orders())}, "x", actor=actor)

    assert draft.entities[draft.actor] == [actor]
    assert draft.model.field_type(actor) == "string"


def test_the_actor_can_be_named() -> None:
    draft = infer_model({"Order": strings(orders())}, "x", actor="product")

    assert draft.entities[draft.actor] == ["product"]
    with pytest.raises(InferenceError, match="did you mean 'product'"):
        infer_model({"Order": strings(orders())}, "x", actor="prodct")


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (["time", "amount", "requestId"], r"who acts.*--actor COLUMN"),
        (["customerId", "product"], r"events' times.*ISO 8601.*by hand"),
        (["amount"], r"events' times"),
        ([], r"none of 1 event types has rows"),
    ],
)
def test_what_is_missing_is_told(kept: list[str], message: str) -> None:
    frame = strings({name: values for name, values in orders().items() if name in kept})

    with pytest.raises(InferenceError, match=message):
        infer_model({"Order": frame}, "x")


def test_event_types_without_rows_are_left_out_and_told() -> None:
    empty = strings({name: [] for name in orders()})
    draft = infer_model({"Order": strings(orders()), "Nothing": empty}, "x")

    assert draft.event_types == {"Order": []}
    assert "Nothing had no rows and was left out" in draft.checks


def test_the_draft_is_the_same_each_time() -> None:
    frame = strings(orders())

    assert infer_model({"a": frame}, "x").yaml == infer_model({"a": frame.clone()}, "x").yaml


def test_events_without_an_actor_are_told() -> None:
    columns = orders()
    columns["customerId"] = [
        None if n % 50 == 0 else c for n, c in enumerate(columns["customerId"])
    ]

    for actor in (None, "customerId"):
        draft = infer_model({"Order": strings(columns)}, "x", actor=actor)
        told = "40 of 2,000 events (2.0%) have none"
        assert any(told in reason for reason in draft.reasons["actor",])
    whole = infer_model({"Order": strings(orders())}, "x")
    assert "have none" not in str(whole.reasons["actor",])


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (["25/Mar/2026:{:02}:10:05 +0100", "30/Mar/2026:{:02}:10:05 +0200"], "(+0100, +0200)"),
        (["2026-03-25T{:02}:10:05.25-07:00", "2026-03-25T{:02}:10:05.25Z"], "(-07:00, Z)"),
        (["2026-03-25T{:02}:10:05Z", "2026-03-25T{:02}:10:05+00:00"], None),
        (["2026-03-25T{:02}:10:05Z", "2026-03-25T{:02}:10:05-00:00"], None),
        (["2026-03-25T{:02}:10:05", "2026-03-25 {:02}:10"], None),
    ],
)
def test_offsets_of_times_are_told(times: list[str], told: str | None) -> None:
    columns = orders()
    # The first is the commoner one.
    columns["time"] = [times[n % 3 == 2].format(n % 24) for n in range(ROWS)]

    draft = infer_model({"Order": strings(columns)}, "x")

    (check,) = [check for check in draft.checks if check.startswith("timezone")]
    assert (f"not by the times' own offsets {told}" in check) if told else "offset" not in check
    assert "days are cut at midnight UTC" in check
