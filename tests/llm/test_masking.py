"""What a model sees of insights: no value of the data, whatever it looks like or says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from stupid_dagster.compute.quoting import quoted
from stupid_dagster.event_model import load_event_model
from stupid_dagster.llm.digest.asking import DigestAnswer, DigestSentence, problems
from stupid_dagster.llm.digest.masking import Shown, hidden_entities, masked, shown_insights
from stupid_dagster.llm.labelling.checks import model_words
from stupid_dagster.llm.phrases import revealed
from stupid_dagster.llm.privacy import Pseudonyms
from tests.llm.hostile import STATEMENTS

GAMING = load_event_model("gaming")
WORDS = model_words(GAMING)


def pseudonyms() -> Pseudonyms:
    return Pseudonyms(b"k", GAMING, {"Member", "Device"})


def insight(title: str, text: str = "", subjects: list[str] | None = None, **evidence: Any) -> Any:
    return {
        **{"insight_id": "trend/1", "kind": "trend", "severity": "notable", "status": "new"},
        **{"title": title, "text": text, "subjects": subjects or [], "rank": 1},
        "evidence": json.dumps(evidence),
    }


def shown(row: Any, names: dict[str, str] | None = None) -> tuple[Shown, Pseudonyms]:
    one = pseudonyms()
    [found] = shown_insights([row], one, WORDS, names or {}, samples=False)
    return found, one


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("New member: user-482913", "482913"),
        ("Member order-123456 lost", "123456"),
        ("host ip-10a0b3 failed", "10a0b3"),
        ("customer cust-000123", "000123"),
        ("member 482913 has 3 devices", "482913"),
        ("member 482 has 3 devices", "482"),
        ("Device 17 is unusual", "17"),
        ("device:17 is unusual", "17"),
        ("484 8213 were new", "8213"),
        ("from fe80::1 and on", "fe80"),
        ("from fe80::1 and on", "::1"),
        ("from 2001:db8::ff00:42:8329 again", "2001"),
        ("from 2001:db8::ff00:42:8329 again", "8329"),
        ("call +84 (912) 345-678 now", "912"),
        ("call +84 (912) 345-678 now", "678"),
        ("on 1984-03-02 it was", "1984"),
        ("IBAN VN12BANK0001", "VN12"),
        ("Around \u201cdata of all members\u201d: many", "data of all"),
    ],
)
def test_nothing_that_looks_like_an_id_is_sent(text: str, hidden: str) -> None:
    one = pseudonyms()
    said = masked(text, one, WORDS)
    assert hidden not in re.sub(r"[a-z]+-[0-9a-f]{6,}", "", said), said
    assert one.reveal(said).replace("device:", "").replace("\u201c", "").replace("\u201d", "") == (
        text.replace("device:", "").replace("\u201c", "").replace("\u201d", "")
    )


@pytest.mark.parametrize(
    "text",
    [
        "Logins above usual: 1,234 on Friday 8 March, usually 0.5",
        "12% of 340 members, 3.2 times that at 14:00 on Friday 14 March",
        "30 members are unusual: 12 critical and 18 notable",
        "Score 0.48 of 1, place 12. Also: 44 devices in the window, usually 1",
        "40 members act like machines: 142 events each, one every 90 seconds",
    ],
)
def test_an_insights_own_words_and_numbers_stay(text: str) -> None:
    assert masked(text, pseudonyms(), WORDS) == text


def test_numbers_of_the_evidence_stay_and_others_do_not() -> None:
    found, _ = shown(insight("Error 50412 and 50413", rows=[{"value": 50412, "text": "50413"}]))
    assert found.title.startswith("Error 50412 and ") and "50413" not in found.title


@pytest.mark.parametrize(
    ("text", "stays"),
    [("Device: 397 on Friday", True), ("Device: 512 on Friday", False), ("Device 397 x", False)],
)
def test_a_metric_s_value_stays_and_an_id_does_not(text: str, stays: bool) -> None:
    """A metric may be called as a hidden type is; its value is one of the evidence's numbers."""
    found, _ = shown(insight(text, rows=[{"value": 397.0}]))
    assert (found.title == text) == stays


def test_a_value_s_short_number_stays() -> None:
    found, _ = shown(insight("More: platform 200: 47% (all: 15%)", rows=[{"value": "200"}]))
    assert found.title == "More: platform 200: 47% (all: 15%)"


@pytest.mark.parametrize("name", ["United Air Lines Inc", "Endeavor Air Inc", "Zyx Data"])
def test_a_name_is_hidden_as_a_whole(name: str) -> None:
    one = pseudonyms()
    said = masked(f"Largest: Around {name}, in Friday. Members of {name}", one, WORDS)
    assert re.sub(r"name-[0-9a-f]{10}", "X", said) == "Largest: Around X, in Friday. Members of X"
    assert one.reveal(said).count(name) == 2


