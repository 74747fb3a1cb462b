"""The bars for speed, size and cost: ``python -m tests.bench`` measures and prints them."""
