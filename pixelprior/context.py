"""What a distribution is conditioned on: a class, a map of features, or both."""

import dataclasses

import jax
from jaxtyping import Array, Float, Int


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Context:
    """The condition of a batch of grids; a field that the model does not use stays ``None``.

    Attributes:
        label: one class per grid, in ``[0, num_classes)``.
        map: a vector of features for every position of the grid, for example an upsampled map
            of coarser codes.
    """

    label: Int[Array, " b"] | None = None
    map: Float[Array, "b h w m"] | None = None
