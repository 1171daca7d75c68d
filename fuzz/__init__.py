"""Fuzzing of everything that reads what others wrote: `python -m fuzz`, or `make fuzz`.

One file for each target in `fuzz/targets/`; a corpus for each in `.fuzz/`, which git ignores and any
run takes up again.
"""
