"""The steps of the path one by one, also those that another step would catch as well."""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec

from tests.platforms.nitro.forge import chain, specs
from troth.crypto import path


def test_a_path_needs_two_certificates() -> None:
    root = path.read(chain(specs())[0][0])
    assert path.problems([]) == path.problems([root]) == ["the path needs a root and a leaf"]


def test_a_link_needs_a_key_of_the_profile_above_it() -> None:
    wanted = specs()
    wanted[2] = replace(wanted[2], curve=ec.SECP256R1())
    certificates, _ = chain(wanted)
    assert path._link(certificates[3], certificates[2]) == ("its issuer has no P-384 key",)
    assert path._link(certificates[2], certificates[1]) == ()
