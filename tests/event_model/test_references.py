from __future__ import annotations

import pytest

from stupid_dagster.errors import EventModelError
from stupid_dagster.event_model import (
    LOCAL_HOUR,
    available_fields,
    load_event_model,
    measured_event_types,
    parse_event_model,
)
from stupid_dagster.event_model.references import find_bad_references
from tests.gaming import GAMING, gaming_model


@pytest.mark.parametrize(
    "model", [gaming_model(), load_event_model("flights")], ids=lambda m: m.name
)
def test_good_models_cite_nothing_that_is_missing(model) -> None:
    assert list(find_bad_references(model)) == []


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        (
            "actor: Member",
            "actor: Membr",
            "no entity type is named 'Membr' (did you mean 'Mem",
        ),
        ("actor: Member", "actor: Country", "Country has roles; an actor needs one `key`"),
        ("key: fingerprint", "key: fingerprnt", "no field is named 'fingerprnt' (did you"),
        ("here: [ipCountry", "here: [ip", "entities.Country.roles.here: no field is named 'ip'"),
        ("properties: platform", "properties: os", "no field is named 'os'"),
        ("prefix: device", "prefix: cluster", "'cluster' are those of groups that are computed"),
        ("prefix: device", "prefix: member", "'member' is already the prefix of Member"),
        ("to: Device}", "to: Devices}", "edges.LoggedInFrom.to: no entity type or role"),
        ("to: Country.here", "to: Country", "no entity type or role is named 'Country'"),
        ("to: Country.here", "to: Country.there", "(did you mean 'Country.here'?)"),
        ("{bet_band} bets", "{error} bets", "no field is named 'error'"),
        ("{code: L, field: success}", "{code: L, field: bet}", "no field is named 'bet'"),
        ("edges: [HitError, RunsOn]", "edges: [HitErrors]", "(did you mean 'HitError'?)"),
        ("[Member, Error, Device, Platform]", "[Member, Error, Device]", "RunsOn needs Platform"),
        (
            "[Member, Game, Platform, Place]",
            "[Member, Game, Error]",
            "needs one of the fields error",
        ),
        ("field: rGroup", "field: vip", "derived.tier: no field is named 'vip'"),
        ("field: bet, scale", "field: platform, scale", "must be an integer or a float"),
        ("  tier: {", "  platform: {", "'platform' is a column already"),
        ("  tier: {", "  timestamp: {", "'timestamp' is a column already"),
        ("  level: {type: integer}", "  lvl: {type: integer}", "no kept column is named 'lvl'"),
        ("logins: {count: Login}", "logins: {count: Logins}", "no event type is named 'Logins'"),
        ("staked: {sum: bet}", "staked: {sum: platform}", "is a string; sum needs a number"),
        ("staked: {sum: bet}", "staked: {sum: bte}", "(did you mean 'bet'?)"),
        ("{mean: bet}", "{mean: bet, of: Login}", "none of its event types has all of bet"),
        ("by: currency", "by: moon", "no field is named 'moon'"),
        ("denominator: logins", "denominator: players", "'players' must be a count or a sum"),
        ("denominator: logins", "denominator: failed_share", "must be a count or a sum"),
        ("denominator: logins", "denominator: login", "(did you mean 'logins'?)"),
        ("test_flag: isTestAccount", "test_flag: isTest", "test_flag: no kept column is named"),
        ("test_flag: isTestAccount", "test_flag: platform", "'platform' must be a boolean"),
        ("aliases: {affiliateId", "aliases: {affiliate", "(did you mean 'affiliateId'?)"),
        ("test_flag:", "duplicate_key: eventId\ntest_flag:", "duplicate_key: no field is named"),
        ("[memberCode, error,", "[memberCode, error, timestamp,", "is a column of the engine's"),
        ("[memberCode, error,", "[memberCode, error, local_hour,", "is a column of the engine's"),
        ("[memberCode, error,", "[memberCode, error, ':x',", "is a column of the engine's"),
        ("    staked: {", "    events: {", "'events' is a column of the engine's"),
        ("    staked: {", "    mean_bet__n: {", "is a column of the engine's"),
        ("aliases: [SignIn]", "aliases: [api error]", "'api error' already means"),
        ("[memberCode, error,", "[memberCode, error, '*',", "'*' can't be a column's name here"),
        ("[memberCode, error,", "[memberCode, error, '^$',", "events.API Error.fields: '^$' can't"),
        ('["@timestamp",', '["^.*time$",', "timestamp.fields: '^.*time$' can't be a column's"),
        ("test_flag:", "event_type_column: '*'\ntest_flag:", "event_type_column: '*' can't be"),
        (
            "  logins: {count: Login, by",
            "  new_actors: {count: Login, by",
            "is a metric of the engine's",
        ),
        (
            "    staked: {",
            "    a: {ratio: {numerator: login, denominator: events}}\n    staked: {",
            "ratio.numerator: no feature is named 'login' (did you mean 'logins'",
        ),
        (
            "    staked: {",
            "    a: {ratio: {numerator: logins, denominator: vip}}\n    staked: {",
            "'vip' must be a count, a sum or distinct",
        ),
        (
            "  window_days: 7",
            "  window_days: 7\n  segment_by: [logons]",
            "features.segment_by: no feature is named 'logons' (did you mean 'logins'?)",
        ),
        (
            "features:",
            "cooccurrence: [[Game, Gam]]\nfeatures:",
            "cooccurrence.0: no entity type is named 'Gam' (did you mean 'Game'?)",
        ),
        (
            "features:",
            "patterns: {silence: {code: G, of: GameOpened, hours: 48}}\nfeatures:",
            "patterns.silence.code: 'G' is an event type's symbol already",
        ),
        (
            "features:",
            "patterns: {silence: {code: Q, of: API Error, hours: 48}}\nfeatures:",
            "patterns.silence.of: 'API Error' has no `symbol`",
        ),
        (
            "features:",
            "patterns: {silence: {code: Q, of: Games, hours: 48}}\nfeatures:",
            "patterns.silence.of: no event type is named 'Games'",
        ),
        (
            "features:",
            "patterns: {categories: [{name: A, contains: [L, X]}]}\nfeatures:",
            "patterns.categories.0: no symbol's code is named 'X'",
        ),
        (
            "features:",
            "patterns: {categories: [{name: A}]}\nfeatures:",
            "say what it `contains`, or what it is `without`",
        ),
        ("[affiliateid,", "['^aff$',", "aliases.affiliateId: '^aff$' can't be a column's name"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, part: str) -> None:
    assert GAMING.count(old) >= 1
    with pytest.raises(EventModelError) as caught:
        parse_event_model(GAMING.replace(old, new, 1))
    assert any(part in problem for problem in caught.value.problems), caught.value.problems
    assert all(problem.startswith("line ") for problem in caught.value.problems)


