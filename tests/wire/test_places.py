"""Where an app may have a folder to write to, and where not."""

import pytest

from troth.wire.places import MOST, trouble


@pytest.mark.parametrize(
    "places",
    [(), ("/data",), ("/var/lib/app", "/var/lib/apps", "/srv"), ("/app/data",), ("/usr2",)],
)
def test_good_ones(places: tuple[str, ...]) -> None:
    assert trouble(places) == ""


@pytest.mark.parametrize(
    ("places", "why"),
    [
        (("/",), "no absolute path"),
        (("",), "no absolute path"),
        (("data",), "no absolute path"),
        (("//data",), "no absolute path"),
        (("/data/",), "no absolute path"),
        (("/a/../usr",), "no absolute path"),
        (("/./usr",), "no absolute path"),
        (("/a\0b",), "no absolute path"),
        (("/" + "a" * 255,), "more than 255 bytes"),
        (("/usr/share/x",), "/usr is not the app's"),
        (("/etc",), "/etc is not"),
        (("/lib64/x",), "/lib64 is not"),
        (("/proc/self",), "/proc is not"),
        (("/sys",), "/sys is not"),
        (("/dev/x",), "/dev is not"),
        (("/run/troth",), "/run is not"),
        (("/tmp/x",), "/tmp is not"),
        (("/rootfs/usr",), "/rootfs is not"),
        (("/app/__pycache__",), "look for code in __pycache__"),
        (("/opt/x/node_modules/y",), "look for code in node_modules"),
        (("/a", "/a"), "inside"),
        (("/a", "/a/b"), "inside"),
        (("/a/b", "/a"), "inside"),
        (tuple(f"/{n}" for n in range(MOST + 1)), "more than 16"),
    ],
)
def test_bad_ones(places: tuple[str, ...], why: str) -> None:
    assert why in trouble(places)
