"""The bill of materials: CycloneDX 1.6 by its own schema, and the same bytes each time."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.release.supplied import DEBS, desk, image, record, sha

from troth.errors import Unavailable
from troth.image import components, looking
from troth.image.components import Components, Part
from troth.release import sbom


@pytest.fixture
def looked(tmp_path: Path) -> Components:
    known = components.of_record(record(), sha256="0" * 64)
    return looking.look(known, store=desk(tmp_path).store, image=image())


def flat(value: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for one in value.get("components", []):
        found[one["bom-ref"]] = one
        found |= flat(one)
    return found


def test_it_is_what_it_says(looked: Components) -> None:
    data = sbom.write(looked, name="app")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    value = json.loads(data)
    assert (value["bomFormat"], value["specVersion"]) == ("CycloneDX", "1.6")
    assert "timestamp" not in value["metadata"]
    assert value["metadata"]["component"]["hashes"][0]["content"] == looked.image
    found = flat(value)
    assert len(found) == len(looked.parts) + 1  # the app, which holds its files
    assert [one["name"] for one in found["image:app"]["components"]] == ["/app/program"]
    (depends,) = (d for d in value["dependencies"] if "dependsOn" in d)
    assert set(depends["dependsOn"]) == {one["bom-ref"] for one in value["components"]}
    libc = found["image:deb:libc6@2.41-12"]
    assert libc["purl"] == "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-trixie"
    assert libc["hashes"] == [{"alg": "SHA-256", "content": sha(DEBS["libc6"])}]
    assert {"name": "troth:source", "value": "glibc 2.41-12"} in libc["properties"]
    assert [one["license"]["name"] for one in libc["licenses"]] == ["GPL-2", "LGPL-2.1+"]
    wheel = found["image:wheel:crypto@44.0.0"]
    assert wheel["purl"] == "pkg:pypi/crypto@44.0.0"
    assert wheel["licenses"] == [{"expression": "Apache-2.0 OR BSD-3-Clause"}]
    assert {one["name"] for one in wheel["components"]} == {"openssl", "rust", "serde"}
    assert found["builder:deb:gcc@14-1"]["scope"] == "excluded"
    assert found["kernel:deb:linux-image-6@6.12-1"]["type"] == "operating-system"
    program = found["image:file:/app/program@"]
    assert {one.get("purl") for one in program["components"]} == {
        "pkg:generic/go@1.22.3",
        "pkg:golang/golang.org/x/net@v0.1.0",
    }
    stated = found["interpreter:deb:python3.13-minimal@3.13.5-2"]["properties"]
    assert {"name": "troth:licences", "value": "not stated"} in stated


def test_what_was_not_at_hand_stands_in_it() -> None:
    known = components.of_record(record(), sha256="0" * 64)
    value = json.loads(sbom.write(looking.look(known, store=None, image=None), name="app"))
    said = [p["value"] for p in value["metadata"]["properties"]]
    assert any("libraries inside the app's own files are not looked for" in words for words in said)
    stated = flat(value)["image:deb:libc6@2.41-12"]["properties"]
    assert {"name": "troth:licences", "value": "not at hand"} in stated


def test_the_same_parts_give_the_same_bytes(looked: Components) -> None:
    data = sbom.write(looked, name="app")
    assert sbom.write(looked, name="app") == data
    other = json.loads(sbom.write(replace(looked, record="1" * 64), name="app"))
    assert other["serialNumber"] != json.loads(data)["serialNumber"]


def test_the_same_bytes_under_another_seed_clock_and_zone(tmp_path: Path) -> None:
    script = (
        "import sys, hashlib, json\n"
        "from troth.image import components\n"
        "from troth.release import sbom\n"
        "known = components.of_record(json.load(sys.stdin), sha256='0' * 64)\n"
        "print(hashlib.sha256(sbom.write(known, name='app')).hexdigest())\n"
    )
    seen, value = set(), json.dumps(record())
    for seed in ("1", "2"):
        more = {"PYTHONHASHSEED": seed, "TZ": f"XXX-{seed}", "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **more},
            input=value,
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout)
    assert len(seen) == 1


def test_hostile_names_are_still_a_valid_document(looked: Components) -> None:
    odd = replace(
        looked.parts[0], name="../@?#é\x1b", version="1 2/3", licences=("A OR", "x" * 300)
    )
    twice = replace(looked, parts=(odd, odd, *looked.parts))
    data = sbom.write(twice, name="\x1bapp")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    assert len(flat(json.loads(data))) == len(twice.parts) + 1


@pytest.mark.parametrize(
    "name", ["", "/", "a/", "a//b", "@", "%00", "    ", "-" * 300, "é", "..", "a b"]
)
def test_names_that_no_package_could_have_have_no_address(looked: Components, name: str) -> None:
    odd = [
        replace(looked.parts[0], name=name, kind=kind, within=within, purl=purl, version="")
        for kind, within, purl in (
            ("deb", "", "generic"),
            ("wheel", "", "generic"),
            ("inside", "wheel crypto", "golang"),
            ("inside", "wheel crypto", "generic"),
        )
    ]
    data = sbom.write(replace(looked, parts=(*looked.parts, *odd)), name=name)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    assert not [
        one for one in flat(json.loads(data)).values() if one["name"] == name and "purl" in one
    ]


def test_an_app_of_many_files(looked: Components) -> None:
    """Time grows with their number, and not with its square."""

    def took(count: int) -> float:
        files = tuple(
            Part(kind="file", name=f"/app/{i}", sha256=f"{i:064x}", licences=())
            for i in range(count)
        )
        began = process_time()
        sbom.write(replace(looked, parts=(*looked.parts, *files)), name="app")
        return process_time() - began

    took(10)
    assert took(1000) < 10 * took(250)


def test_without_the_library(looked: Components, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cyclonedx.output.json", None)
    with pytest.raises(Unavailable, match="cyclonedx-python-lib"):
        sbom.write(looked, name="app")
