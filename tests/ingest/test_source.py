from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.source import Source


def paths(source: Source) -> list[str]:
    return [file.path for file in source.files()]


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a\n1\n")


def test_regular_files_by_name_and_nothing_else(tmp_path: Path) -> None:
    odd = ["a b.csv", "#1%20[x]*?.csv", "雪/é.csv", "x::y.csv", "deep/er/est.parquet"]
    land = tmp_path / "land"
    write(land, *odd, ".hidden", "_temporary/x.csv", "deep/_SUCCESS", "deep/.git/x.csv")
    write(tmp_path / "elsewhere", "x.csv")
    os.mkfifo(land / "pipe.csv")
    (land / "folder.csv").mkdir()
    (land / "broken.csv").symlink_to(tmp_path / "gone")
    (land / "link.csv").symlink_to(tmp_path / "elsewhere" / "x.csv")
    (land / "loop").symlink_to(land)
    (tmp_path / "root").symlink_to(land)
    for place in (str(land), f"{land}/", f"file://{land}", str(tmp_path / "root")):
        source = Source(place)
        assert paths(source) == sorted([*odd, "link.csv"])
        for name in (*odd, "link.csv"):
            with source.open(name) as stream:
                assert stream.read() == b"a\n1\n"
            local = source.local_path(name)
            assert local and local.read_bytes() == b"a\n1\n"


def test_a_relative_folder(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path / "land", "x.csv")
    monkeypatch.chdir(tmp_path)
    assert paths(Source("land")) == ["x.csv"]


def test_size_and_time_tell_a_change(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "b.csv")
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    source = Source(str(tmp_path))
    before = {file.path: file for file in source.files()}
    assert {file.path: file for file in source.files()} == before
    state = (tmp_path / "a.csv").stat()
    (tmp_path / "a.csv").write_text("a\n2\n")
    os.utime(tmp_path / "a.csv", ns=(state.st_mtime_ns, state.st_mtime_ns + 1))
    after = {file.path: file for file in source.files()}
    assert [name for name in after if after[name] != before[name]] == ["a.csv", "link.csv"]


def test_files_in_memory() -> None:
    files = fsspec.filesystem("memory")
    files.pipe("/landing source/Login/x.csv", b"a\n1\n")
    files.pipe("/landing source 2/y.csv", b"a\n1\n")
    source = Source("memory://landing source")
    [file] = source.files()
    assert (file.path, file.size) == ("Login/x.csv", 4)
    assert source.local_path("Login/x.csv") is None
    assert source.open("Login/x.csv").read() == b"a\n1\n"
    files.pipe("/landing source/Login/x.csv", b"a\n2\n")
    assert source.files()[0].stamp != file.stamp


def test_files_in_an_archive(tmp_path: Path) -> None:
    def pack(**content: str) -> None:
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for name, text in content.items():
                archive.writestr(f"land/{name}.csv", text)

    pack(a="a\n1\n", b="a\n1\n")
    place = f"zip://land::{tmp_path}/x.zip"
    before = Source(place).files()
    assert [(file.path, file.size) for file in before] == [("a.csv", 4), ("b.csv", 4)]
    assert Source(place).open("a.csv").read() == b"a\n1\n"
    pack(a="a\n2\n", b="a\n1\n", c="")
    after = Source(place).files()
    assert [file.path for file in after if file not in before] == ["a.csv", "c.csv"]
    (tmp_path / "x.zip").write_text("no archive")
    with pytest.raises(IngestError, match="can't be used: File is not a zip file"):
        Source(place).files()


class Remote(MemoryFileSystem):
    """The files in memory, under another protocol."""

    protocol = "remote"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace(f"{cls.protocol}://", "memory://"))


class Untold(Remote):
    """Lists no sizes, as a web server's folder does."""

    protocol = "untold"

    def find(self, path: str, maxdepth=None, withdirs=False, detail=False, **kwargs: Any) -> Any:
        found = super().find(path, maxdepth, withdirs, detail=True, **kwargs)
        return {name: {"name": name, "size": None, "type": "file"} for name in found}

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        found = super().info(path, **kwargs)
        return found | {"size": None} if path.endswith("stream.csv") else found | {"ETag": "e1"}


def test_what_a_listing_does_not_tell_is_asked_for() -> None:
    fsspec.register_implementation("untold", Untold, clobber=True)
    files = Untold()
    files.pipe("/untold land/a.csv", b"a\n1\n")
    files.pipe("/untold land/stream.csv", b"a\n1\n")
    found = Source("untold://untold land").files()
    assert [(file.path, file.size) for file in found] == [("a.csv", 4), ("stream.csv", -1)]
    assert found[0].stamp == "e1"


class Listed(Remote):
    """Answers from listings that it keeps, and forgets no more than it is told to, as FTP's."""

    protocol = "listed"

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        if path not in self.dircache:
            self.dircache[path] = super().ls(path, detail=True, **kwargs)
        found = self.dircache[path]
        return found if detail else [entry["name"] for entry in found]

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        return AbstractFileSystem.info(self, path, **kwargs)

    def invalidate_cache(self, path: str | None = None) -> None:
        if path is None:
            self.dircache.clear()
        else:
            self.dircache.pop(self._strip_protocol(path), None)


def test_a_look_tells_a_file_as_it_is_now_not_as_it_was_listed() -> None:
    fsspec.register_implementation("listed", Listed, clobber=True)
    owner = fsspec.filesystem("memory")
    owner.pipe("/listed land/deep/a.csv", b"a\n1\n")
    source = Source("listed://listed land")
    [listed] = source.files()
    assert source.look("deep/a.csv") == listed

    owner.pipe("/listed land/deep/a.csv", b"a\n12\n")
    changed = source.look("deep/a.csv")
    owner.pipe("/listed land/deep/a.csv", b"a\n21\n")
    again = source.look("deep/a.csv")

    assert (listed.size, changed.size, again.size) == (4, 5, 5)
    assert len({listed.stamp, changed.stamp, again.stamp}) == 3
    owner.rm("/listed land/deep/a.csv")
    with pytest.raises(FileNotFoundError):
        source.look("deep/a.csv")


@pytest.mark.parametrize("place", ["nowhere", "file:///nowhere", "memory://nowhere", "a.csv"])
def test_folders_that_are_not_there(tmp_path: Path, place: str) -> None:
    write(tmp_path, "a.csv")
    place = place if "://" in place else str(tmp_path / place)
    with pytest.raises(IngestError, match=r"does not exist; set `landing` in stupid\.toml"):
        Source(place).files()


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("nonsense://x", "Protocol not known: nonsense .*an URL that fsspec knows"),
        ("data:,x", "can't be (used|listed)"),
        ("zip://::/nowhere.zip", "can't be used: .*No such file"),
    ],
)
def test_places_that_can_t_be_used(place: str, what: str) -> None:
    with pytest.raises(IngestError, match=what):
        Source(place).files()


def test_a_package_that_is_missing_is_named() -> None:
    fsspec.register_implementation(
        "far", "no_such_package.FarFileSystem", clobber=True, errtxt="Install farfs"
    )
    with pytest.raises(IngestError, match=r"far://x can't be used: Install farfs.*install it"):
        Source("far://x").files()
