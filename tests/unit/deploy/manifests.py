"""The Kubernetes manifests: those of the base, and what the gpu patch makes of them."""

from typing import Any

import yaml

from tests.unit.deploy.compose import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"

Manifest = dict[str, Any]


def base() -> list[Manifest]:
    """Every manifest that the base's kustomization names, in its order."""
    return [manifest for name in kustomization("base")["resources"] for manifest in read(f"base/{name}")]


def gpu() -> list[Manifest]:
    """The base with the patch of gpu/ on it."""
    ((patch,),) = (read(f"gpu/{entry['path']}") for entry in kustomization("gpu")["patches"])
    patched = [merge(manifest, patch) if is_same(manifest, patch) else manifest for manifest in base()]
    assert patched != base()
    return patched


def kustomization(folder: str) -> Manifest:
    """A folder's kustomization.yaml."""
    ((found),) = read(f"{folder}/kustomization.yaml")
    return found


def read(name: str) -> list[Manifest]:
    """Every document of a file."""
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def find(manifests: list[Manifest], kind: str, name: str = "") -> Manifest:
    """The one of this kind (and name)."""
    (found,) = [each for each in manifests if each["kind"] == kind and name in ("", each["metadata"]["name"])]
    return found


def is_same(one: Manifest, other: Manifest) -> bool:
    """Whether both are about the same object."""
    return (one["kind"], one["metadata"]["name"]) == (other["kind"], other["metadata"]["name"])


def merge(old: Any, new: Any) -> Any:
    """A strategic merge patch, as far as these need it: lists of named things are merged by name, others replaced."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: merge(old.get(key), value) for key, value in new.items()}
    if isinstance(old, list) and isinstance(new, list) and all("name" in each for each in [*old, *new]):
        by_name = {each["name"]: each for each in new}
        kept = [merge(each, by_name.get(each["name"], {})) for each in old]
        return [each for name, each in by_name.items() if name not in {one["name"] for one in old}] + kept
    return new


def configuration() -> dict[str, str]:
    """The variables of the generated ConfigMap."""
    (generated,) = kustomization("base")["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generated["literals"])


def variables(container: Manifest) -> dict[str, str]:
    """What a container is given: the ConfigMap's, and its own; a reference reads as the name of the field."""
    own = {
        each["name"]: each.get("value") or next(iter(each["valueFrom"].values())).get("fieldPath", "1")
        for each in container.get("env", [])
    }
    return configuration() | own


def container(manifest: Manifest) -> Manifest:
    """The one container of a workload."""
    (found,) = manifest["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found
