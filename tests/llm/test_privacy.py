"""Pseudonyms: stable, keyed, given back; which ids are hidden; nothing else that looks like one."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from stupid_dagster.compute.profiles.traits import KeyMember, Profile, PropertyTrait, Step
from stupid_dagster.event_model import load_event_model
from stupid_dagster.llm.labels import describe, first_label
from stupid_dagster.llm.privacy import Pseudonyms, hidden_types, pseudonym_key
from tests.llm.test_labels import cluster, entity

GAMING = load_event_model("gaming")
HIDDEN = {"Member", "Device"}


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
    "text", ["game:PGS-8993 on web-android", "status 503, 30000ms", "737-7H4", "100,000,000 events"]
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
    assert shown.displayed_numbers() == profile.displayed_numbers()
    assert one.reveal(shown.entities[0].name) == "Jane"
    assert "Jane" not in describe(shown) + first_label(shown)
    assert one.reveal(first_label(shown)) == first_label(profile)


def test_which_types_are_hidden() -> None:
    counts = {"Member": 500_000, "Device": 290_000, "Game": 2_180, "Error": 2_050, "Platform": 8}
    assert hidden_types(GAMING, counts, None) == HIDDEN
    assert hidden_types(GAMING, {"Member": 5, "Game": 2}, None) == {"Member", "Game"}
    assert hidden_types(GAMING, counts, ("Game",)) == {"Member", "Game"}
    assert hidden_types(GAMING, counts, ()) == {"Member"}


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(pseudonym_key(tmp_path))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1 and len(found[0]) == 64
    (file,) = os.listdir(tmp_path)
    assert stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o600
    assert pseudonym_key(tmp_path) == found[0]


def test_profile_type_is_kept() -> None:
    assert isinstance(pseudonyms().profile(cluster()), Profile)
