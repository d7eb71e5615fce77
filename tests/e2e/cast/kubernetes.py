# SPDX-License-Identifier: MIT
"""What the API of Kubernetes makes of a manifest: the classes of
python3-kubernetes are generated from its OpenAPI schema."""

import re

import yaml
from kubernetes.client import models

# What came after the version of the API that Debian has (1.22).
NEWER = {("V1Container", "restartPolicy"): "str"}
SCALARS = {"str": str, "int": int, "bool": bool, "float": (int, float),
           "object": object}


def read(path):
    """The manifests in a file, by kind."""
    return {each["kind"]: each
            for each in yaml.safe_load_all(path.read_text())}


def problems(manifest, is_patch=False):
    return list(_walk(manifest, f"V1{manifest['kind']}", manifest["kind"],
                      is_patch))


def container_problems(container):
    """Of a part of one, which need not be complete."""
    return list(_walk(container, "V1Container", "container", True))


def _walk(value, kind, where, is_patch):
    if item := re.fullmatch(r"list\[(.*)\]", kind):
        if not isinstance(value, list):
            yield f"{where}: is no list"
            return
        for index, each in enumerate(value):
            yield from _walk(each, item[1], f"{where}[{index}]", is_patch)
    elif item := re.fullmatch(r"dict\(str, (.*)\)", kind):
        if not isinstance(value, dict):
            yield f"{where}: is no map"
            return
        for name, each in value.items():
            yield from _walk(each, item[1], f"{where}.{name}", is_patch)
    elif kind in SCALARS:
        is_bool = isinstance(value, bool) and kind not in ("bool", "object")
        if is_bool or not isinstance(value, SCALARS[kind]):
            yield f"{where}: is no {kind}: {value!r}"
    else:
        yield from _walk_object(value, kind, where, is_patch)


def _walk_object(value, kind, where, is_patch):
    model = getattr(models, kind)
    names = {theirs: ours for ours, theirs in model.attribute_map.items()}
    if not isinstance(value, dict):
        yield f"{where}: is no {kind}"
        return
    for name, each in value.items():
        if name in names:
            yield from _walk(each, model.openapi_types[names[name]],
                             f"{where}.{name}", is_patch)
        elif (kind, name) in NEWER:
            yield from _walk(each, NEWER[kind, name], f"{where}.{name}",
                             is_patch)
        else:
            yield f"{where}: a {kind} has no {name}"
    if is_patch:
        return
    try:
        model(**{names[name]: each for name, each in value.items()
                 if name in names})
    except ValueError as error:
        yield f"{where}: {error}"
