"""Side-by-side measurements: each module is run as `python -m experiments.benchmark.NAME`."""
