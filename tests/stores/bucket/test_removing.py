"""Removing objects of a bucket behind a network that breaks."""

from __future__ import annotations

import pytest

from stupid_dagster.errors import StoreError
from stupid_dagster.stores.files import StorageOptions, open_files
from tests.stores.faulty_proxy import FaultyProxy
from tests.stores.s3_server import S3Server


@pytest.mark.parametrize("fault", ["lost answer", "drop request", "hang", "503"])
def test_a_removal_is_sent_again(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    straight = open_files(bucket)
    keys = [f"t/{number}" for number in range(3)]
    for key in keys:
        straight.create(key, b"x")
    with FaultyProxy((s3_server.host, s3_server.port)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        files = open_files(bucket, StorageOptions(request_seconds=0.4, retries=3, retry_seconds=10))
        faults = proxy.set(fault, 2, after=0.6)
        files.remove(keys)
        assert faults.hits == 2
        assert [*straight.below("")] == []
        proxy.set(fault, 99, after=0.6)
        with pytest.raises(StoreError, match="run it again"):
            files.remove(keys)
