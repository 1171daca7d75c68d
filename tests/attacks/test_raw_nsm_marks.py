"""Attacks with an image whose app has the security module itself: by ways that lose what says so."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from stat import S_IFCHR, S_IFDIR, S_IFREG

import pytest
from tests.platforms.nitro.signer import DAY, identity, signature
from tests.runtime.test_load import CONFIG, GOOD, image, packed

from troth.cli.main import run
from troth.wire import cpio, eif
from troth.wire import json as strict

TODAY = datetime.now(UTC)
RAW = image(GOOD | {"raw_nsm": True})


def put(path: Path, made: eif.Eif) -> str:
    path.write_bytes(eif.pack(made))
    return str(path)


def refused(source: Path, capsys: pytest.CaptureFixture[str]) -> bool:
    code = run(["policy", "new", "--image", str(source), "-o", str(source.parent / "p.toml")])
    return code == 2 and "raw_nsm" in capsys.readouterr().err


def test_measurements_that_are_made_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "b.measurements.json"
    assert run(["measure", put(tmp_path / "a.eif", RAW), "-o", str(made)]) == 0
    assert json.loads(made.read_bytes())["image"]["raw_nsm"] is True
    assert refused(made, capsys)


def test_a_signature_that_is_attached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by = identity(begin=TODAY - DAY, end=TODAY + DAY)
    source = put(tmp_path / "a.eif", RAW)
    (tmp_path / "a.pcr8").write_bytes(signature(RAW, by, at=TODAY))
    assert run(["release", "attach", source, str(tmp_path / "a.pcr8")]) == 0
    assert refused(tmp_path / "a.measurements.json", capsys)
    assert refused(tmp_path / "a.eif", capsys)


def test_an_archive_with_a_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [cpio.Entry(path=name, mode=S_IFDIR | 0o755) for name in ("dev", "etc", "etc/troth")]
    entries.append(cpio.Entry(path="dev/console", mode=S_IFCHR | 0o600, device=(5, 1)))
    content = strict.canonical(GOOD | {"raw_nsm": True})
    entries.append(cpio.Entry(path=CONFIG, mode=S_IFREG | 0o644, data=content))
    made = packed(cpio.pack(entries))
    put(tmp_path / "a.eif", made)
    assert refused(tmp_path / "a.eif", capsys)


def test_a_second_word_that_a_kernel_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = image(), RAW.ramdisks[1]
    made = replace(first, sections=(*first.sections, second))
    put(tmp_path / "a.eif", made)
    assert refused(tmp_path / "a.eif", capsys)


def test_one_without_the_module_is_measured(tmp_path: Path) -> None:
    made = tmp_path / "b.measurements.json"
    assert run(["measure", put(tmp_path / "a.eif", image()), "-o", str(made)]) == 0
    assert "raw_nsm" not in json.loads(made.read_bytes())["image"]
