"""Stored runs from before modes were classes move to the paths that their configs have now."""

import json
import shutil

import pytest
import yaml

from glocal_exp.app.compose import jobs
from glocal_exp.app.config import numeric_config
from glocal_exp.store import config_hash
from scripts.migrate_hypergradient import migrate, new_node, numeric

COMPOSED = ["experiment=fig2_sgd", "steps=2000", "validation.subset=1000"]


def stored(root, node):
    """A run as it was stored, of the config that `COMPOSED` gives."""
    config = yaml.safe_load(jobs_yaml())
    config["hypergradient"] = node
    manifest = {"data": {"source": "files"}, "source_modules": ["glocal_exp.engine", "other"]}
    digits = config_hash(numeric(config, manifest))
    manifest |= {"config_hash": digits, "variant": f"glocal-{digits}", "status": "complete"}
    folder = root / "fig2_sgd" / f"glocal-{digits}" / "seed=0"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def jobs_yaml():
    from glocal_exp.app.compose import as_yaml

    return as_yaml(jobs(COMPOSED, sweep=False)[0].config)


@pytest.mark.parametrize(
    ("node", "choice"),
    [
        ({"tangent_chunk": None}, "forward"),
        ({"mode": "reverse", "block": None}, "reverse"),
        ({"mode": "auto", "tangent_chunk": None, "block": None}, "auto"),
        ({"mode": "low_rank", "tangent_chunk": None, "tolerance": 1e-4, "probes": 4}, "low_rank"),
    ],
)
def test_a_run_moves_to_the_hash_of_its_config(tmp_path, node, choice):
    folder = stored(tmp_path, node)
    place = migrate(folder)
    assert place is not None
    assert not folder.parent.exists()
    job = jobs([*COMPOSED, f"hypergradient={choice}"], sweep=False)[0]
    manifest = json.loads((place / "manifest.json").read_text())
    assert manifest["config_hash"] == config_hash(numeric_config(job.config, "files"))
    assert place.parent.name == manifest["variant"] == f"glocal-{manifest['config_hash']}"
    assert manifest["source_modules"] == ["glocal_exp.app.assemble", "other"]
    assert manifest["status"] == "complete"
    assert migrate(place) is None


def test_a_config_that_is_not_that_of_its_hash_is_left_alone(tmp_path):
    folder = stored(tmp_path, {"tangent_chunk": None})
    shutil.copy(folder / "config.yaml", tmp_path / "before.yaml")
    text = (folder / "config.yaml").read_text().replace("interval: 100", "interval: 50")
    (folder / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match="not that of its hash"):
        migrate(folder)
    assert (folder / "config.yaml").read_text() == text


def test_few_tangents_keep_their_settings():
    node = new_node({"mode": "low_rank", "tolerance": 0.01, "sizes": [12], "tangent_chunk": 3})
    assert (node["tolerance"], node["sizes"], node["chunk"], node["probes"]) == (0.01, [12], 3, 4)
