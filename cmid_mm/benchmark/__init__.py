"""What ``tools/benchmark.py`` is made of; nothing else in the package imports it."""
