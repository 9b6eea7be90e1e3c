"""Ask a model, parse its answer, check its claims, rate it. Imports schemas; never the store."""
