"""Licences as parts state them, and no guess where they state none."""

import pytest
from tests.release.supplied import DEP5

from troth.image import licences


def test_a_copyright_file_that_programs_can_read() -> None:
    text = (DEP5 % (b"LGPL-2.1+ and  BSD-3-clause", b"GPL-2")).decode()
    assert licences.of_copyright(text) == ("GPL-2", "LGPL-2.1+ and BSD-3-clause")
    assert licences.of_copyright(text.replace("\n", "\r\n")) == licences.of_copyright(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "License: GPL-2\n",
        "This package was put together by hand. See /usr/share/common-licenses/GPL-2",
        "Format: something\nLicense: GPL-2\n",
    ],
)
def test_a_copyright_file_that_they_cannot(text: str) -> None:
    assert licences.of_copyright(text) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("License-Expression: MIT\nLicense: old\n", ("MIT",)),
        ("License: BSD\n", ("BSD",)),
        (
            "License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n",
            ("MIT License",),
        ),
        ("License: a whole\n        text\n        of many lines\n", ()),
        ("Classifier: License :: OSI Approved :: B\nClassifier: License :: A\n", ("A", "B")),
        ("Classifier: Topic :: X\n\nLicense: in the body\n", ()),
        ("", ()),
    ],
)
def test_the_metadata_of_a_wheel(text: str, found: tuple[str, ...]) -> None:
    assert licences.of_metadata(text) == found


def test_which_ask_for_the_source() -> None:
    for name in (
        "GPL-2", "GPL-3+", "LGPL-2.1-or-later", "AGPL-3.0-only", "MPL-2.0", "MIT or GPL-2",
        "BSD-3-clause and LGPL-2.1+", "(MIT AND EPL-2.0)", "GNU General Public License v3 (GPLv3)",
        "Mozilla Public License 2.0 (MPL 2.0)", "GFDL-NIV-1.3+", "GPL-3.0 WITH GCC-exception-3.1",
    ):  # fmt: skip
        assert licences.copyleft(name), name
    for name in ("MIT", "Apache-2.0 OR BSD-3-Clause", "PSF-2.0", "public-domain", "BSL-1.0", ""):
        assert not licences.copyleft(name), name
