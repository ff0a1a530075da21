"""Every file of `deploy/` against the schema of the program that reads it, and against what the product really is."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from backend.settings import Settings as BackendSettings
from bot.settings import Settings as BotSettings

PROJECT = Path(__file__).resolve().parents[2]
DEPLOY = PROJECT / "deploy"
KUBERNETES = "1.33"
VENDORS = {"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
"""Read by the object store's clients."""


def documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one is not None]


def resources() -> list[dict[str, Any]]:
    kustomization = documents(DEPLOY / "kubernetes" / "kustomization.yaml")[0]
    return [one for name in kustomization["resources"] for one in documents(DEPLOY / "kubernetes" / name)]


def named(kind: str, name: str) -> dict[str, Any]:
    return next(one for one in resources() if (one["kind"], one["metadata"]["name"]) == (kind, name))


def variables() -> set[str]:
    """Every environment variable that a program of ours reads."""
    names = set(VENDORS)
    for settings in (BackendSettings, BotSettings):
        for name, field in settings.model_fields.items():
            alias = field.validation_alias
            names.add(alias if isinstance(alias, str) else f"FOOTNOTE_{name}".upper())
    return names


def schema(name: str) -> dict[str, Any]:
    text = (files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{name}.json").read_text()
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_the_kustomization_names_every_file_beside_it() -> None:
    kustomization = documents(DEPLOY / "kubernetes" / "kustomization.yaml")[0]
    beside = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == beside


@pytest.mark.parametrize("resource", resources(), ids=lambda one: f"{one['kind']}/{one['metadata']['name']}")
def test_kubernetes_knows_every_field(resource: dict[str, Any]) -> None:
    kubernetes_validate.validate(resource, KUBERNETES, strict=True)


def test_pods_run_without_rights_and_within_limits() -> None:
    pods = [one["spec"]["template"]["spec"] for one in resources() if one["kind"] in {"Deployment", "Job"}]
    assert len(pods) == 3
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"]
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}


def test_kubernetes_selectors_find_their_pods_and_ports() -> None:
    backend = named("Deployment", "backend")["spec"]["template"]
    labels, container = backend["metadata"]["labels"], backend["spec"]["containers"][0]
    assert named("Service", "backend")["spec"]["selector"].items() <= labels.items()
    assert named("PodDisruptionBudget", "backend")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert named("Service", "backend")["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]


def test_bots_in_kubernetes_share_everything_and_keep_nothing() -> None:
    deployed = named("Deployment", "bot")["spec"]
    assert deployed["replicas"] == 2
    assert deployed["strategy"] == {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert all("emptyDir" in volume for volume in deployed["template"]["spec"]["volumes"])
    assert {"secretRef": {"name": "footnote"}} in deployed["template"]["spec"]["containers"][0]["envFrom"]
    assert named("Secret", "footnote")["stringData"]["FOOTNOTE_DATABASE_URL"].startswith("postgresql://")
    labels = deployed["template"]["metadata"]["labels"]
    assert named("PodDisruptionBudget", "bot")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    waits = deployed["template"]["spec"]["terminationGracePeriodSeconds"]
    assert waits > BotSettings.model_fields["stop_timeout"].default + 10


def test_bots_of_compose_share_their_memory_where_there_are_several() -> None:
    services = documents(DEPLOY / "compose.yaml")[0]["services"]
    small, full = services["bot"], services["bot-full"]
    assert (small["profiles"], full["profiles"]) == (["small"], ["full"])
    assert "FOOTNOTE_DATABASE_URL" not in small["environment"]
    backend = services["backend-full"]["environment"]["FOOTNOTE_DATABASE_URL"]
    assert full["environment"]["FOOTNOTE_DATABASE_URL"] == backend
    assert (full["deploy"]["replicas"], full["volumes"]) == (2, ["/data"])


def shared(variables: dict[str, Any]) -> None:
    """All that several backends need of one another is where they all reach it."""
    assert variables["FOOTNOTE_DATABASE_URL"].startswith("postgresql://")
    assert variables["FOOTNOTE_REDIS_URL"].startswith("redis://")
    assert {variables["FOOTNOTE_INDEX_URI"][:5], variables["FOOTNOTE_BLOBS_URI"][:5]} == {"s3://"}


def test_backends_in_kubernetes_share_everything_and_keep_nothing() -> None:
    shared({**named("ConfigMap", "footnote")["data"], **named("Secret", "footnote")["stringData"]})
    deployed = named("Deployment", "backend")["spec"]
    assert deployed["strategy"] == {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert all("emptyDir" in volume for volume in deployed["template"]["spec"]["volumes"])
    scaler = named("HorizontalPodAutoscaler", "backend")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 10)
    assert "replicas" not in deployed


def test_several_backends_of_compose_share_everything_and_keep_nothing() -> None:
    backend = documents(DEPLOY / "compose.yaml")[0]["services"]["backend-full"]
    assert backend["deploy"]["replicas"] > 1
    assert backend["volumes"] == ["/data"]
    shared(backend["environment"])


def test_kubernetes_sets_only_variables_that_exist() -> None:
    given = {*named("ConfigMap", "footnote")["data"], *named("Secret", "footnote")["stringData"]}
    assert given <= variables()


@pytest.mark.parametrize("name", ["compose.yaml", "compose.dev.yaml"])
def test_compose_files_fit_their_schema_and_set_only_variables_that_exist(name: str) -> None:
    composed = documents(DEPLOY / name)[0]
    jsonschema.validate(composed, schema("compose-spec"))
    ours = [one for one in composed["services"].values() if "build" in one]
    assert ours
    for service in ours:
        assert set(service["environment"]) <= variables()
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_compose_mounts_what_is_there() -> None:
    composed = documents(DEPLOY / "compose.yaml")[0]
    for service in composed["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith("./") or (DEPLOY / source).exists(), source


@pytest.mark.parametrize("path", sorted((PROJECT / ".github" / "workflows").iterdir()), ids=lambda path: path.name)
def test_workflows_fit_their_schema(path: Path) -> None:
    # YAML 1.1 reads "on" as a truth value
    workflow = {"on" if str(key) == "True" else key: value for key, value in documents(path)[0].items()}
    jsonschema.validate(workflow, schema("github-workflows"))


def test_the_image_is_given_what_the_build_copies_and_nothing_secret() -> None:
    ignored = (PROJECT / ".dockerignore").read_text().split()
    given = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert ignored[0] == "*"
    assert {"backend", "bot", "prompts", "docs", "deploy", "README.md", "Makefile"} <= given
    assert all((PROJECT / name).exists() for name in given)


def test_the_images_lock_is_a_part_of_the_developers_lock() -> None:
    def pinned(path: Path) -> set[str]:
        return {line.split(" ")[0] for line in path.read_text().splitlines() if "==" in line and line[0].isalpha()}

    image, all_of_it = pinned(DEPLOY / "requirements.lock"), pinned(PROJECT / "requirements.lock")
    assert image < all_of_it
    assert not {name for name in image if name.startswith(("pytest", "mypy", "playwright"))}
