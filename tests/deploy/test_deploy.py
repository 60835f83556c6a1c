"""What deploy/ ships is loaded or validated by those who would read it, as far as they are here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from stupid_dagster.automation.needs import DAY_NEEDS, DAY_RUN, NEEDS, WINDOW_NEEDS, run_tags
from stupid_dagster.instance.postgres import WipeablePostgresEventLog
from stupid_dagster.settings import load_settings
from tests.instance.servers import USER, PostgresServer, postgres_server

pytestmark = pytest.mark.clusters

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS: dict[str, dict[str, Any]] = {
    f"{manifest['kind']} {manifest['metadata']['name']}": manifest
    for name in ("api.yaml", "ray.yaml", "settings.yaml")
    for manifest in yaml.safe_load_all((DEPLOY / name).read_text())
}
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    "users": [{"name": "none", "user": {}}],
    "current-context": "none",
}


@pytest.fixture(scope="module")
def postgres():
    with postgres_server() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster home, and in the environment what its dagster.yaml may name."""
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres.url(postgres.new_database()))
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "not checked")
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "redis://127.0.0.1:1/1")
    return tmp_path


def instance(home: Path, config: dict[str, Any]) -> dg.DagsterInstance:
    (home / "dagster.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return dg.DagsterInstance.from_config(str(home))


def valid(manifest: Any) -> None:
    import kubernetes_validate  # pyright: ignore[reportMissingImports]

    release = kubernetes_validate.latest_version()
    kubernetes_validate.validate(manifest, release, strict=True)


def containers(deployment: str) -> list[dict[str, Any]]:
    return MANIFESTS[deployment]["spec"]["template"]["spec"]["containers"]


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / name).read_text())


@pytest.mark.parametrize(
    ("name", "launcher"),
    [
        ("dagster-ray.yaml", "DefaultRunLauncher"),
        ("dagster-k8s.yaml", "K8sRunLauncher"),
        ("dagster-celery.yaml", "CeleryRunLauncher"),
    ],
)
def test_each_instance_loads(home: Path, name: str, launcher: str) -> None:
    config = read(name)
    if "K8s" in launcher:  # there is no cluster to be in
        (home / "kubeconfig").write_text(yaml.safe_dump(KUBECONFIG))
        outside = {"load_incluster_config": False, "kubeconfig_file": str(home / "kubeconfig")}
        config["run_launcher"]["config"] |= outside
    with instance(home, config) as loaded:
        assert type(loaded.run_launcher).__name__ == launcher
        assert isinstance(loaded.event_log_storage, WipeablePostgresEventLog)
        assert loaded.run_monitoring_enabled and loaded.run_retries_enabled
        assert not loaded.telemetry_enabled


