"""Forms of results that run folders keep, with everything that reports read from them.

A result of another form counts as missing, and is measured again.
"""

from pixelprior.evaluation.sample_quality import Quality
from pixelprior.json_forms import Flag, Form, Integer, Items, Keys, Maybe, Named, Number, Text

_ABOUT = {
    "weights": Text(),
    "split": Text(),
    "num_images": Integer(),
}
_OPTIONAL = {"note": Text(), "contents": Text(), "bits_per_dim": Number()}


def _baselines(*measured: str) -> dict[str, Form]:
    """Return the form of baselines, each with its description and its results."""
    return {"baselines": Named(Keys({"description": Text()} | dict.fromkeys(measured, Number())))}


_CODES = Keys({"perplexity": Number()}, {"counts": Items(Items(Integer(), least=1), least=1)})

_LEVEL = Keys(
    {"nats": Number(), "model": Text(), "learned": Flag()},
    dict.fromkeys(("bits_per_code", "unigram_bits", "uniform_bits"), Number()),
)

ON_SPLIT: dict[str, Form] = {
    "pixels": Keys(
        _ABOUT | {"nats": Number(), "nats_error": Number(), "bits_per_dim": Number()},
        _OPTIONAL | _baselines("nats", "bits_per_dim"),
    ),
    "tokenizer": Keys(
        _ABOUT
        | {
            "squared_error": Number(),
            "squared_error_error": Number(),
            "psnr": Number(),
            "code_bits": Number(),
            "levels": Named(_CODES),
        },
        _OPTIONAL | {"ssim": Number(), "lpips": Number()} | _baselines("squared_error"),
    ),
    "prior": Keys(
        _ABOUT
        | {
            "nats": Number(),
            "nats_error": Number(),
            "bits_per_code": Number(),
            "levels": Named(_LEVEL),
        },
        _OPTIONAL,
    ),
}
"""Form of the results on a split, for each task."""

# A distance of too few images may be NaN.
_QUALITY = Keys(dict.fromkeys(Quality._fields, Number(finite=False)))

_STATISTICS = Keys(
    {
        "histogram": Items(Items(Number(), 256), least=1),
        "horizontal": Items(Maybe(Number())),
        "vertical": Items(Maybe(Number())),
        **dict.fromkeys(("diversity", "constant", "repeated"), Number()),
    }
)

_NEAR = Keys({"copies": Number(), "nearer": Number()})

_ACCURACIES = dict.fromkeys(
    ("real_accuracy", "reconstruction_accuracy", "sample_accuracy", "random_accuracy"), Number()
)

OF_SAMPLES = Keys(
    {
        "weights": Text(),
        "num_samples": Integer(),
        "made_by": Keys({}, {"weights": Text(), "mode": Text(), "strategies": Text()}),
        "features": Keys(
            {
                **dict.fromkeys(("extractor", "description", "fingerprint"), Text()),
                **dict.fromkeys(("reference", "reference_fingerprint"), Text()),
                **dict.fromkeys(("num_features", "reference_images", "num_compared"), Integer()),
                "samples": _QUALITY,
                "real": _QUALITY,
            },
            {"samples_compared": _QUALITY},
        ),
        "statistics": Keys(
            {
                "samples": _STATISTICS,
                "real": _STATISTICS,
                "histogram_distance": Number(),
                "flags": Items(Text()),
            }
        ),
        "memorisation": Keys({"training_images": Integer(), "pixels": _NEAR}, {"features": _NEAR}),
    },
    {
        "contents": Text(),
        "lpips_diversity": Keys({"samples": Number(), "real": Number()}),
        "classes": Keys({"classification_accuracy_score": Number()}, _ACCURACIES),
    },
)
"""Form of the results of samples."""

COSTS = Keys(
    {"workdir": Text(), "task": Text(), "devices": Text(), "num_parameters": Integer()},
    dict.fromkeys(
        (
            "flops_per_image",
            "batch_size",
            "training_images_per_second",
            "seconds_to_first_step",
            "state_bytes",
            "step_bytes",
            "sampling_images_per_second",
            "sampling_seconds_to_first_batch",
            "sequential_steps_per_image",
            "reconstruction_images_per_second",
            "reconstruction_seconds_to_first_batch",
            "peak_host_bytes",
            "peak_device_bytes",
        ),
        Maybe(Number()),
    ),
)
"""Form of the costs."""
