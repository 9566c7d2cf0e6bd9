"""Verdicts: each follows from stored numbers, and changes with them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml

from glocal_exp.errors import UserError
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.claims.accuracy import AboveFromStarts, BestWindow, Difference, Diverges
from glocal_exp.report.claims.courses import Aggressive, Follows, TimesRatio
from glocal_exp.report.claims.criterion import AGREES, DISAGREES, NOT_RUN, UNDECIDED, holm
from glocal_exp.report.claims.shares import CostsLess, Falls, InDraws, InIntervals, InTable
from glocal_exp.report.claims.trajectories import Converges, Modes, Predicts
from glocal_exp.report.objects import entries
from glocal_exp.store import find_runs
from tests.sealing import reseal

from .synthetic import CONFIGS, overwrite, table, write_from, write_run, write_study

ABOVE = Difference(["a"], "glocal", "local", "above")
EQUAL = Difference(["a"], "glocal", "local", "equal")


def store(root, glocal, local, experiment="a"):
    """Runs that end, over the last five evaluations, with so many percent on average."""
    for method, ends in (("glocal", glocal), ("local", local)):
        for seed, end in enumerate(ends):
            path = write_run(root, experiment, method, seed)
            overwrite(path, "test_accuracy", (end + np.array([-2, -1, 0, 1, 2])) / 100)
    return Context(root)


@pytest.mark.parametrize(
    ("glocal", "above", "equal"),
    [
        ([82.0, 82.1, 82.2], AGREES, DISAGREES),
        ([80.0, 80.1, 79.9], DISAGREES, AGREES),
        ([78.0, 78.1, 78.2], DISAGREES, DISAGREES),
        ([84.0, 80.0, 79.0], UNDECIDED, UNDECIDED),
        ([80.3, 80.3, 80.31], AGREES, AGREES),  # a difference, and a small one
    ],
)
def test_accuracies_are_compared_by_seed(tmp_path, glocal, above, equal):
    context = store(tmp_path, glocal, [80.0, 80.0, 80.0])
    found = ABOVE.judge(context)
    assert found.verdict == above
    assert EQUAL.judge(context).verdict == equal
    assert found.size == "T = 2,000, 3 seeds (a)"
    assert f"{np.mean(glocal) - 80:.2f}".replace("-", "") in found.ours


def test_settings_that_an_experiment_sweeps_over_count_one_by_one(tmp_path):
    """Where one of them is not stored, the claim is not run, whatever the others say."""
    above = {10: 82.0, 100: 79.0}
    detached = {"across": {"factor": [10, 100]}, "where": {"detached": False}}
    judged = Difference(["a"], "glocal", "local", "above", **detached)
    for factor, end in above.items():
        for method, ends in (("glocal", end), ("local", 80.0)):
            for seed in range(3):
                for detach in (True, False):
                    settings = {"factor": factor, "detached": detach}
                    path = write_run(tmp_path, "a", method, seed, config=settings)
                    value = 50.0 if detach else ends + 0.1 * seed * (method == "glocal")
                    overwrite(path, "test_accuracy", [value / 100] * 5)
        if factor == 10:
            with pytest.raises(MissingRuns):
                judged.judge(Context(tmp_path))
    found = judged.judge(Context(tmp_path))
    assert found.verdict == DISAGREES
    ours = found.ours.replace("\N{MINUS SIGN}", "-")
    assert ours == "+2.10 [+1.85, +2.35] (a 10), -0.90 [-1.15, -0.65] (a 100)"
    assert found.size == "T = 2,000, 3 seeds (a 10, a 100)"


@pytest.mark.parametrize(
    "settings",
    [
        *({"across": odd} for odd in (None, ["a"])),
        *({"across": {"factor": odd}} for odd in (100, [], "100")),
        *({"where": odd} for odd in (None, ["a"], {"experiment": "b"}, {"stepz": 1})),
        {"experiments": []}, {"experiments": "a"},
    ],
)  # fmt: skip
def test_a_claim_that_asks_for_nothing_there_is_is_one_sentence(tmp_path, settings):
    context = store(tmp_path, [82.0, 82.1], [80.0, 80.0])
    claim = {"experiments": ["a"], "subject": "glocal", "other": "local", "expected": "equal"}
    with pytest.raises(UserError):
        Difference(**claim | settings).judge(context)


def test_an_experiment_of_several_is_corrected_for_the_others(tmp_path):
    """p is 0.026 in one: enough alone, not beside two that say nothing."""
    store(tmp_path, [80.8, 81.0, 81.4], [80.0, 80.0, 80.0])
    for name in ("b", "c"):
        store(tmp_path, [84.0, 80.0, 77.0], [80.0, 80.0, 80.0], name)
    context = Context(tmp_path)
    assert ABOVE.judge(context).verdict == AGREES
    assert (
        Difference(["a", "b", "c"], "glocal", "local", "above").judge(context).verdict == UNDECIDED
    )
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    assert holm([np.nan, 0.5]).tolist() == [1.0, 1.0]


def test_a_broken_number_changes_the_verdict_of_the_scoreboard(tmp_path):
    runs = tmp_path / "runs"
    store(runs, [82.0, 82.1, 82.2], [80.0, 80.0, 80.0])
    one = {"place": "Fig. 1", "claim": "It is better.", "paper": "yes"}
    target = "glocal_exp.report.claims.accuracy.Difference"
    sought = {"experiments": ["a"], "subject": "glocal", "other": "local", "expected": "above"}
    absent = {"_target_": target, **sought, "experiments": ["z"]}
    claims = {
        "better": {**one, "criterion": {"_target_": target, **sought}},
        "elsewhere": {**one, "criterion": absent},
        "never": {**one, "criterion": None},
    }
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump(claims))
    context = Context(runs, configs=tmp_path / "configs")
    scoreboard = table("claims", file="claims.yaml")
    sheet = scoreboard.make(context)
    assert sheet.data["verdict"].tolist() == [AGREES, NOT_RUN, NOT_RUN]
    assert sheet.missing == ("z",)
    assert "1 agrees, 2 not run" in sheet.caption
    for path in runs.glob("a/glocal-*/seed=*"):
        overwrite(path, "test_accuracy", [0.78] * 5)
    assert scoreboard.make(context).data["verdict"][0] == DISAGREES
    wrong = {"_target_": "glocal_exp.report.claims.shares.InIntervals", "experiments": ["a"]}
    spoilt = claims | {
        "better": {**one, "criterion": {**wrong, "method": "local", "holds": "x > 1", "share": 0.5}}
    }
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump(spoilt))
    with pytest.raises(UserError, match="better's criterion cannot be read"):
        scoreboard.make(context)
    claims["better"].pop("place")
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump(claims))
    with pytest.raises(UserError, match="better should have claim, criterion, paper, place"):
        scoreboard.make(context)


def test_divergence_counts_where_it_is_in_every_experiment(tmp_path):
    write_run(tmp_path, "a", "global", 0, diverge_at=9)
    write_run(tmp_path, "a", "global", 1)
    assert Diverges(["a"], "global", steps=10_000).judge(Context(tmp_path)).verdict == AGREES
    write_run(tmp_path, "b", "global", 0)
    for steps, verdict in ((2000, DISAGREES), (2001, UNDECIDED)):  # runs have 2000
        found = Diverges(["a", "b"], "global", steps=steps).judge(Context(tmp_path))
        assert found.verdict == verdict
        assert found.ours == "diverged: 1 of 2 (a), 0 of 1 (b)"
    with pytest.raises(MissingRuns):
        Diverges(["c"], "global").judge(Context(tmp_path))


def test_ways_of_hyperparameters_are_measured_without_bounds(tmp_path):
    """On the unconstrained scale local goes twice as far, and glocal stays by global."""
    for seed in range(3):
        for method, step in (("local", 0.2), ("glocal", 0.1), ("global", 0.11 + 0.001 * seed)):
            path = write_run(tmp_path, "a", method, seed, steps=1000)
            logits = step * np.arange(11)
            for name in ("learning_rate", "momentum", "weight_decay"):
                overwrite(path, f"hyperparameter/{name}", 1 / (1 + np.exp(-logits)))
    context = Context(tmp_path)
    found = Aggressive(["a"], "local", "glocal").judge(context)
    assert (found.verdict, found.ours) == (AGREES, "2.00 times [2.00, 2.00] (a)")
    assert Aggressive(["a"], "glocal", "local").judge(context).verdict == DISAGREES
    found = Follows(["a"], "glocal", "global", "local").judge(context)
    assert (found.verdict, found.ours) == (AGREES, "logits apart by: glocal 0.06, local 0.45 (a)")
    assert Follows(["a"], "local", "global", "glocal").judge(context).verdict == DISAGREES


def test_run_times_are_compared_as_ratios(tmp_path):
    for method, seconds in (("glocal", 4.4), ("local", 4.0), ("global", 400.0)):
        write_run(tmp_path, "a", method, 0, seconds=seconds)
    context = Context(tmp_path)
    found = TimesRatio(["a"], "glocal", "local", 1.0, 1.5).judge(context)
    assert (found.verdict, found.ours) == (AGREES, "1.1 times on Synthetic CPU")
    assert TimesRatio(["a"], "glocal", "local", 2.0, 1.5).judge(context).verdict == DISAGREES
    assert TimesRatio(["a"], "global", "local", 200.0, 1.5).judge(context).verdict == DISAGREES
    # 20 outer steps: with 41 a playout is twice as long on average.
    scaled = TimesRatio(["a"], "global", "local", 200.0, 1.5, outer_steps=41).judge(context)
    assert scaled.verdict == AGREES
    assert scaled.ours == "200.0 times on Synthetic CPU, scaled by 2.0"


def test_windows_are_compared_at_the_same_delays_and_seed(tmp_path):
    def keep(window, delays, seed, value, **others):
        config = {"method": {"window": window, "delays": delays}} | others
        path = write_run(tmp_path, "a", "glocal", seed, config=config)
        overwrite(path, "test_accuracy", [value / 100] * 5)

    for seed in range(3):
        for delays, value in ((5, 80.0), (10, 84.0)):
            keep(80, delays, seed, value + 2 + 0.01 * seed)
            keep(40, delays, seed, value + 0.02 * delays)
    keep(20, 5, 0, 70.0)
    context = Context(tmp_path)
    found = BestWindow("a", 80, "test_accuracy").judge(context)
    assert found.verdict == UNDECIDED  # of 20 there is one run
    assert "+12.00 (than 20)" in found.ours
    (few,) = [run for run in find_runs(tmp_path) if run.value("method.window") == 20]
    shutil.rmtree(few.path)
    assert BestWindow("a", 80, "test_accuracy").judge(context).verdict == AGREES
    assert BestWindow("a", 40, "test_accuracy").judge(context).verdict == DISAGREES
    with pytest.raises(MissingRuns):
        BestWindow("a", 60, "test_accuracy").judge(context)
    keep(40, 5, 0, 99.0, batch_size=64)  # one variant of a window counts, as in figures
    assert BestWindow("a", 80, "test_accuracy").judge(context).verdict == AGREES
    keep(60, 2, 0, 70.0)
    with pytest.raises(MissingRuns):  # there are no others at these delays
        BestWindow("a", 60, "test_accuracy").judge(context)


def test_intervals_are_counted_over_all_runs(tmp_path):
    """Of four runs of 20 intervals, in one the count is another in the first five."""
    context = Context(tmp_path)
    sought = {"experiments": ["a", "b"], "holds": "`diagnostic/steady_modes` == 2"}
    sought |= {"share": 0.5}
    with pytest.raises(MissingRuns):
        InIntervals(**sought).judge(context)
    for name, counts in {"a": [2] * 21, "b": [2] * 6 + [1] * 15}.items():
        for seed in (0, 1):
            path = write_run(tmp_path, name, "glocal", seed)
            header, *lines = (path / "metrics.csv").read_text().splitlines()
            lines = [f"{line},{n}" for line, n in zip(lines, counts, strict=True)]
            table = "\n".join([f"{header},diagnostic/steady_modes", *lines])
            (path / "metrics.csv").write_text(table + "\n")
            reseal(path)
    found = InIntervals(**sought).judge(context)  # the row of the start does not count
    assert (found.verdict, found.ours) == (AGREES, "in 62 % of 80 intervals (50 % asked for)")
    assert InIntervals(**sought | {"share": 0.63}).judge(context).verdict == DISAGREES
    first = InIntervals(**sought | {"share": 1.0}, rows="outer_step == 1").judge(context)
    assert (first.verdict, first.ours) == (AGREES, "in 100 % of 4 intervals (100 % asked for)")


def test_a_table_decides_by_the_share_of_its_rows(tmp_path):
    store(tmp_path, [82.0, 82.1], [80.0, 80.0], "fig2_sgd")
    context = Context(tmp_path)
    found = InTable("final_accuracy", "mean > 83").judge(context)
    assert (found.verdict, found.ours) == (DISAGREES, "1 of 2 rows")
    assert InTable("final_accuracy", "mean > 83", share=0.5).judge(context).verdict == AGREES
    with pytest.raises(MissingRuns):  # nothing speaks against it either
        InTable("final_accuracy", "mean > 83", rows="method == 'global'").judge(context)
    only = InTable("final_accuracy", "mean > 83", rows="method == 'glocal'").judge(context)
    assert (only.verdict, only.ours) == (AGREES, "1 of 1 rows")


def theorem_rows(falls):
    """Two systems at two intervals: the inequality holds in half of the draws at tau = 20."""
    return [
        {"system": name, "interval": tau, "horizon": 40, "holds": 0.5 if tau == 20 else 1.0,
         "right": 2.0 - 0.01 * tau * fall, "draws": 25}
        for name, fall in falls.items()
        for tau in (20, 40)
    ]  # fmt: skip


def test_draws_of_known_systems_decide_the_theorem(tmp_path):
    write_study(tmp_path, "theorem", {"all": theorem_rows({"a": 1, "b": 1})})
    context = Context(tmp_path, studies=tmp_path)
    found = InDraws("theorem", "holds").judge(context)
    assert (found.verdict, found.ours) == (DISAGREES, "75.0 % of 100 draws")
    assert InDraws("theorem", "holds", rows="interval > 20").judge(context).verdict == AGREES
    assert (
        InDraws("theorem", "holds", where={"interval": 20}, share=0.5).judge(context).verdict
        == AGREES
    )
    with pytest.raises(MissingRuns):
        InDraws("theorem", "holds", where={"system": "c"}).judge(context)


@pytest.mark.parametrize(
    ("falling", "verdict"), [(8, AGREES), (7, UNDECIDED), (1, UNDECIDED), (0, DISAGREES)]
)
def test_a_trend_is_tested_over_the_series(tmp_path, falling, verdict):
    """Of eight series seven are not enough: p is 0.07 by the sign test."""
    signs = {f"s{n}": 1 if n < falling else -1 for n in range(8)}
    write_study(tmp_path, "theorem", {"all": theorem_rows(signs)})
    found = Falls("theorem", "right", "interval", ["system"]).judge(
        Context(tmp_path, studies=tmp_path)
    )
    assert (found.verdict, found.ours) == (verdict, f"in {falling} of 8 series")


def test_trajectories_that_go_on_moving_do_not_converge(tmp_path):
    """The synthetic one settles, with a mode at 1 of length 1e-3; what is added to it does not."""
    path = write_run(tmp_path, "a", "glocal", 0, keep_arrays=True)
    context = Context(tmp_path)
    found = Converges(["a"], 10, 0.1, 0.9).judge(context)
    assert found.verdict == AGREES
    assert found.ours.startswith("1 of the 1 intervals whose h are stored settle")
    assert Modes(["a"], 1e-3).judge(context).ours.startswith("of that order in 1 of 1 intervals")
    assert Modes(["a"], 1e-1).judge(context).verdict == DISAGREES
    with np.load(path / "arrays.npz") as stored:
        arrays = dict(stored)
    arrays["s1/trajectory"] = arrays["s1/trajectory"] + 1e-4 * np.arange(80)[:, None]
    np.savez(path / "arrays.npz", **arrays)
    reseal(path)
    assert Converges(["a"], 10, 0.1, 0.9).judge(context).verdict == DISAGREES
    write_run(tmp_path, "b", "glocal", 0)
    with pytest.raises(MissingRuns):
        Converges(["b"], 10, 0.1, 0.9).judge(context)


@pytest.mark.parametrize(
    ("linear", "verdict"), [(8, AGREES), (7, UNDECIDED), (1, UNDECIDED), (0, DISAGREES)]
)
def test_predicting_is_being_nearer_in_most_intervals(tmp_path, linear, verdict):
    """Linear dynamics are predicted; what stops at once after they were seen is where it was."""
    path = write_run(tmp_path, "a", "glocal", 0, keep_arrays=True)
    t = np.arange(80)
    moving = np.stack([1 + 0.9**t, np.cos(0.3 * t), 0.97**t - 2], axis=1)
    stopping = np.where(t[:, None] < 70, moving, moving[69] + 1e-9)
    with np.load(path / "arrays.npz") as stored:
        arrays = dict(stored)
    for s in range(1, 9):
        arrays[f"s{s}/trajectory"] = moving if s <= linear else stopping
    np.savez(path / "arrays.npz", **arrays)
    reseal(path)
    found = Predicts(["a"]).judge(Context(tmp_path))
    assert found.verdict == verdict
    share = f"{100 * linear / 8:.0f} %"
    assert found.ours == f"nearer in {share} of 8 intervals one step ahead, in {share} 10 ahead"
    config = {"method": {"stride": 4}}
    write_run(tmp_path, "b", "glocal", 0, keep_arrays=True, config=config)
    # Of every fourth h_t none is one step ahead, and 80 are too few for 75 delays.
    for claim in (Predicts(["b"]), Predicts(["a"], delays=75)):
        with pytest.raises(MissingRuns):
            claim.judge(Context(tmp_path))


def test_a_cost_is_small_in_every_round_or_it_is_not(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    context, claim = (
        Context(tmp_path, studies=tmp_path / "studies"),
        CostsLess("parts", "a / b", 0.01),
    )
    with pytest.raises(MissingRuns):
        claim.judge(context)
    for highest, verdict in ((0.005, AGREES), (0.02, DISAGREES)):
        target = {"name": "a / b", "ratios": [0.002, highest, 0.001]}
        content = {"targets": [target], "machine": {"processor": "one"}}
        (tmp_path / "benchmarks" / "parts.json").write_text(json.dumps(content))
        found = claim.judge(context)
        assert (found.verdict, found.size) == (verdict, "3 rounds on one")
        assert found.ours == f"0.2 % (0.1 to {100 * highest:.2g})"


def test_runs_that_are_longer_wait_for_their_companions(tmp_path):
    """A claim is judged at the largest size that all its methods have."""
    context = store(tmp_path, [82.0, 82.1, 82.2], [80.0, 80.0, 80.0])
    write_run(tmp_path, "a", "local", 0, steps=4000)
    assert ABOVE.judge(context).size == "T = 2,000, 3 seeds (a)"
    write_run(tmp_path, "a", "glocal", 0, steps=4000)
    assert ABOVE.judge(context).size == "T = 4,000, 1 seed (a)"


def test_methods_that_share_no_seed_are_not_compared(tmp_path):
    write_run(tmp_path, "a", "glocal", 0)
    write_run(tmp_path, "a", "local", 1)
    for claim in (ABOVE, Aggressive(["a"], "glocal", "local")):
        with pytest.raises(MissingRuns):
            claim.judge(Context(tmp_path))


def test_every_stored_claim_is_whole():
    """Of the file that is shipped: a place, words, the paper's number and what decides it."""
    found = entries(CONFIGS.parent / "results" / "claims.yaml")
    assert len(found) > 10
    for claim in found.values():
        assert set(claim) == {"place", "claim", "paper", "criterion"}
        assert claim["claim"].endswith(".")


