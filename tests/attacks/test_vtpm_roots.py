"""A cloud's root that the caller names once more vouches for no more than it does as pinned."""

from dataclasses import replace

import pytest
from tests.platforms.tpm import made
from tests.platforms.tpm.made import NONCE, appraised, failing

from troth.model.roots import Root, RootClass
from troth.platforms.tpm import roots


@pytest.mark.parametrize("root", roots.vendor_roots(), ids=lambda root: root.source[:20])
def test_a_pinned_root_in_the_callers_own_words_is_of_the_same_cloud(root: Root) -> None:
    again = replace(root, root_class=RootClass.ADDED, source="--trust", review_by=None)
    assert roots.issuer(again) == roots.issuer(root) != ""


def test_a_root_without_a_key_is_of_no_cloud() -> None:
    assert roots.issuer(replace(made.pki().trusted(), key_sha256="")) == ""


def test_a_clouds_root_that_the_caller_names_keeps_its_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other certificates than those of attestation keys are issued under it, too."""
    trusted = made.pki("azure").trusted()
    monkeypatch.setattr(roots, "_BY_KEY", {trusted.key_sha256: roots.GOOGLE})
    data = made.booted().evidence(NONCE, certificates=[made.certificate("azure")])
    assert failing(appraised(data)) == {"G102"}
