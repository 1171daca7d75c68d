"""Limits and forms that another step would refuse as well, each asked by itself."""

import json

import pytest
from tests.platforms.nitro.forge import NOW, policy

import troth
from troth.errors import Malformed
from troth.model.report import Verdict
from troth.platforms import assemble
from troth.platforms.tdx import log as logs
from troth.platforms.tpm import carrier
from troth.wire import tcg


def test_an_old_log_that_is_too_large() -> None:
    with pytest.raises(Malformed, match="is larger than"):
        tcg.read_old(bytes(tcg.MAX_LOG + 1))


def test_what_is_no_tpms_log() -> None:
    assert not logs.of_tpm(b"[]")
    assert not logs.of_tpm(bytes(64))


def test_a_register_twice_and_one_too_many() -> None:
    one = b"\x08\x04\x12\x01\xaa"
    assert carrier._entries((one,)) == {4: b"\xaa"}
    for entries in ((one, one), (b"\x08\x18\x12\x01\xaa",)):
        with pytest.raises(Malformed, match="has the index"):
            carrier._entries(entries)


def test_a_container_that_contradicts_itself_is_malformed() -> None:
    """Azure's evidence around what is no report: said by the container, whatever else reads it."""
    data = json.dumps({"quote": {}, "report": [1, 2], "vcek": ""}).encode()
    with pytest.raises(Malformed) as said:
        assemble(data)
    report = troth.appraise(data, policy=policy(), at=NOW)
    assert report.verdict is Verdict.MALFORMED
    assert str(said.value) in {check.why for check in report.checks}
