"""No verdict depends on whether troth-native is installed, nor on what it has had time to say."""

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.platforms import engine_rows as rows
from tests.platforms.engine_breaks import GOOD, LAST, WAYS, broken, good, roots_broken
from tests.platforms.engines import Case, Mode, Run, judged, same

from troth.crypto import beside, signature
from troth.model.report import Verdict

pytestmark = pytest.mark.native

RECORDED: dict[str, tuple[Callable[[Path], Iterator[Case]], int]] = {
    "sgx": (lambda vectors: rows.dcap(vectors, "sgx"), 32 + 55 + 5 + 2),
    "tdx": (lambda vectors: rows.dcap(vectors, "tdx"), 30 + 127 + 2 + 2),
    "snp": (rows.amd, 17 + 9 + 100),
    "nitro": (rows.aws, 13),
    "nvidia": (rows.devices, 20),
    "tpm": (rows.virtual, 7),
    "tokens": (rows.services, 24),
}
"""Platform to its recorded evidence, and to how many judgements of it there are."""
# Of these, every signature is one that the library checks. RSA PKCS#1, and what a TPM or most services sign
# with their own keys, is OpenSSL's alone.
HARDWARE = ("sgx", "tdx", "dcap", "snp", "nitro", "nvidia")
# Checks that go on beside Python: not AMD's lists, and not NVIDIA's answers and documents.
BEGUN = {"dcap": 9, "snp": 3, "nitro": 5, "nvidia": 7}
# A chain that is not in the quote is found by a signature that is its own.
BY_ONE = "its chain beside it"
BELIEVED = tuple(BEGUN)


@pytest.fixture(autouse=True)
def xml(request: pytest.FixtureRequest) -> None:
    """NVIDIA's documents are read by the extra `gpu`."""
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if params.get("platform") == "nvidia" and importlib.util.find_spec("signxml") is None:
        pytest.skip("signxml is not installed (pip install 'troth[gpu]')")


def test_the_library_is_the_installed_one() -> None:
    from troth_native import Batch

    assert beside.native() is Batch


def each_was_asked(platform: str, totals: Counter[str]) -> None:
    """Not one engine twice: the library said yes and no, and began what it was not asked for yet."""
    if platform in HARDWARE:
        assert totals["yes"], totals
        assert totals["no"], totals
        assert not totals["not its own"], totals
        answered = totals["yes"] + totals["no"]
        assert totals["answered, UNBEGUN"] == totals["answered, SILENT"] == answered, totals
        assert totals["begun, UNASKED"] == totals["begun, NATIVE"] > 0
    assert totals["begun, UNBEGUN"] == totals["answered, UNASKED"] == 0


@pytest.mark.parametrize("platform", RECORDED)
def test_recorded_evidence(vectors: Path, platform: str) -> None:
    load, count = RECORDED[platform]
    totals: Counter[str] = Counter()
    for case in load(vectors):
        same(case, totals)
    assert totals["cases"] == count
    each_was_asked(platform, totals)


@pytest.mark.parametrize("platform", GOOD)
def test_each_signature_broken(platform: str) -> None:
    totals: Counter[str] = Counter()
    for case in good(platform):
        assert verdict(same(case, totals)) is Verdict.ACCEPTED, case.name
        ways = LAST if platform == "nvidia" else WAYS
        for wrong in (*broken(case, ways), *roots_broken(case)):
            assert verdict(same(wrong, totals)) is not Verdict.ACCEPTED, wrong.name
    assert totals["accepted"] == len(good(platform))
    each_was_asked(platform, totals)


@pytest.mark.parametrize("platform", BELIEVED)
def test_a_library_that_says_yes_is_believed(platform: str) -> None:
    """What is broken is accepted: so the other tests do look at what the library says."""
    for case in good(platform):
        for wrong in broken(case):
            run = judged(wrong, Mode.YES)
            assert verdict(run) is Verdict.ACCEPTED, wrong.name
            assert run.openssl == 0, wrong.name


@pytest.mark.parametrize("platform", BELIEVED)
def test_a_library_that_says_no_is_not_overruled(platform: str) -> None:
    for case in good(platform):
        run = judged(case, Mode.NO)
        assert verdict(run) is Verdict.REJECTED, case.name
        assert signature._TWO_MINDS in run.text, case.name
        assert run.openssl == len(run.asked) == run.answers[False] > 0


@pytest.mark.parametrize("platform", BELIEVED)
def test_one_no_is_enough(platform: str) -> None:
    """Each signature alone stands between a library of another mind and acceptance."""
    for case in good(platform):
        for question, said in dict.fromkeys(judged(case, Mode.NATIVE).asked):
            if said:  # some answers of OCSP are tried with several keys
                run = judged(case, Mode.NATIVE, against=question)
                assert verdict(run) is not Verdict.ACCEPTED, (case.name, question)


@pytest.mark.parametrize("platform", BELIEVED)
def test_what_is_begun_is_what_is_asked_for(platform: str) -> None:
    """To the byte: a check of anything else would be work for nothing, and show nowhere else."""
    for case in good(platform):
        run = judged(case, Mode.NATIVE)
        assert run.left == 0, case.name
        assert run.begun == BEGUN[platform] - (case.name == BY_ONE), case.name


def verdict(run: Run) -> Verdict:
    assert run.report is not None
    return run.report.verdict
