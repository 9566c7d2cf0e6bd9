"""Random changes of training images, drawn on the device from a step's own key."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, UInt8

from glocal_exp.errors import UserError


@dataclass(frozen=True)
class FlipCrop:
    """Mirrors half of the images, and shifts each by up to `padding` pixels either way.

    What a shift brings in is the image reflected at its border.
    """

    padding: int  # pixels; less than an image's height and width

    def __post_init__(self):
        if self.padding < 0:
            raise UserError(f"augmentation.padding={self.padding} is negative; give 0 or more.")

    def __call__(
        self, images: UInt8[Array, "n height width channels"], key: PRNGKeyArray
    ) -> UInt8[Array, "n height width channels"]:
        number, height, width, channels = images.shape
        flip_key, shift_key = jax.random.split(key)
        mirrored = jax.random.bernoulli(flip_key, shape=(number, 1, 1, 1))
        images = jnp.where(mirrored, images[:, :, ::-1], images)
        around = ((0, 0), (self.padding, self.padding), (self.padding, self.padding), (0, 0))
        images = jnp.pad(images, around, mode="reflect")
        corners = jax.random.randint(shift_key, (number, 2), 0, 2 * self.padding + 1)

        def cut(image: Array, corner: Array) -> Array:
            return jax.lax.dynamic_slice(image, (*corner, 0), (height, width, channels))

        return jax.vmap(cut)(images, corners)
