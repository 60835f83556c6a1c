"""Pseudonyms: stable, keyed, given back; which ids are hidden; nothing else that looks like one."""

from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path

import pytest

from stupid_dagster.compute import words
from stupid_dagster.compute.profiles.traits import (
    FeatureTrait,
    KeyMember,
    Profile,
    PropertyTrait,
    Step,
)
from stupid_dagster.errors import SettingsError, StoreError
from stupid_dagster.event_model import load_event_model
from stupid_dagster.llm.labels import describe, first_label
from stupid_dagster.llm.privacy import KEY_FILE, Pseudonyms, hidden_types, pseudonym_key
from stupid_dagster.stores.files import LocalFiles
from tests.llm.shown import displayed_numbers
from tests.llm.test_labels import cluster, entity

GAMING = load_event_model("gaming")
HIDDEN = {"Member", "Device"}
COLLIDING = ("u320756", "u1326370")
"""Members whose pseudonyms by the key "k" have the same ten digits."""
DIGITS = "u33"
"""One whose digits are numbers all."""


def pseudonyms(key: bytes = b"k") -> Pseudonyms:
    return Pseudonyms(key, GAMING, HIDDEN)


def test_an_id_ends_where_a_sentence_does() -> None:
    names = Pseudonyms(b"k", load_event_model("flights"), ["Aircraft"])
    hidden = names.of("Aircraft", "N328AA")
    for end in ("", ".", "?", "!", ":", ", then", ")"):
        assert names.hide(f"Who flew aircraft:N328AA{end}") == f"Who flew {hidden}{end}"
        assert names.hide(f"aircraft:N328AA{end}", prefixed=True) == f"aircraft:{hidden}{end}"
    assert names.hide("on 2013-02-09, at 2013-02-09T10:00") == "on 2013-02-09, at 2013-02-09T10:00"
    assert names.reveal(f"aircraft:{hidden}.") == "aircraft:N328AA."


def test_a_pseudonym_is_stable_keyed_and_given_back() -> None:
    one = pseudonyms()
    name = one.of("Member", "vn8bzoa7l")
    assert name.startswith("member-") and "vn8" not in name
    assert name == pseudonyms().of("Member", "vn8bzoa7l")
    assert name != pseudonyms(b"other").of("Member", "vn8bzoa7l")
    assert name != one.of("Member", "vn8bzoa7m")
    assert one.reveal(f"Around {name.upper()}, and member-000000") == (
        "Around vn8bzoa7l, and member-000000"
    )


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("plays with member:vn8bzoa7l, often", "vn8bzoa7l"),
        ('{"actor": "member:vn8bzoa7l"}', "vn8bzoa7l"),
        ("device:1b8fada09fff611b failed", "1b8fada09fff611b"),
        ("mail to jane.doe+x@example.co.uk", "jane.doe+x@example.co.uk"),
        ("from 10.20.30.40 again", "10.20.30.40"),
        ("from fe80:0:0:0:1 again", "fe80:0:0:0:1"),
        ("Order 61352408 not found", "61352408"),
        ("call +84 912 345 678", "912 345"),
        ("call +84 (912) 345-678 now", "345-678"),
        ("call (0912) 345-678", "(0912) 345-678"),
        ("from fe80::1 again", "fe80::1"),
        ("at 00:11:22:33:44:55", "00:11:22:33:44:55"),
        ("call 2013 02 06 77", "02 06 77"),
        ("from 2001:db8::ff00:42:8329 again", "2001:db8::ff00:42:8329"),
        ("member:O'Brien left", "O'Brien"),
        ("request 123e4567-e89b-12d3-a456-426614174000", "426614174000"),
        ("trace 0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"),
    ],
)
def test_texts_lose_what_identifies_somebody(text: str, hidden: str) -> None:
    one = pseudonyms()
    shown = one.hide(text)
    assert hidden not in shown
    revealed = one.reveal(shown)
    assert hidden in revealed and revealed.replace("member:", "") == text.replace(
        "member:", ""
    ).replace("device:", "")