def test_categories_cite_codes_values_and_silence() -> None:
    parse_event_model(
        GAMING.replace(
            "features:",
            "patterns:\n  silence: {code: Q, of: GameOpened, hours: 48}\n"
            "  categories: [{name: A, contains: ['L:false', L, Q], without: [G]}]\nfeatures:",
            1,
        )
    )


def test_names_that_only_look_like_patterns_may_be_cited() -> None:
    parse_event_model(
        GAMING.replace("[memberCode, error,", "[memberCode, error, '^a', 'b$', '**',")
    )


CASED = GAMING.replace(
    "  level: {type", "  platform: {case: lower}\n  rGroup: {case: upper}\n  level: {type"
)


def test_values_in_the_field_s_own_letters_are_good() -> None:
    parse_event_model(CASED)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        (
            "one_of: [ios, android]",
            "one_of: [ios, Android]",
            "derived.on_phone.one_of.1: 'Android' is never a value of 'platform', which is in "
            "lower case: write 'android'",
        ),
        ("VIPS: silver", "vips: silver", "derived.tier.map.vips: 'vips' is never a value of"),
        ("platform: [ios, web]", "platform: [iOS, web]", "where.platform.0: 'iOS' is never"),
        ("VIPS: 2", "Vips: 2", "features.columns.vip.encode.Vips: 'Vips' is never a value of"),
        ('where: {success: "false"}', 'where: {success: "no"}', "a boolean: write 'false'"),
        ('where: {success: ["false"]', "where: {success: 'False'", "a boolean: write 'false'"),
        ("platform: [ios, web]", "on_phone: 'Yes'", "a boolean: write 'true'"),
        ("{last: rGroup, encode: {VIPB: 1, VIPS: 2}}", "{last: success, encode: {ok: 1}}", "e 'tr"),
        (
            "time_of_day: {field: local_hour, bands: {night: 6, day: 18}}",
            "time_of_day: {field: success, map: {'1': done}}",
            "a boolean: write 'true'",
        ),
    ],
)
def test_values_that_their_field_never_has_are_told(old: str, new: str, part: str) -> None:
    assert CASED.count(old) == 1
    text = CASED.replace(old, new)
    with pytest.raises(EventModelError) as caught:
        parse_event_model(text)
    told = [problem for problem in caught.value.problems if part in problem]
    assert len(told) == 1, caught.value.problems
    line = next(n for n, line in enumerate(text.splitlines(), 1) if new in line)
    assert told[0].startswith(f"line {line}: ")


def test_derived_fields_are_there_where_their_inputs_are() -> None:
    model = gaming_model()
    fields = {name: available_fields(model, event) for name, event in model.events.items()}
    assert fields["API Error"] == {
        *("memberCode", "error", "platform", "fingerprint", LOCAL_HOUR, "time_of_day", "on_phone")
    }
    assert {"place", "tier"} <= fields["Login"]
    assert {"place", "bet_band", "bet_cents"} <= fields["GameOpened"]
    assert "tier" not in fields["GameOpened"]


def test_a_derived_field_may_read_one_before_it_but_not_one_after() -> None:
    spot = "  spot: {template: '{place}!'}\n"
    after = GAMING.replace(
        "  place: {template: ", "  spot: {template: '{place}!'}\n  place: {template: "
    )
    with pytest.raises(EventModelError, match=r"derived\.spot: no field is named 'place'"):
        parse_event_model(after)
    before = GAMING.replace("  bet_band: {", f"{spot}  bet_band: {{")
    model = parse_event_model(before)
    assert "spot" in available_fields(model, model.events["Login"])


def test_measures_are_taken_over_the_event_types_that_have_their_fields() -> None:
    model = gaming_model()
    columns = model.features.columns
    assert measured_event_types(model, columns["everything"]) == list(model.events)
    assert measured_event_types(model, columns["actions"]) == ["Login", "GameOpened"]
    assert measured_event_types(model, columns["staked"]) == ["GameOpened"]
    assert measured_event_types(model, columns["vip"]) == ["Login"]
    assert measured_event_types(model, model.metrics["mean_level"]) == ["Login", "GameOpened"]
