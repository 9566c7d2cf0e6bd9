"""Implicit hypergradients: how phi moves a minimum of the training loss, by its curvature alone.

Where theta minimizes the training loss L, grad L(theta, phi) = 0 whatever phi, and the implicit
function theorem gives of the validation loss V

    h = d V / d phi - (d V / d theta) H^{-1} (d^2 L / d theta d phi),        H = d^2 L / d theta^2.

Nothing of training is unrolled: solvers of H x = d V / d theta see H by its products with vectors.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from glocal_exp.errors import UserError
from glocal_exp.hypergrad.forward import mean_gradient, with_params
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState, Scalar

Vector = Float[Array, " p"]


@dataclass(frozen=True)
class Solver(ABC):
    """Solves H x = v, about; its fields are config values."""

    @property
    @abstractmethod
    def products(self) -> int:
        """Products with H that it takes, at most."""

    @abstractmethod
    def solve(self, product: Callable[[Vector], Vector], v: Vector, key: PRNGKeyArray) -> Vector:
        """x, of a product x -> H x; what is drawn comes from `key`."""

    def _require(self, **conditions: bool) -> None:
        for name, holds in conditions.items():
            if not holds:
                value = getattr(self, name)
                raise UserError(f"hypergradient.solver.{name}={value} is too small.")


@dataclass(frozen=True)
class Neumann(Solver):
    """scale (1 + M + ... + M^terms) v with M = 1 - scale H (Lorraine et al. 2020, Algorithm 3).

    It converges where scale times the largest curvature is below 2; with the learning rate for a
    scale it is what unrolling gradient descent at the minimum gives.
    """

    terms: int = 5
    scale: float = 0.1

    def __post_init__(self):
        self._require(terms=self.terms >= 0, scale=self.scale > 0)

    @property
    def products(self) -> int:
        return self.terms

    def solve(self, product: Callable[[Vector], Vector], v: Vector, key: PRNGKeyArray) -> Vector:
        def body(_: Array, carried: tuple[Vector, Vector]) -> tuple[Vector, Vector]:
            term, total = carried
            term = term - self.scale * product(term)
            return term, total + term

        return self.scale * jax.lax.fori_loop(0, self.terms, body, (v, v))[1]


@dataclass(frozen=True)
class Nystrom(Solver):
    """(C W^+ C^T + rho)^{-1} v: C columns of H drawn at random, W the rows of these in it.

    By the Woodbury identity that is (v - C (rho W + C^T C)^+ C^T v) / rho (Hataya and Yamada 2023).
    """

    rank: int = 5
    rho: float = 0.1

    def __post_init__(self):
        self._require(rank=self.rank >= 1, rho=self.rho > 0)

    @property
    def products(self) -> int:
        return self.rank

    def solve(self, product: Callable[[Vector], Vector], v: Vector, key: PRNGKeyArray) -> Vector:
        drawn = jax.random.choice(key, v.size, (min(self.rank, v.size),), replace=False)
        rows = jax.lax.map(lambda place: product(jnp.zeros_like(v).at[place].set(1)), drawn)
        small = self.rho * rows[:, drawn] + rows @ rows.T
        return (v - jnp.linalg.lstsq(small, rows @ v)[0] @ rows) / self.rho


@dataclass(frozen=True)
class ConjugateGradient(Solver):
    """So many steps of conjugate gradient for (H + damping) x = v, by lineax.

    What it gives is not finite once it meets a direction of negative curvature.
    """

    steps: int = 5
    damping: float = 0.1

    def __post_init__(self):
        self._require(steps=self.steps >= 1, damping=self.damping >= 0)

    @property
    def products(self) -> int:
        return self.steps

    def solve(self, product: Callable[[Vector], Vector], v: Vector, key: PRNGKeyArray) -> Vector:
        operator = lineax.FunctionLinearOperator(
            lambda x: product(x) + self.damping * x,
            jax.eval_shape(lambda: v),
            lineax.positive_semidefinite_tag,
        )
        solver = lineax.CG(rtol=0.0, atol=1e-12, max_steps=self.steps)
        return lineax.linear_solve(operator, v, solver, throw=False).value


def implicit(
    problem: InnerProblem,
    solver: Solver,
    state: InnerState,
    phi: Hyperparams,
    batch: Batch,
    key: PRNGKeyArray,
    validation: Batch,
    *,
    chunk: int | None = None,
    chunks_at_once: int = 1,
) -> tuple[Float[Array, " q"], Scalar]:
    """h as if the state's parameters minimized the inner loss on `batch`, and the validation loss.

    Args:
        key: of the inner loss, as a training step takes it, and of what the solver draws.
        chunk: validation examples at a time; all by default.
        chunks_at_once: chunks that may be worked on side by side.
    """
    params = eqx.filter(state.params, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(params)

    def gradient(flat: Vector, phi: Hyperparams) -> Vector:
        def loss(flat: Vector) -> Scalar:
            return problem.inner_loss(with_params(state, unravel(flat)), phi, batch, key)

        return jax.grad(loss)(flat)

    def meta_loss(params: PyTree, phi: Hyperparams, batch: Batch) -> Scalar:
        return problem.meta_loss(with_params(state, params), phi, batch)

    def product(x: Vector) -> Vector:
        return jax.jvp(partial(gradient, phi=phi), (flat,), (x,))[1]

    value, (by_params, by_phi) = mean_gradient(
        meta_loss, params, phi, validation, chunk, at_once=chunks_at_once
    )
    x = solver.solve(product, ravel_pytree(by_params)[0], key)
    through = jax.grad(lambda phi: x @ gradient(flat, phi))(phi)
    return ravel_pytree(jax.tree.map(jnp.subtract, by_phi, through))[0], value
