"""Speed as ratios, measured side by side in one run; run each with ``python -m benchmarks.NAME``."""
