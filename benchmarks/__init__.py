"""What the design promises, measured: ratios, side by side in one run. `python -m benchmarks`, or `make bench`."""
