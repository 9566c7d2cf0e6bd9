"""Peak memory of the compiled training, as the compiler states it."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from glocal_exp.engine import Forward
from glocal_exp.engine.modes.forward import start_tangents
from glocal_exp.engine.work import Marks
from tests.engine.runs import BATCH, SGD, SPLITS, begin
from tests.problems import KEY

SHORT, LONG = 10, 1010
NUMBER = 8  # bytes
STATE, PHI = SGD.init(jax.random.key(0))
Q, P = 3, ravel_pytree(STATE.params)[0].size


def memory(function, *arguments):
    analysis = jax.jit(function).lower(*arguments).compile().memory_analysis()
    assert analysis is not None
    return analysis


def forward(steps):
    data = jax.tree.map(jnp.asarray, SPLITS[0])
    indices = jnp.zeros((steps, BATCH), jnp.int32)
    train = Forward().train(begin().work)
    marks = Marks(steps=jnp.ones(steps, bool))
    return memory(train, STATE, PHI, start_tangents(STATE, Q), KEY, indices, data, marks)


def reverse(steps):
    def outcome(phi, batches):
        def body(state, batch):
            return SGD.step(state, phi, batch, KEY)[0], None

        final, _ = jax.lax.scan(body, STATE, batches)
        return SGD.meta_loss(final, phi, SPLITS[0].validation)

    batches = {"x": jnp.zeros((steps, BATCH, 3)), "y": jnp.zeros((steps, BATCH))}
    return memory(jax.grad(outcome), PHI, batches)


def test_forward_mode_remembers_its_hypergradients_and_nothing_else():
    """A run calls this program again and again, so its memory does not grow with T at all.

    (That it is the same program is in test_pieces.py.)
    """
    short, long = forward(SHORT), forward(LONG)
    more = LONG - SHORT
    # Scratch space may be laid out otherwise, but holds nothing for each step.
    assert long.temp_size_in_bytes - short.temp_size_in_bytes < more
    # A step leaves h with its validation and its training loss,
    grown = long.output_size_in_bytes - short.output_size_in_bytes
    assert grown == more * (Q + 2) * NUMBER
    # and is given the indices of its batch and whether to evaluate h.
    grown = long.argument_size_in_bytes - short.argument_size_in_bytes
    assert grown == more * (BATCH * 4 + 1)


def test_reverse_mode_remembers_every_state():
    """The same measurement on what does grow: it can tell the two apart."""
    # Parameters and momentum of every step, at least.
    assert reverse(LONG).temp_size_in_bytes > LONG * 2 * P * NUMBER
