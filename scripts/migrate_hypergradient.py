"""Rename stored runs and studies whose `hypergradient` node names a mode instead of a class.

Every hash is computed from the stored config twice: as it was, which has to give the stored one,
and with the new node. Run once on results/ and on an outputs folder of one's own.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from glocal_exp.app.config import NUMERIC
from glocal_exp.app.identity import ENGINE
from glocal_exp.store import config_hash

MODES = "glocal_exp.engine.modes"
OLD_ENGINE = ("glocal_exp.engine", "glocal_exp.tasks.classification", "glocal_exp.data.split")


def new_node(old: Mapping[str, Any]) -> dict[str, Any]:
    """A class with its settings, as configs/hypergradient now has it."""
    chunk = old.get("tangent_chunk")
    forward = {"_target_": f"{MODES}.forward.Forward", "chunk": chunk}
    reverse = {"_target_": f"{MODES}.reverse.Reverse", "block": old.get("block")}
    few = {"tolerance": 1e-4, "probes": 4, "sizes": [12, 16, 24, 32, 48, 64, 80, 96, 128, 192]}
    few |= {name: old[name] for name in few if name in old}
    low_rank = {"_target_": f"{MODES}.low_rank.LowRank", "chunk": chunk} | few
    modes = {"forward": forward, "reverse": reverse, "low_rank": low_rank}
    return (
        {"_target_": f"{MODES}.auto.Auto"} | modes
        if old.get("mode") == "auto"
        else modes[old.get("mode", "forward")]
    )


def numeric(config: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the hash is of, from a stored config."""
    kept = {key: config.get(key) for key in NUMERIC}
    dataset = config["dataset"]
    kept |= {"dataset": dataset["name"], "bundled": manifest["data"]["source"] == "bundled"}
    optional = {"imbalance": dataset.get("imbalance"), "augmentation": config.get("augmentation")}
    kept |= {key: value for key, value in optional.items() if value is not None}
    return {"study": config["study"]} | kept if config.get("study") else kept


def migrate(folder: Path) -> Path | None:
    """The folder's new place, or None if there is nothing to do.

    Raises:
        ValueError: the stored hash is not that of the stored config.
    """
    file, manifest_file = folder / "config.yaml", folder / "manifest.json"
    config, manifest = yaml.safe_load(file.read_text()), json.loads(manifest_file.read_text())
    old = config.get("hypergradient")
    if not old or "_target_" in old:
        return None
    if config_hash(numeric(config, manifest)) != manifest["config_hash"]:
        raise ValueError(f"{folder}: the stored config is not that of its hash")
    config["hypergradient"] = new_node(old)
    digits = config_hash(numeric(config, manifest))
    variant = manifest["variant"].replace(manifest["config_hash"], digits)
    place = folder.parents[1] / variant / folder.name
    modules = set(manifest.get("source_modules", ())) - set(OLD_ENGINE)
    manifest |= {"config_hash": digits, "variant": variant}
    if "source_modules" in manifest:
        manifest["source_modules"] = sorted({*modules, *ENGINE})
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    manifest_file.write_text(json.dumps(manifest, indent=2) + "\n")
    place.parent.mkdir(exist_ok=True)
    folder.rename(place)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()
    return place


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="runs or studies, or above them")
    for root in parser.parse_args().folders:
        for found in sorted(root.rglob("config.yaml")):
            if place := migrate(found.parent):
                print(f"{found.parent} -> {place}")
