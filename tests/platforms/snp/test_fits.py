"""Which of the endorsements at hand a report is judged by, and one that can vouch for nothing."""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec
from tests.platforms.snp.made import START, asked, endorsement, failing, held, judged, why

from troth.model.report import Verdict
from troth.platforms.snp.simulate import Processor


def test_an_endorsed_key_that_checks_nothing(milan: Processor) -> None:
    """AMD's authority says that this is the chip's key, and it is of another kind than such keys are."""
    key = milan.pki.keys.asvk.public_key()
    forged = milan.pki.endorse(
        key,  # type: ignore[arg-type]
        milan.parts,
        start=START,
        hwid=milan.chip_id,
        name="Milan-B0",
    )
    report = judged(asked(milan), milan, endorsement(forged), *held(milan)[1:])
    assert failing(report) == {"G104"}
    assert why(report, "G104") == "the key is not on P-384"


def test_a_key_that_fits_counts_before_one_that_signed(milan: Processor) -> None:
    """A chip's key of an older TCB signs a report of the newer: that key is not asked at all."""
    key = ec.generate_private_key(ec.SECP384R1())
    parts = {**milan.parts, "microcode": 100}
    older = milan.pki.endorse(
        key.public_key(), parts, start=START, hwid=milan.chip_id, name="Milan-B0"
    )
    forged = asked(replace(milan, key=key))
    fitting, *others = held(milan)
    for pair in ((fitting, endorsement(older)), (endorsement(older), fitting)):
        assert failing(judged(forged, milan, *pair, *others)) == {"G104"}
        assert judged(asked(milan), milan, *pair, *others).verdict is Verdict.ACCEPTED
