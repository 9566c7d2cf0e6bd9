import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.tasks.augmentation import FlipCrop

IMAGES = jnp.asarray(np.random.default_rng(0).integers(0, 256, (500, 12, 11, 3), dtype=np.uint8))


def views(image, padding):
    """Every image that it may become, by its mirroring and its corner."""
    found = {}
    for mirrored in (False, True):
        turned = image[:, ::-1] if mirrored else image
        around = np.pad(turned, ((padding, padding), (padding, padding), (0, 0)), mode="reflect")
        for i, j in np.ndindex(2 * padding + 1, 2 * padding + 1):
            found[around[i : i + 12, j : j + 11].tobytes()] = (mirrored, i, j)
    return found


def test_every_image_is_a_shifted_view_of_itself_and_all_views_are_as_likely():
    changed = np.asarray(jax.jit(FlipCrop(2))(IMAGES, jax.random.key(1)))
    assert (changed.shape, changed.dtype) == (IMAGES.shape, np.uint8)
    pairs = zip(np.asarray(IMAGES), changed, strict=True)
    drawn = np.array([views(before, 2)[after.tobytes()] for before, after in pairs])
    # 500 fair coins: 11 on average off the half; five of them.
    assert abs(drawn[:, 0].sum() - 250) < 56
    for corner in (drawn[:, 1], drawn[:, 2]):
        counts = np.bincount(corner, minlength=5)
        assert len(counts) == 5
        assert np.abs(counts - 100).max() < 45  # five times sqrt(500 * 0.2 * 0.8)
    assert abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.23  # five times 1 / sqrt(500)


def test_a_key_decides():
    augment = jax.jit(FlipCrop(1))
    one, same, other = (augment(IMAGES, jax.random.key(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_without_padding_images_are_mirrored_or_stay():
    changed = np.asarray(FlipCrop(0)(IMAGES, jax.random.key(0)))
    stays = np.all(changed == IMAGES, axis=(1, 2, 3))
    mirrored = np.all(changed == IMAGES[:, :, ::-1], axis=(1, 2, 3))
    assert (stays ^ mirrored).all()


def test_a_negative_padding_is_refused():
    with pytest.raises(UserError, match=r"augmentation.padding=-1"):
        FlipCrop(-1)
