import pytest

from glocal_exp.report.selection import Selection, select

from .synthetic import write_run


def chosen(*arguments, **options) -> Selection:
    """What `select` finds, where it must find something."""
    selection = select(*arguments, **options)
    assert selection is not None
    return selection


def shown(selection):
    return [(run.method, run.seed) for run in selection.runs]


def notes(selection):
    return " ".join(selection.notes)


def test_methods_in_legend_order_then_seeds(tmp_path):
    assert select(tmp_path, "a") is None
    for method in ("global", "none", "glocal"):
        for seed in (1, 0):
            write_run(tmp_path, "a", method, seed, steps=300)
    write_run(tmp_path, "b", "local", 0, steps=300)
    selection = chosen(tmp_path, "a", ["none", "glocal", "global"])
    assert shown(selection) == [(m, s) for m in ("none", "glocal", "global") for s in (0, 1)]
    assert selection.steps == 300
    assert selection.seeds == [0, 1]
    assert selection.notes == ()
    assert not selection.incomplete


def test_all_methods_are_compared_at_the_largest_finished_length(tmp_path):
    write_run(tmp_path, "a", "none", 0, steps=300)
    write_run(tmp_path, "a", "none", 0, steps=500)
    write_run(tmp_path, "a", "glocal", 0, steps=500)
    write_run(tmp_path, "a", "local", 0, steps=300)
    write_run(tmp_path, "a", "local", 0, steps=900, stop_at=2)
    selection = chosen(tmp_path, "a", ["none", "local", "glocal"])
    assert selection.steps == 500
    assert shown(selection) == [("none", 0), ("glocal", 0)]
    assert "T = 300, 900" in notes(selection)
    assert "No run of local is stored." in notes(selection)
    assert selection.incomplete


def test_a_longer_run_waits_until_there_is_something_to_compare_it_with(tmp_path):
    for method in ("none", "local", "glocal", "window_mean"):
        write_run(tmp_path, "a", method, 0, steps=300)
    for method, length in (("none", 300), ("local", 300), ("split", 300), ("glocal", 900)):
        write_run(tmp_path, "a", method, 0, steps=900)
        assert chosen(tmp_path, "a").steps == length, method


def test_unfinished_runs_alone_are_shown(tmp_path):
    write_run(tmp_path, "a", "local", 0, steps=900, stop_at=2)
    selection = chosen(tmp_path, "a")
    assert selection.steps == 900
    assert "unfinished, shown as far as they are: local 1 of 1" in notes(selection)


def test_one_variant_a_method_and_the_others_are_named(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, "a", "glocal", seed, steps=300)
    other = write_run(tmp_path, "a", "glocal", 0, steps=300, config={"method": {"window": 40}})
    selection = chosen(tmp_path, "a")
    assert shown(selection) == [("glocal", 0), ("glocal", 1)]
    assert f"A further variant of glocal ({other.parent.name}) is stored" in notes(selection)


def test_the_variant_with_more_validation_images_is_preferred(tmp_path):
    for size in (1000, 6000, 2000):
        sizes = {"train": 60000 - size, "validation": size, "test": 10000}
        write_run(
            tmp_path, "a", "glocal", 0, steps=300, config={"validation": {"size": size}},
            manifest={"data": {"title": "x", "sizes": sizes}},
        )  # fmt: skip
    selection = chosen(tmp_path, "a")
    assert [run.images("validation") for run in selection.runs] == [6000]


def test_lacking_seeds_divergence_skips_and_age_are_said(tmp_path):
    write_run(tmp_path, "a", "none", 0, steps=300)
    write_run(tmp_path, "a", "none", 1, steps=300)
    write_run(
        tmp_path, "a", "global", 0, steps=300, diverge_at=2,
        manifest={"source_modules": ["glocal_exp.koopman"], "source_hash": "older"},
    )  # fmt: skip
    text = notes(chosen(tmp_path, "a"))
    assert "global lacks seed 1." in text
    assert "diverged, shown up to the last finite point: global 1 of 1." in text
    assert "older version of the numerical code: global 1 of 1." in text
    assert "none" not in text


@pytest.mark.parametrize(
    ("gradients", "label"), [(1, "local"), (80, "local_every"), (100, "local_every")]
)
def test_local_with_every_hypergradient_is_a_method_of_its_own(tmp_path, gradients, label):
    write_run(tmp_path, "a", "local", 0, steps=300, gradients_an_interval=gradients)
    assert chosen(tmp_path, "a").methods == [label]


def test_a_damaged_run_is_left_out_and_said(tmp_path):
    write_run(tmp_path, "a", "none", 0, steps=300)
    path = write_run(tmp_path, "a", "glocal", 0, steps=300)
    (path / "metrics.csv").write_bytes(b"a,b\n1\n")
    selection = chosen(tmp_path, "a")
    assert selection.methods == ["none"]
    assert "Left out: glocal seed 0, damaged (metrics.csv changed or lost" in notes(selection)


def test_further_conditions(tmp_path):
    for momentum in (0.5, 0.9):
        write_run(tmp_path, "a", "none", 0, steps=300, start={"momentum": momentum})
    selection = chosen(tmp_path, "a", where={"task.init.momentum": 0.9})
    assert [run.stored.value("task.init.momentum") for run in selection.runs] == [0.9]
    assert "variant" not in notes(selection)
