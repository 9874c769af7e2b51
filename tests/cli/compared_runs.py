"""Results of runs that nobody trained, for pages that are made in no time."""

import io

import numpy as np
from PIL import Image

from pixelprior.evaluation.comparison import Training
from pixelprior.runs.compared import ComparedRun

DATA = {
    "name": "digits",
    "shape": [8, 8, 1],
    "symbols": {"test": "17 levels"},
    "splits": {"test": {"description": "359 of 1,797"}},
    "note": "scikit-learn defines no test split",
}
ABOUT = {"weights": "averaged weights of step 20 (best checkpoint)", "split": "test"}
BASELINES = {
    "uniform": {"description": "uniform", "nats": 181.326, "bits_per_dim": 4.0875},
    "histogram": {"description": "per-pixel histogram", "nats": 108.11, "bits_per_dim": 2.4371},
}
START = {
    "date": "2026-01-02",
    "command": "python train.py --config=configs/digits.py --workdir=runs/" + "long_name_" * 9,
    "python": "3.12.1",
    "machine": "A fast CPU, 8 cores",
    "devices": "1 x cpu (cpu)",
    "versions": {"pixelprior": "0.1.0", "jax": "0.10.2", "flax": "0.12.8"},
}
QUALITY = {
    **{"frechet_distance": 3.6961, "kernel_distance": -0.0052512, "inception_score": 6.2381},
    **{"precision": 0.4367, "recall": 0.9536, "density": 0.1633, "coverage": 0.09042},
}
STATISTICS = {
    "histogram": [[1 / 256] * 256],
    **{"horizontal": [0.5], "vertical": [None], "diversity": 0.3, "constant": 0.0, "repeated": 0.5},
}
SAMPLES = {
    "weights": ABOUT["weights"],
    "num_samples": 300,
    "made_by": {},
    "features": {
        **{"extractor": "classifier", "description": "a small CNN", "fingerprint": "0" * 64},
        **{"reference": "1,294 of 1,797", "reference_fingerprint": "1" * 64},
        **{"num_features": 128, "reference_images": 1294, "num_compared": 300},
        **{"samples": QUALITY, "real": QUALITY},
    },
    "statistics": {
        **{"samples": STATISTICS, "real": STATISTICS, "histogram_distance": 0.1},
        "flags": ["half of the samples are repeated"],
    },
    "memorisation": {"training_images": 1294, "pixels": {"copies": 0.01, "nearer": 0.5}},
    "classes": {"real_accuracy": 0.97, "classification_accuracy_score": 0.5},
}
COST = {"num_parameters": 12345, "flops_per_image": 2.5e9, "peak_host_bytes": None}


def png(colour="grey"):
    """A picture of 8 by 2 images, as a PNG file."""
    file = io.BytesIO()
    Image.new("RGB", (72, 18), colour).save(file, format="PNG")
    return file.getvalue()


def compared(name, config, measured, **changes):
    """A run on the same data as all others of its task."""
    points = [(10, 0.5, 1.2), (20, 1.0, 1.0)]
    scale = measured.get("nats", measured.get("squared_error"))
    run = ComparedRun(
        name=name,
        place=f"runs/{name}",
        config={"num_steps": 20, **config},
        data=DATA,
        group=(config["task"], "digits", (8, 8, 1), "17 levels", "359 of 1,797", ""),
        num_parameters=12345,
        training=Training(20, 1.0, 493.21, None, None, [(s, m, scale * f) for s, m, f in points]),
        start=START,
        measured={**ABOUT, "num_images": 359, **measured},
        samples=None,
        cost=None,
    )
    return run._replace(**changes)


def pixel_run(name="digits", nats=91.513, **changes):
    """A pixel model whose baselines were measured."""
    measured = {"nats": nats, "nats_error": 0.52, "bits_per_dim": nats / 64 / np.log(2)}
    measured["baselines"] = changes.pop("baselines", BASELINES)
    config = {"task": "pixels", "model": {"name": "gated_pixel_cnn"}}
    return compared(name, config, measured, **changes)


def tokenizer_run(name="vqvae", squared_error=0.0398, code_bits=96.0, **measured):
    """A tokenizer of one level of codes, without baselines."""
    return compared(
        name,
        {"task": "tokenizer", "tokenizer": {"name": "vqvae"}, "quantizer": {"name": "vector"}},
        {
            **{"squared_error": squared_error, "squared_error_error": 0.0005, "psnr": 14.0},
            **{"ssim": 0.71, "code_bits": code_bits},
            "levels": {"top": {"perplexity": 2.0, "counts": [[3, 1, 0]]}},
            **measured,
        },
    )


def prior_run(name="prior", **level):
    """A prior over 16 codes of 64 values: 8 bits are saved for each code that is uniform."""
    levels = {
        "top": {
            **{"nats": 16 * np.log(2), "bits_per_code": 1.0, "model": "pixel_cnn"},
            **{"learned": True, "uniform_bits": 6.0, "unigram_bits": 3.0},
            **level,
        }
    }
    measured = {"nats": 16 * np.log(2), "nats_error": 0.3, "bits_per_code": 1.0, "levels": levels}
    return compared(name, {"task": "prior", "models": {"top": {"name": "pixel_cnn"}}}, measured)
