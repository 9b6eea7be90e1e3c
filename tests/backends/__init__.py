"""The heavy backends end to end: the real libraries in their own environments. `make test-backends` runs them."""
