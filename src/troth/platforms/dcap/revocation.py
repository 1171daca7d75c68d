"""Is a certificate of the chain revoked, and does something current say so?"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from troth.crypto import issued
from troth.crypto.beside import Asked
from troth.errors import Malformed
from troth.model.check import Check, failed, passed, undecided
from troth.model.codes.fresh import R203, R204
from troth.platforms.dcap import endorsed
from troth.platforms.dcap.endorsed import Prepared
from troth.platforms.dcap.who import Platform
from troth.wire.x509 import Certificate


def asked(prepared: Prepared, platform: Platform) -> Iterator[Asked]:
    """The signatures of lists that `checks` will ask about, and of which nothing is known yet."""
    for lists, issuer in (
        (prepared.root_lists, platform.root),
        (prepared.pck_lists, platform.authority),
    ):
        for one in lists:
            held = one.content
            if held.issuer == issuer.subject and not one.known(issuer.der):
                yield Asked(issuer.key, held.algorithm, held.signature, held.signed)


def checks(
    prepared: Prepared, platform: Platform, signers: Sequence[Certificate], at: datetime
) -> tuple[list[Check], tuple[str, ...]]:
    """Each certificate below the root against the lists of whoever issued it.

    A list that names a certificate counts against it for ever; that none names it counts only while a
    list is current.
    """
    parts = (
        (prepared.root_lists, platform.root, (platform.authority, *signers)),
        (prepared.pck_lists, platform.authority, (platform.leaf,)),
    )
    revoked, open_questions, used = [], [], []
    for lists, issuer, below in parts:
        good, none = endorsed.of_authority(lists, issuer)
        newest, late = endorsed.current(good, issuer, at)
        for certificate in below:
            try:
                naming = [one for one in good if one.revokes(certificate.serial)]
            except Malformed as error:
                open_questions.append(str(error))
                continue
            revoked += [f"{issued.title(certificate)} {certificate.serial:x}"] if naming else []
            used += naming
        open_questions += [text for text in (none, late) if text]
        used += [newest] if newest is not None else []
    names = tuple(dict.fromkeys(one.name for one in used))
    if revoked:
        first = failed(R203, "revocation", presented=", ".join(revoked))
    elif open_questions:
        first = undecided(R203, "revocation", why="not every list is at hand")
    else:
        first = passed(R203, "revocation")
    if open_questions:
        return [first, undecided(R204, "revocation lists", why="; ".join(open_questions))], names
    return [first, passed(R204, "revocation lists")], names
