"""The stages of a run, in order. Read `pipeline/run.py` first, then the stages one by one."""
