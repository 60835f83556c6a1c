"""What fails when a provider's server is asked, told alike for all clients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from stupid_dagster.providers import retry_after, usable_key


def test_the_forms_of_retry_after() -> None:
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after": "-1"}) == 0
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    later = datetime.now(UTC) + timedelta(seconds=90)
    assert 88 < (retry_after({"retry-after": format_datetime(later, usegmt=True)}) or 0) <= 90
    beyond = "Mon, 01 Jan 2024 00:00:00 +99999999999999"
    for nonsense in ("soon", "inf", "nan", "", beyond, "Fri, 31 Dec 99999 23:59:59 GMT"):
        assert retry_after({"retry-after": nonsense}) is None


def test_a_key_that_texts_could_show_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "sk-secret")
    with pytest.raises(AssertionError, match=r"add OTHER_API_KEY to keys\.NAMES"):
        usable_key("OTHER_API_KEY")
