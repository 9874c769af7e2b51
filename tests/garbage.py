"""How often Python collects garbage while tests run."""

import gc


def collect_less_often():
    """By default what tracing leaves is visited often, and much of it is still in use."""
    gc.set_threshold(50_000, 20, 50)