@pytest.mark.parametrize(
    "text",
    [
        *("game:PGS-8993 on web-android", "status 503, 30000ms", "737-7H4", "100,000,000 events"),
        *("std::vector at 12:30:45", "rose (12) 3 times, from +5 to +10"),
        *("version 1.2.3.4", "at 12:30:45:50", "on 2013 02 06 and on"),
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert pseudonyms().hide(text) == text


def test_a_profile_is_hidden_in_all_its_parts() -> None:
    profile = cluster(
        entities=(
            entity("Jane", "InvitedBy", 0.9, type="Member", entity_id="member:vn8bzoa7l"),
            entity("slots", "PlaysOnPlatform", type="Platform"),
        ),
        key_members=(KeyMember("Device", "device:ab12", "ab12"),),
        properties=(
            PropertyTrait("Login", "memberCode", "vn8bzoa7l", 3, 0.5, 0.1, 5.0),
            PropertyTrait("Login", "error", "Order 61352408 not found", 3, 0.5, 0.1, 5.0),
        ),
        steps=(Step("login (x vn-61352408)", "Order 61352408"),),
        told="Login of vn8bzoa7l failed",
    )
    one = pseudonyms()
    shown = one.profile(profile)
    text = str(shown.to_dict())
    for hidden in ("Jane", "vn8bzoa7l", "ab12", "61352408"):
        assert hidden not in text.replace("vn-61352408", "" if hidden == "61352408" else "vn")
    assert "slots" in text
    assert displayed_numbers(shown) == displayed_numbers(profile)
    assert one.reveal(shown.entities[0].name) == "Jane"
    assert "Jane" not in describe(shown) + first_label(shown)
    assert one.reveal(first_label(shown)) == first_label(profile)


def test_a_value_of_two_properties_is_hidden_in_both() -> None:
    traits = [
        PropertyTrait("Login", name, "alice77", 3, 0.5, 0.1, 5.0) for name in ("memberCode", "host")
    ]
    for properties in (traits, traits[::-1]):
        profile = cluster(properties=tuple(properties), told="Login of alice77 (host alice77)")
        shown = pseudonyms().profile(profile)
        assert "alice77" not in str(shown.to_dict())
        assert {trait.value for trait in shown.properties} == {pseudonyms().of("Member", "alice77")}


@pytest.mark.parametrize("limit", [12, 40, 60, 90])
def test_a_value_is_hidden_wherever_it_was_cut(limit: int) -> None:
    key = "auth0|" + "k" * 45
    trait = PropertyTrait("Login", "memberCode", words.tidy(key), 3, 0.5, 0.1, 5.0)
    told = words.tidy(f"Login ({words.tidy(key, 60)}, page /)", limit)
    shown = pseudonyms().profile(cluster(properties=(trait,), told=told)).told
    assert shown is not None and shown.startswith("Login (")
    assert "kkk" not in shown and "auth0" not in shown
    assert ("page /" in shown) == (limit == 90)


def test_a_step_s_value_is_hidden_by_its_field() -> None:
    steps = (Step("login (memberCode alice77)", "alice77", "memberCode"), Step("game opened"))
    shown = pseudonyms().profile(cluster(steps=steps)).steps
    hidden = pseudonyms().of("Member", "alice77")
    assert shown == (Step(f"login (memberCode {hidden})", hidden, "memberCode"), steps[1])


def test_a_pseudonym_that_is_another_s_gets_longer() -> None:
    one = pseudonyms()
    first, second = (one.of("Member", key) for key in COLLIDING)
    assert second.startswith(first) and second != first
    assert one.reveal(f"{first} and {second}") == "{} and {}".format(*COLLIDING)
    assert second == one.of("Member", COLLIDING[1])


def test_a_pseudonym_of_digits_alone_is_no_number() -> None:
    one = pseudonyms()
    name = one.of("Member", DIGITS)
    assert name.partition("-")[2].isdigit()
    assert one.hide(f"member:{DIGITS} and {name} left", prefixed=True) == (
        f"member:{name} and {name} left"
    )
    # What only looks like one is hidden.
    assert "1234567890" not in one.hide("order-1234567890 left")


PERSON = GAMING.model_copy(
    update={
        "entities": {
            **GAMING.entities,
            "Member": GAMING.entities["Member"].model_copy(
                update={"properties": ["first_name", "lastName", "nickname", "currency"]}
            ),
        }
    }
)


def test_all_properties_that_name_are_hidden() -> None:
    one = Pseudonyms(b"k", PERSON, HIDDEN)
    for name in ("first_name", "lastName", "nickname", "memberCode"):
        assert one.value(name, "Berg") == one.of("Member", "Berg")
    assert one.value("currency", "EUR") == "EUR"


def test_fields_can_be_hidden() -> None:
    counts = {"Member": 500_000, "Device": 290_000, "Game": 2_180, "Error": 2_050, "Platform": 8}
    hidden = hidden_types(GAMING, counts, ("deviceModel",))
    assert hidden == HIDDEN | {"deviceModel"}
    assert hidden_types(GAMING, counts, ("deviceModel", "Game")) == {
        *("Member", "Game", "deviceModel")
    }
    one = Pseudonyms(b"k", GAMING, hidden)
    shown = one.value("deviceModel", "Anna's phone")
    assert shown.startswith("field_device_model-") and one.reveal(shown) == "Anna's phone"
    with pytest.raises(SettingsError, match="did you mean 'deviceModel'"):
        hidden_types(GAMING, counts, ("deviceModl",))


FLIGHTS = load_event_model("flights")


@pytest.mark.parametrize("hidden", ["carrier_name", "carrier", "Carrier"])
def test_a_name_that_is_a_hidden_field_s_value_is_hidden_in_profiles(hidden: str) -> None:
    """A shown type's name, as the entity that others are linked to and in what it is told in."""
    air = "United Air Lines Inc."
    profile = cluster(
        entities=(entity(air, "OperatedBy", type="Carrier", entity_id="carrier:UA"),),
        key_members=(KeyMember("Carrier", "carrier:UA", air), KeyMember("Airport", "a:J", "JFK")),
        told=f"{air} flight from JFK",
    )
    one = Pseudonyms(b"k", FLIGHTS, {"Aircraft", hidden})
    shown = one.profile(profile)
    assert "United" not in str(shown.to_dict()) + describe(shown) + first_label(shown)
    assert "JFK" in str(shown.to_dict())
    # A pseudonym may stand in quotation marks where its name would not.
    revealed = re.sub("[\u201c\u201d]", "", one.reveal(first_label(shown)))
    assert revealed == first_label(profile)


def test_a_feature_s_values_are_hidden_by_their_field() -> None:
    trait = FeatureTrait("seats", "last", None, 3.0, 2.0, 4.0, values=("standard", "premium"))
    for hidden in ({"Aircraft"}, {"Aircraft", "seats"}):
        shown = Pseudonyms(b"k", FLIGHTS, hidden).profile(cluster(features=(trait,))).features[0]
        assert ("premium" in shown.values) == ("seats" not in hidden)


@pytest.mark.parametrize(
    ("hidden", "fields", "types"),
    [
        # flight_number is carrier and flight; a carrier is shown, and tells no flight by itself.
        ({"Flight"}, {"flight"}, {"Flight"}),
        # So a flight's number would tell the carrier, and a route its airports.
        ({"Carrier"}, {"carrier", "carrier_name", "flight_number"}, {"Carrier", "Flight"}),
        ({"Airport"}, {"origin", "dest", "route"}, {"Airport", "Route"}),
        ({"carrier"}, {"carrier", "flight_number"}, {"Carrier", "Flight"}),
        ({"distance"}, {"distance", "kilometres"}, set[str]()),
    ],
)
def test_what_says_the_same_as_what_is_hidden_is_hidden(
    hidden: set[str], fields: set[str], types: set[str]
) -> None:
    one = Pseudonyms(b"k", FLIGHTS, {"Aircraft", *hidden})
    assert all(map(one.has, fields)) and types <= {*one.prefixes.values()}
    shown = {"carrier", "carrier_name", "origin", "dest", "haul", "manufacturer"} - fields
    assert not [name for name in shown if one.has(name) and hidden == {"Flight"}]
    assert not one.has("haul") and not one.has("manufacturer")


@pytest.mark.parametrize("content", [b"", b"x", b"\xff\xfe", b"k" * 31, b"a b" * 20])
def test_a_file_that_holds_no_key_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    for keep in (True, False):
        with pytest.raises(StoreError, match=r"holds no key: 32 or more.*delete it"):
            pseudonym_key(LocalFiles(tmp_path), keep=keep)
    (tmp_path / KEY_FILE).write_bytes(b"k" * 32 + b"\n")
    assert pseudonym_key(LocalFiles(tmp_path)) == b"k" * 32


def test_which_types_are_hidden() -> None:
    counts = {"Member": 500_000, "Device": 290_000, "Game": 2_180, "Error": 2_050, "Platform": 8}
    assert hidden_types(GAMING, counts, None) == HIDDEN
    assert hidden_types(GAMING, {"Member": 5, "Game": 2}, None) == {"Member", "Game"}
    assert hidden_types(GAMING, counts, ("Game",)) == {"Member", "Game"}
    assert hidden_types(GAMING, counts, ()) == {"Member"}


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    found: list[bytes] = []
    files = LocalFiles(tmp_path)
    threads = [
        threading.Thread(target=lambda: found.append(pseudonym_key(files))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1 and len(found[0]) == 64
    (file,) = os.listdir(tmp_path)
    assert stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o600
    assert pseudonym_key(LocalFiles(tmp_path)) == found[0]


def test_the_key_is_not_made_to_look(tmp_path: Path) -> None:
    assert len(pseudonym_key(LocalFiles(tmp_path), keep=False)) == 64
    assert not os.listdir(tmp_path)
    made = pseudonym_key(LocalFiles(tmp_path))
    assert pseudonym_key(LocalFiles(tmp_path), keep=False) == made


def test_profile_type_is_kept() -> None:
    assert isinstance(pseudonyms().profile(cluster()), Profile)