@pytest.mark.parametrize(
    ("starts", "rivals", "verdict"),
    [
        ([0.01, 0.1], {"local": 70, "shuffled": 75}, AGREES),
        ([0.01, 0.1], {"local": 70, "shuffled": 84}, DISAGREES),  # above one of them alone
        ([0.01], {"local": 70}, AGREES),
        ([0.01, 0.2], {"local": 70}, None),  # nothing is stored from one of the starts
        ([0.01], {"local": 70, "window_mean": None}, None),
    ],
)
def test_a_method_is_above_each_of_others_from_starts(tmp_path, starts, rivals, verdict):
    for method, percent in ({"split": 80} | rivals).items():
        for start in (0.01, 0.1):
            for seed in (0, 1, 2) if percent else ():
                spread = 0.1 * seed * (1 + (method == "split"))
                write_from(tmp_path, method, start, seed, percent + spread + 50 * start)
    criterion = AboveFromStarts(starts, "adam/split", [f"adam/{name}" for name in rivals])
    context = Context(tmp_path, configs=CONFIGS)
    with pytest.raises(UserError, match="has no group adma"):
        replace(criterion, subject="adma/split").judge(context)
    if verdict is None:
        with pytest.raises(MissingRuns):
            criterion.judge(context)
    else:
        found = criterion.judge(context)
        assert found.verdict == verdict
        assert "3 seeds" in found.size
