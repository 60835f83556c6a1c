"""Settings out of `stupid.toml`, the environment and flags.

Values come from `stupid.toml` in the project's root, then `STUPID_*` environment variables,
then command-line flags; the later wins. `sources` remembers where each came from.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from stupid_dagster.errors import SettingsError, hint
from stupid_dagster.settings.conflicts import conflicts
from stupid_dagster.settings.table import SETTINGS, Settings
from stupid_dagster.settings.variables import PREFIX, ROOT

CONFIG_FILE = "stupid.toml"
_TABLES = ("llm_prices",)
"""Settings that are tables of TOML themselves: their names are no prefixes."""
_SECRET = ("api_key",)


def load_settings(
    root: Path | str | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings of the project in `root` (default: `STUPID_ROOT`, else here).

    Raises SettingsError, listing every unknown name and unusable value at once.
    """
    environment = os.environ if environment is None else environment
    folder = Path(root or environment.get(ROOT, ".")).resolve()
    if not folder.is_dir():
        raise SettingsError(f"the project's folder {folder} does not exist")
    layers = [
        (CONFIG_FILE, _read_config(folder / CONFIG_FILE)),
        ("environment", _read_environment(environment)),
        ("flag", {k: v for k, v in (overrides or {}).items() if v is not None}),
    ]
    hints = get_type_hints(Settings, include_extras=True)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    problems: list[str] = []
    for source, layer in layers:
        for name, raw in layer.items():
            if name not in SETTINGS:
                problems.append(f"{source}: no setting is named {name!r}{hint(name, SETTINGS)}")
                continue
            try:
                values[name] = TypeAdapter(hints[name]).validate_python(raw)
            except ValidationError as error:
                first = error.errors()[0]
                reason = ": ".join([*map(str, first["loc"]), first["msg"]])
                problems.append(f"{source}: {name} = {_shown(name, raw)}: {reason}")
                continue
            minimum, maximum = SETTINGS[name].metadata["range"]
            if minimum is not None and not minimum <= values[name] <= maximum:
                most = "" if maximum == sys.maxsize else f", and at most {maximum}"
                problems.append(f"{source}: {name} = {raw!r}: must be at least {minimum}{most}")
            sources[name] = source
    settings = Settings(**values, root=folder, sources=sources)
    problems = problems or conflicts(settings)
    if problems:
        raise SettingsError(
            "settings can't be used:\n" + "\n".join(f"  - {problem}" for problem in problems)
        )
    return settings


def _shown(name: str, raw: Any) -> str:
    """Return a value as an error may quote it."""
    return "***" if name in _SECRET else repr(raw)


def _read_config(file: Path) -> dict[str, Any]:
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{file} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not valid TOML: {error}") from error
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict) and name not in _TABLES:
            flat |= {f"{name}_{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat


def _read_environment(environment: Mapping[str, str]) -> dict[str, str]:
    names = (name for name in environment if name.startswith(PREFIX) and name != ROOT)
    return {name.removeprefix(PREFIX).lower(): environment[name] for name in names}
