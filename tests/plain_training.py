"""What a config says of training that does nothing special; the rest is a test's own."""

PLAIN_TRAINING = {
    "mesh": "data",
    "accumulate_steps": 1,
    "optimizer": "adamw",
    "schedule": "cosine",
    "plateau_factor": 0.5,
    "plateau_patience": 5,
    "skip_norm": 0.0,
    "patience": 0,
}
