"""From a recipe to a locked, reproducible image and what it measures to. Runs on the standard library alone."""
