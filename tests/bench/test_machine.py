"""The peak is counted by the clock that is given, and others' share is a share."""

import itertools

from glocal_exp.bench import machine


def test_the_peak_is_the_fastest_product_in_operations_a_second():
    ticks = itertools.accumulate([0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 1.0, 0.0])
    peak = machine.matmul_peak(lambda: next(ticks), size=16, seconds=1.0)
    # products of 0.5 s, then of 1 s: 2 x 16^3 operations in half a second
    assert peak == 2 * 16**3 / 0.5


def test_others_take_what_the_cores_did_not_do_for_us(monkeypatch):
    cores = 2
    monkeypatch.setattr(machine.os, "cpu_count", lambda: cores)
    # seconds that all ran, that we ran, and that passed
    readings = iter([(100.0, 10.0, 0.0), (116.0, 20.0, 10.0)])
    monkeypatch.setattr(machine, "_busy_seconds", lambda: next(readings))
    assert machine.Others().share() == (16.0 - 10.0) / (10.0 * cores)


def test_where_the_system_says_nothing_there_is_no_share(monkeypatch):
    monkeypatch.setattr(machine, "_busy_seconds", lambda: None)
    assert machine.Others().share() is None


def test_versions_of_what_is_installed_alone():
    packages = machine.describe()["packages"]
    assert {"jax", "numpy"} <= set(packages)
    assert None not in packages.values()
