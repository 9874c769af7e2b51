"""Real images in the shape and symbols of a run.

Legend: n images, h height, w width, c channels.
"""

import numpy as np
from jaxtyping import Float, Int

from pixelprior.data import Split, to_pixels
from pixelprior.errors import InputError
from pixelprior.experiment import open_data
from pixelprior.grid import Grid
from pixelprior.runs.run import Run


class RunImages:
    """Test images of the data set of a run, or image files. The seed determines their order.

    Args:
        run: the run.
        seed: the seed of the order.
        data_dir: the folder of the data set, if it has moved.
        images: "folder:/path" to use all image files of a folder, scaled to the shape of the run.

    Raises:
        InputError: if the images cannot be read, or have another shape than the run.
    """

    def __init__(self, run: Run, seed: int, data_dir: str | None, images: str | None = None):
        config = dict(run.tokenizer_config or run.config)
        if data_dir:
            config["data_dir"] = data_dir
        if images:
            config |= {"dataset": images, "image_size": tuple(run.data["shape"][:2])}
        if data_dir or images:
            dataset, self._symbols, _ = open_data(config)
        else:
            dataset, self._symbols = run.open_data()
        self._grid = Grid(*dataset.shape, levels=self._symbols.levels)
        if list(self._grid.shape) != list(run.data["shape"]):
            raise InputError(
                f"the run was trained on images of shape {run.data['shape']}, but "
                f"{dataset.name} has {list(self._grid.shape)}"
            )
        splits = dataset.splits.values() if images else [dataset.splits["test"]]
        everything = [(split, index) for split in splits for index in range(len(split))]
        order = np.random.default_rng(seed).permutation(len(everything))
        self._images = [everything[place] for place in order]

    def symbols(self, numbers: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n h w c"]:
        """Images by number, as symbols. After the last image, the first one follows."""
        return np.concatenate([self._read(number)[0] for number in numbers])

    def pixels(self, numbers: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n h w c"]:
        """Images by number, in [0, 1]."""
        return to_pixels(self.symbols(numbers), self._grid.levels)

    def labels(self, numbers: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Labels of images by number; -1 for no label."""
        return np.concatenate([self._read(number)[1] for number in numbers])

    def _read(self, number: int) -> tuple[Int[np.ndarray, "1 h w c"], Int[np.ndarray, " 1"]]:
        split: Split
        split, index = self._images[number % len(self._images)]
        pixels, label = split.source.read([index])
        symbols = self._symbols.to_symbols(
            pixels, split.native_levels, split=split.name, indices=[index]
        )
        return symbols, label
