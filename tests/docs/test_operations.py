"""What the page of operations ships to copy is understood by those who would read it."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import click
import pytest
import yaml
from dagster._cli import create_dagster_cli
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import create_dagster_webserver_cli

from stupid_dagster.cli.main import main
from stupid_dagster.dagster_home import CONFIG_NAME
from stupid_dagster.settings import SETTINGS, load_settings
from stupid_dagster.settings.variables import PREFIX, VARIABLES
from tests.docs.test_commands import parse
from tests.docs.test_examples import DOCS, blocks

DEPLOY = DOCS.parent / "deploy"
SERVICES = sorted((DEPLOY / "systemd").glob("*.service"))
COMMANDS: dict[str, click.Command] = {
    "dagster": create_dagster_cli(),
    "dagster-daemon": create_dagster_daemon_cli(),
    "dagster-webserver": create_dagster_webserver_cli(),
    "stupid-dagster": main,
}
METRICS = (DOCS.parent / "stupid_dagster" / "api" / "metrics.py").read_text("utf-8")


def unit(file: Path) -> ConfigParser:
    """Return a unit of systemd."""
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
    parser.read_string(file.read_text("utf-8"))
    return parser


@pytest.mark.parametrize("file", SERVICES, ids=lambda file: file.stem)
def test_each_service_starts_a_command_that_is_there(file: Path) -> None:
    program, *words = unit(file)["Service"]["ExecStart"].split()

    parse(words, COMMANDS[Path(program).name])


def test_the_services_share_user_folder_and_environment() -> None:
    services = [unit(file)["Service"] for file in SERVICES]
    assert len(services) == 4
    for name in ("User", "WorkingDirectory", "EnvironmentFile", "ReadWritePaths"):
        assert len({service[name] for service in services}) == 1
    code = unit(DEPLOY / "systemd" / "stupid-dagster-code.service")["Service"]["ExecStart"]
    port = re.search(r"-p (\d+) ", code)
    (location,) = yaml.safe_load((DEPLOY / "systemd" / "workspace.yaml").read_text())["load_from"]
    assert port and location["grpc_server"]["port"] == int(port[1])
    assert location["grpc_server"]["location_name"] == "stupid_dagster"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_services() -> None:
    command = ["systemd-analyze", "verify", "--man=no", *map(str, SERVICES)]

    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr

    # That the release isn't installed where they expect it is all there is to tell.
    names = tuple(file.name for file in SERVICES)
    lines = [line for line in told.splitlines() if line.startswith(names)]
    assert [line for line in lines if "is not executable" not in line] == []
    assert len(lines) == len(names), told


def test_the_services_are_told_what_is_read() -> None:
    text = (DEPLOY / "systemd" / "stupid-dagster.env").read_text("utf-8")
    names = re.findall(r"^(?:# )?([A-Z_]+)=", text, re.MULTILINE)
    settings = {f"{PREFIX}{name.upper()}" for name in SETTINGS}
    assert len(names) == 6
    assert {*names} <= {*VARIABLES, *settings, "PATH"}


def test_the_settings_of_the_page_can_be_used(tmp_path: Path) -> None:
    (text,) = blocks("operations.md", "toml")
    (tmp_path / "stupid.toml").write_text(text, "utf-8")

    settings = load_settings(tmp_path, environment={})

    assert settings.landing == "/data/events"
    assert f"{CONFIG_NAME}.example" in (DOCS / "operations.md").read_text("utf-8")


def expressions() -> str:
    """Return the expressions of the alerts, one a line."""
    (group,) = yaml.safe_load((DEPLOY / "alerts.yaml").read_text("utf-8"))["groups"]
    return "\n".join(rule["expr"] for rule in group["rules"])


def test_the_alert_for_memory_comes_before_the_pod_s_limit() -> None:
    (most,) = re.findall(r"^process_resident_memory_bytes.* > (.+)$", expressions(), re.MULTILINE)
    pods = yaml.safe_load_all((DEPLOY / "api.yaml").read_text("utf-8"))
    (deployment,) = [pod for pod in pods if pod["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    limit = container["resources"]["limits"]["memory"]
    assert limit.endswith("Gi")
    assert float(most) < 0.9 * float(limit.removesuffix("Gi")) * 2**30


@pytest.mark.parametrize(
    "text",
    [expressions(), *((DOCS / page).read_text("utf-8") for page in ("operations.md", "api.md"))],
    ids=["alerts.yaml", "operations.md", "api.md"],
)
def test_metrics_that_are_named_are_there(text: str) -> None:
    names = {*re.findall(r"\bstupid_[a-z_]+\b", text)} - {"stupid_dagster"}
    assert names
    for name in names:
        assert f'"{re.sub("_(total|bucket)$", "", name)}"' in METRICS, name
