"""Inception features, in which the "FID" of the literature is measured.

The network is torch-fidelity's, with the weights of 2015 that are standard for comparisons. Grey
images are turned into colour images. The network itself scales all images to 299x299, as TensorFlow
1 did.

Legend: n images, h height, w width, c channels.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pixelprior.errors import InputError
from pixelprior.evaluation.features import Extractor, Features, Images
from pixelprior.system.cache_folder import cache_folder

URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
AT_ONCE = 64  # images


def inception_extractor(weights: str | Path | None = None) -> Extractor:
    """Return the 2048 features before the last layer, and the 1008 logits without their bias.

    Args:
        weights: file of the weights; by default a downloaded file, which is downloaded once.

    Raises:
        InputError: if torch-fidelity is not installed, or the weights are unavailable or different.
    """
    if find_spec("torch_fidelity") is None:
        raise InputError('Inception needs torch-fidelity: pip install "pixelprior[metrics]"')
    path = _downloaded() if weights is None else Path(weights)
    # The weights are unpickled, so they are first checked to be exactly these.
    _check(path)
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3(
        "inception-v3-compat",
        ["2048", "logits_unbiased"],
        feature_extractor_weights_path=str(path),
    )

    def extract(images: Images) -> Features:
        parts = [Features(np.zeros((0, 2048), np.float32), np.zeros((0, 1008), np.float32))]
        for start in range(0, len(images), AT_ONCE):
            batch = images[start : start + AT_ONCE]
            colour = np.broadcast_to(batch, (*batch.shape[:3], 3))
            inputs = torch.from_numpy(np.ascontiguousarray(np.moveaxis(colour, -1, 1)))
            with torch.no_grad():
                vectors, logits = network(inputs)
            parts.append(Features(vectors.numpy(), logits.numpy()))
        return Features(*map(np.concatenate, zip(*parts, strict=True)))

    return Extractor("inception", "the Inception network of 2015", SHA256, extract)


def _downloaded() -> Path:
    path = cache_folder("inception") / URL.rsplit("/", 1)[1]
    if path.is_file():
        return path
    import torch

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The file gets its name only when it is complete.
        torch.hub.download_url_to_file(URL, str(path), progress=False)
    # URLError is an OSError.
    except OSError as error:
        raise InputError(
            f"the weights of Inception cannot be downloaded ({error}); download {URL} elsewhere, "
            f"and give the file with --inception_weights, or copy it to {path}; or use "
            "--features=classifier, which needs no download"
        ) from error
    return path


def _check(path: Path) -> None:
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    if found != SHA256:
        raise InputError(
            f"{path} does not hold the weights that FID is measured with: expected the SHA-256 "
            f"{SHA256[:16]}..., got {found[:16]}...; download them again from {URL}"
        )
