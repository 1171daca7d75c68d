"""Start an image: the simulator."""
