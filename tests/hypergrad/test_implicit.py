"""Implicit hypergradients against closed forms: of ridge regression, and of dense Hessians."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from glocal_exp.engine import Auto, Forward, Implicit, Splits, run
from glocal_exp.errors import UserError
from glocal_exp.hypergrad.implicit import ConjugateGradient, Neumann, Nystrom, implicit
from glocal_exp.methods import implicit as method
from glocal_exp.methods.local import Local
from glocal_exp.tasks.optimizer_hpo import OptimizerHPO
from glocal_exp.tasks.rules import sgd
from glocal_exp.types import InnerProblem, InnerState
from tests.problems import images, reweighting

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
N, P = 50, 6
X = RNG.normal(size=(90, P))
Y = X @ RNG.normal(size=P) + RNG.normal(size=90)
SPLITS = Splits(train={"x": X[:N], "y": Y[:N]}, validation={"x": X[N:], "y": Y[N:]})


class Ridge(InnerProblem):
    """|Xw - y|^2 / n + sum of exp(phi) w^2, a penalty for each weight, and a rate beside them."""

    def init(self, key):
        phi = {"log_penalty": jnp.linspace(-3.0, 0.0, P), "learning_rate": jnp.asarray(0.1)}
        return InnerState(jnp.zeros(P), (), jnp.array(0)), phi

    def step(self, state, phi, batch, key):
        def loss(w):
            return self.error(w, batch) + jnp.exp(phi["log_penalty"]) @ w**2

        value, gradient = jax.value_and_grad(loss)(state.params)
        params = state.params - phi["learning_rate"] * gradient
        return InnerState(params, (), state.step + 1), value

    def meta_loss(self, state, phi, batch):
        return self.error(state.params, batch)

    def describe(self, phi):
        return {"rate": phi["learning_rate"]}

    def error(self, w, batch):
        return jnp.mean((batch["x"] @ w - batch["y"]) ** 2)


def closed_form(log_penalty):
    """The validation loss at the minimum (X'X / n + diag(penalty))^-1 X'y / n."""
    gram = X[:N].T @ X[:N] / N + jnp.diag(jnp.exp(log_penalty))
    w = jnp.linalg.solve(gram, X[:N].T @ Y[:N] / N)
    return jnp.mean((X[N:] @ w - Y[N:]) ** 2), w


@pytest.mark.parametrize(
    ("solver", "tolerance"),
    [
        (ConjugateGradient(P, 0.0), 1e-9),  # as many steps as weights
        (Neumann(400, 0.15), 1e-9),  # (1 - 0.15 * 0.9)^400 = 1e-25
        (Nystrom(P, 1e-7), 1e-5),  # of all columns, where rho is the error alone
    ],
)
def test_at_the_minimum_it_is_the_derivative_of_ridge_regressions_closed_form(solver, tolerance):
    loop = run(
        *(Ridge(), SPLITS, method.Implicit(["log_penalty[0]", "log_penalty[4]"])),
        steps=600,
        interval=300,
        batch_size=N,
        mode=Implicit(solver),
        meta_optimizer=optax.sgd(1e-3),
    )
    _, first, second = loop
    _, phi = Ridge().init(KEY)
    expected = jax.grad(lambda x: closed_form(x)[0])(phi["log_penalty"])
    found = np.array(list(first.hypergradient.values()))
    assert list(first.hypergradient) == list(loop.names)
    places = [list(loop.names).index(f"log_penalty[{i}]") for i in (0, 4)]
    np.testing.assert_allclose(found[places], expected[np.array([0, 4])], rtol=tolerance)
    assert not np.delete(found, places).any()
    assert second.costs.reverse_steps == 2 * solver.products
    assert (second.costs.plain_steps, second.costs.validation_gradients) == (600, 2)


@cache
def away_from_a_minimum(make):
    """A problem, where its training starts, and there: v, the Hessian and the mixed derivative."""
    problem, splits = make(), images(0)
    state, phi = problem.init(KEY)
    flat, unravel = ravel_pytree(state.params)
    flat_phi, unravel_phi = ravel_pytree(phi)

    def place(flat):
        return InnerState(unravel(flat), state.opt_state, state.step)

    def loss(flat, flat_phi):
        return problem.inner_loss(place(flat), unravel_phi(flat_phi), splits.train, KEY)

    def meta_loss(flat):
        return problem.meta_loss(place(flat), phi, splits.validation)

    @jax.jit
    def derivatives(flat, flat_phi):
        mixed = jax.jacfwd(jax.grad(loss), argnums=1)(flat, flat_phi)
        return jax.grad(meta_loss)(flat), jax.hessian(loss)(flat, flat_phi), mixed

    return problem, splits, state, phi, *map(np.asarray, derivatives(flat, flat_phi))


def neumann(hessian, terms=7, scale=0.3):
    contraction = np.eye(len(hessian)) - scale * hessian
    return scale * sum(np.linalg.matrix_power(contraction, j) for j in range(terms + 1))


def nystrom(hessian, rank=5, rho=0.05):
    drawn = np.asarray(jax.random.choice(KEY, len(hessian), (rank,), replace=False))
    columns = hessian[:, drawn]
    low = columns @ np.linalg.pinv(columns[drawn]) @ columns.T
    return np.linalg.inv(low + rho * np.eye(len(hessian)))


def weighing():
    return reweighting(hidden=8)


def decaying():
    """The optimizer's task on the reweighting task's network; weight decay is learned."""
    start = {"learning_rate": 0.1, "weight_decay": 0.05}
    return OptimizerHPO(reweighting().classifier, sgd, start)


@pytest.mark.parametrize(
    ("solver", "inverse"),
    [
        (Neumann(7, 0.3), neumann),
        (Nystrom(5, 0.05), nystrom),
        (ConjugateGradient(200, 1.0), lambda hessian: np.linalg.inv(hessian + np.eye(42))),
    ],
)
@pytest.mark.parametrize("make", [weighing, decaying])
def test_solvers_do_as_their_papers_say_away_from_a_minimum(solver, inverse, make):
    problem, splits, state, phi, v, hessian, mixed = away_from_a_minimum(make)
    found, value = jax.jit(implicit, static_argnums=(0, 1))(
        *(problem, solver, state, phi, splits.train, KEY, splits.validation)
    )
    expected = -v @ inverse(hessian) @ mixed  # the meta loss has no direct derivative
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(value, problem.meta_loss(state, phi, splits.validation))


def test_the_inner_loss_of_sgd_has_the_gradient_that_a_step_follows():
    problem, splits = decaying(), images(0)
    state, phi = problem.init(KEY)

    def loss(params):
        place = InnerState(params, state.opt_state, state.step)
        return problem.inner_loss(place, phi, splits.train, KEY)

    after, _ = problem.step(state, phi, splits.train, KEY)
    followed = jax.tree.map(lambda w, g: w - 0.1 * g, state.params, jax.grad(loss)(state.params))
    for a, b in zip(jax.tree.leaves(after.params), jax.tree.leaves(followed), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [(None, "depends on learning_rate, so"), (["lr"], "method.learned names lr, and the task has")],
)
def test_hyperparameters_that_no_minimum_depends_on_are_refused(chosen, message):
    with pytest.raises(UserError, match=message):
        begin(method.Implicit(chosen))


def begin(asks, mode=None):
    settings = {"steps": 2, "interval": 1, "batch_size": N, "mode": mode or Auto()}
    return run(Ridge(), SPLITS, asks, **settings)


def test_no_other_mode_gives_it_and_it_gives_nothing_else():
    learned = method.Implicit([f"log_penalty[{i}]" for i in range(P)])
    assert isinstance(begin(learned).mode, Implicit)
    with pytest.raises(UserError, match="forward differentiates training and this method asks for"):
        begin(learned, Forward())
    with pytest.raises(UserError, match="implicit unrolls nothing and this method asks"):
        begin(Local(), Implicit())


@pytest.mark.parametrize(
    "make",
    [lambda: Neumann(20, 0.0), lambda: Nystrom(0, 0.1), lambda: ConjugateGradient(5, -1.0)],
)
def test_settings_that_are_too_small_are_refused(make):
    with pytest.raises(UserError, match=r"hypergradient\.solver\.\w+=.* is too small"):
        make()


def test_weights_that_count_as_constants_have_no_loss():
    problem, splits = reweighting(detach_weights=True), images(0)
    state, phi = problem.init(KEY)
    with pytest.raises(UserError, match="a step lowers no loss"):
        problem.inner_loss(state, phi, splits.train, KEY)


def test_conjugate_gradient_tells_negative_curvature():
    found = ConjugateGradient(5, 0.0).solve(lambda x: jnp.array([1.0, -1.0]) * x, jnp.ones(2), KEY)
    assert not np.isfinite(found).any()
