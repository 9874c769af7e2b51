"""Parts of `benchmarks.accelerator`, one file for each question."""