@pytest.mark.parametrize("subjects", [["platform=very late"], ["x"]])
def test_a_hidden_field_s_value_is_hidden_though_it_is_ordinary_english(
    subjects: list[str],
) -> None:
    one = Pseudonyms(b"k", GAMING, {"Member", "platform"})
    rows = [{"dimension": "platform", "member": "very late"}] if subjects == ["x"] else []
    row = insight("Logins for platform very late above usual", subjects=subjects, rows=rows)
    [found] = shown_insights([row], one, WORDS, {}, samples=False)
    assert "late" not in found.title and one.reveal(found.title) == row["title"]


def test_entities_named_by_a_hidden_field_are_hidden() -> None:
    flights = load_event_model("flights")
    one = Pseudonyms(b"k", flights, {"Aircraft", "carrier_name"})
    row = insight("Around x", subjects=["carrier:UA", "airport:JFK", "aircraft:N1"])
    assert hidden_entities([row], one) == {"carrier:UA", "aircraft:N1"}


def test_names_of_hidden_entities_are_hidden_whatever_they_say() -> None:
    row = insight(
        "Member Mark Young is unusual: 37 devices",
        "Other unusual members are linked to device Dawn Page too. May Rose and 17 lead.",
        ["member:vn1"],
        rows=[{"shared": ["device:d1"], "examples": ["member:vn2", "member:17"]}],
    )
    assert hidden_entities([row], pseudonyms()) == {
        *("member:vn1", "member:vn2", "member:17", "device:d1")
    }
    names = {"member:vn1": "Mark Young", "device:d1": "Dawn Page", "member:vn2": "May Rose"}
    found, one = shown(row, names)
    sent = f"{found.title} {found.text}"
    for name in ("Mark", "Young", "Dawn", "Page", "May", "Rose", " 17 "):
        assert name not in sent
    assert one.reveal(found.title) == row["title"] and one.reveal(found.text) == row["text"]
    assert "37 devices" in found.title


@pytest.mark.parametrize("value", STATEMENTS.values(), ids=STATEMENTS)
def test_a_model_that_repeats_a_value_says_it_as_a_name_or_nothing(value: str) -> None:
    """The value stands in a title; the model repeats what it sees of it, or the value itself."""
    from stupid_dagster.compute import words

    name = words.tidy(value, 80) or "unnamed"
    rows = [{"member": value, "value": 42.5}]
    title = f"Logins for platform {name} above usual: 43 on Friday 14 March"
    row = insight(title, f"Logins for platform {name}: 43.", [f"platform={value}"], rows=rows)
    found, one = shown(row)
    head, tail = "Logins for platform ", " above usual: 43 on Friday 14 March"
    seen = found.title.removeprefix(head).removesuffix(tail)
    if name != "unnamed":
        assert seen != name and re.fullmatch(r"name-[0-9a-f]{6,}", seen), found.title
    for said in (value, name, f"{name}.", f"Members: {name}", f"All members are {name}"):
        answer = DigestAnswer.model_construct(
            sentences=[DigestSentence.model_construct(text=said, insights=[1])]
        )
        assert problems(answer, [found], WORDS) or name == "unnamed", said
    said = revealed(f"Logins rose for {seen}, 43 of them.", one)
    assert said == f"Logins rose for {quoted(name)}, 43 of them."
    assert revealed(f"\u201c{seen}\u201d rose", one) == f"{quoted(name)} rose"


def test_only_pseudonyms_of_the_run_are_revealed_and_left() -> None:
    one = pseudonyms()
    assert revealed("member-000000 rose", one) == "member-000000 rose"
    name = one.name("Anna Berg")
    assert masked(f"{name} and name-0a0a0a", one, WORDS).count("name-0a0a0a") == 0


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("12 of 340 members, 40% of them on behalf of others.", True),
        ("12% of members were late.", False),
        ("40 members were late.", False),
        ("0 members were late.", False),
        ("Half of all members were late.", False),
        ("Twelve members were late.", False),
    ],
)
def test_a_digest_says_numbers_as_its_insights_do(text: str, right: bool) -> None:
    title = "12 of 340 members, 40% of them late, on behalf of others on Friday 14 March"
    known = Shown(1, "i", "trend", "notable", "new", title, "")
    answer = DigestAnswer(sentences=[DigestSentence(text=text, insights=[1])])
    vocabulary = WORDS | {"behalf"}
    assert (problems(answer, [known], vocabulary) == []) == right