@pytest.mark.parametrize("job", ["days", "window"])
def test_a_run_s_pod_is_a_valid_job_with_the_memory_of_its_largest_step(
    job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster_k8s.job import (  # pyright: ignore[reportMissingImports]
        DagsterK8sJobConfig,
        construct_dagster_k8s_job,
        get_user_defined_k8s_config,
    )
    from kubernetes.client import ApiClient  # pyright: ignore[reportMissingImports]

    launcher = read("dagster-k8s.yaml")["run_launcher"]["config"]
    config = DagsterK8sJobConfig(
        job_image=launcher["job_image"],
        dagster_home=launcher["dagster_home"],
        instance_config_map=launcher["instance_config_map"],
        env_config_maps=launcher["env_config_maps"],
        env_secrets=launcher["env_secrets"],
    )
    needs = [DAY_RUN] if job == "days" else [*WINDOW_NEEDS.values()]
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    tags = {key: json.dumps(value) for key, value in run_tags(*needs).items()}
    made = construct_dagster_k8s_job(
        config, ["dagster"], "run", user_defined_k8s_config=get_user_defined_k8s_config(tags)
    )
    manifest = ApiClient().sanitize_for_serialization(made)
    valid(manifest)
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    largest = max(need.memory() for need in needs) >> 20
    assert container["resources"]["requests"]["memory"] == f"{largest}Mi"


@pytest.mark.parametrize("name", MANIFESTS)
def test_each_manifest_is_valid(name: str) -> None:
    import kubernetes_validate  # pyright: ignore[reportMissingImports]

    valid(MANIFESTS[name])
    with pytest.raises(kubernetes_validate.ValidationError):
        valid({**MANIFESTS[name], "specc": {}})


def test_each_step_fits_a_worker_of_ray_and_a_day_s_the_small_ones() -> None:
    memory = {}
    for worker in ("ray-worker", "ray-big-worker"):
        (container,) = containers(f"Deployment {worker}")
        (given,) = (a for a in container["args"] if a.startswith("--memory="))
        memory[worker] = int(given.partition("=")[2])
        limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi")) << 20
        assert limit > memory[worker], "Ray's own processes need some, too"
    assert memory["ray-worker"] == max(need.memory() for need in DAY_NEEDS.values())
    assert memory["ray-big-worker"] == max(need.memory() for need in NEEDS.values())


def test_what_the_pods_are_told_are_settings(tmp_path: Path) -> None:
    data = MANIFESTS["ConfigMap stupid-settings"]["data"]
    settings = load_settings(tmp_path, environment=data)
    assert settings.compute == "ray"
    address = re.fullmatch(r"http://([\w-]+):(\d+)", settings.ray_address)
    assert address
    ports = MANIFESTS[f"Service {address[1]}"]["spec"]["ports"]
    assert int(address[2]) in [port["port"] for port in ports]


def test_the_settings_of_a_cluster_in_the_docs_can_be_used(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    (text,) = re.findall(r"```toml\n(# stupid\.toml\n.*?)```", page, re.DOTALL)
    (tmp_path / "stupid.toml").write_text(text)
    settings = load_settings(tmp_path, environment={})
    assert settings.compute == "ray"
    assert str(settings.lake_location).startswith("s3://")
    assert {*tomllib.loads(text)} == {*settings.sources}


def test_each_pod_has_a_workplace_of_its_own() -> None:
    (workplace,) = re.findall(r"STUPID_WORKPLACE=(\S+)", (DEPLOY / "Containerfile").read_text())
    for name in ("ray-worker", "ray-big-worker", "stupid-api"):
        (container,) = containers(f"Deployment {name}")
        assert workplace in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_the_instance_of_dagster_s_chart_with_ours_behind_it_can_wipe(
    home: Path, postgres: PostgresServer
) -> None:
    """The chart writes a storage each, by the keys of `postgresql`, and appends the rest."""
    values = read("values.yaml")
    of = values["postgresql"]
    config = {
        "username": of["postgresqlUsername"],
        "password": {"env": "DAGSTER_PG_PASSWORD"},
        "hostname": of["postgresqlHost"],
        "db_name": of["postgresqlDatabase"],
        "port": of["service"]["port"],
    }
    more = values["additionalInstanceConfig"]
    assert more["event_log_storage"]["config"] == {"postgres_db": config}
    assert of["postgresqlUsername"] == USER
    server = {"hostname": "127.0.0.1", "port": postgres.port, "db_name": postgres.new_database()}
    more["event_log_storage"]["config"]["postgres_db"] |= server
    own = {"postgres_db": {**config, **server, "scheme": of["postgresqlScheme"]}}
    chart = {
        f"{part}_storage": {
            "module": f"dagster_postgres.{part}_storage",
            "class": f"Postgres{part.title()}Storage",
            "config": own,
        }
        for part in ("schedule", "run")
    }
    chart["event_log_storage"] = {
        "module": "dagster_postgres.event_log",
        "class": "PostgresEventLogStorage",
        "config": own,
    }
    text = "".join(
        yaml.safe_dump(part) for part in (chart, {"telemetry": {"enabled": False}}, more)
    )
    assert text.count("event_log_storage:") == 2
    (home / "dagster.yaml").write_text(text)
    with dg.DagsterInstance.from_config(str(home)) as loaded:
        assert isinstance(loaded.event_log_storage, WipeablePostgresEventLog)


def test_the_chart_s_values_name_one_image_one_module_and_what_is_there() -> None:
    values = read("values.yaml")
    (code,) = values["dagster-user-deployments"]["deployments"]
    images = {
        json.dumps(part["image"])
        for part in (values["dagsterWebserver"], values["dagsterDaemon"], code)
    }
    assert len(images) == 1
    image = f"{code['image']['repository']}:{code['image']['tag']}"
    pods = [containers(name) for name in MANIFESTS if name.startswith("Deployment")]
    assert {container["image"] for pod in pods for container in pod} == {image}
    assert read("dagster-k8s.yaml")["run_launcher"]["config"]["job_image"] == image
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert code["dagsterApiGrpcArgs"] == ["-m", pyproject["tool"]["dagster"]["module_name"]]


def test_the_image_s_file_passes_hadolint() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    file = (DEPLOY / "Containerfile").read_text()

    def lint(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([hadolint, "-"], input=text, capture_output=True, text=True)

    done = lint(file)
    assert done.returncode == 0, done.stdout
    assert lint(file.replace("--no-cache-dir ", "")).returncode == 1


def test_the_image_copies_what_is_there_and_installs_extras_that_are() -> None:
    file = (DEPLOY / "Containerfile").read_text()
    for line in re.findall(r"^COPY (.+) \S+$", file, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists(), name
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", file)
    assert {*extras.split(",")} <= pyproject["project"]["optional-dependencies"].keys()
    assert {"postgres", "s3", "ray", "k8s", "celery"} <= {*extras.split(",")}
    home = read("dagster-k8s.yaml")["run_launcher"]["config"]["dagster_home"]
    assert f"DAGSTER_HOME={home} " in file
