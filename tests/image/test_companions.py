"""The files beside an image: one name for each, and a mark that is there only where it means something."""

from pathlib import Path

from troth.image import companions


def test_their_names() -> None:
    for name, stem in (("a.eif", "a"), ("a.b.eif", "a.b"), ("a.bin", "a.bin"), ("a", "a")):
        image = Path("folder", name)
        assert companions.of(image, companions.RECORD) == Path("folder", f"{stem}.build.json")
        assert companions.of(image, companions.MEASUREMENTS).name == f"{stem}.measurements.json"


def test_what_measurements_say() -> None:
    said = companions.measurements(
        {"nitro": {"pcr0": "ab"}}, name="a", sha256="cd", size=1, raw_nsm=False
    )
    assert said == {
        "schema": "troth/measurements/1",
        "image": {"name": "a", "sha256": "cd", "size": 1},
        "nitro": {"pcr0": "ab"},
    }
    marked = companions.measurements({}, name="a", sha256="cd", size=1, raw_nsm=True)
    assert marked["image"]["raw_nsm"] is True
