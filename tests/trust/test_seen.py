"""The highest evaluation number seen: a memory that only what is genuine can change."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.trust.server import TDX_17, intel

from troth.errors import Malformed, Unavailable
from troth.model.collateral import Kind
from troth.model.roots import RootClass
from troth.trust import vendor_roots
from troth.trust.seen import Seen, vouched

TCB = "intel-tcb-info tdx 00806f050000"
QE = "intel-qe-identity tdx"


def test_older_collateral_is_refused_after_newer(vectors: Path, tmp_path: Path) -> None:
    seen = Seen(tmp_path / "trust" / "seen.json")
    old, new = intel(vectors, TDX_17), intel(vectors)
    seen.check(old)
    seen.note(old)
    assert seen.highest() == {TCB: 17, QE: 17}
    seen.check(new)
    seen.note(new)
    seen.note(old)
    assert seen.highest() == {TCB: 18, QE: 18}
    seen.check(new)
    with pytest.raises(Unavailable, match=r"17 .* 18 was seen before") as raised:
        Seen(seen.path).check(old)
    assert str(seen.path) in raised.value.fix
    assert (seen.path.stat().st_mode & 0o777, seen.path.parent.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )


def test_early_collateral_is_neither_refused_nor_remembered(vectors: Path, tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen.json")
    seen.note(replace(item, early=True) for item in intel(vectors))
    assert seen.highest() == {}
    seen.note(intel(vectors))
    seen.check(replace(item, early=True) for item in intel(vectors, TDX_17))


def test_a_forged_number_shuts_nobody_out(vectors: Path, tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen.json")
    (info,) = (item for item in intel(vectors) if item.kind is Kind.INTEL_TCB_INFO)
    huge = info.data.replace(b'"tcbEvaluationDataNumber":18', b'"tcbEvaluationDataNumber":99')
    other = next(item for item in intel(vectors) if item.kind is Kind.INTEL_PCK_CRL).chain
    for forged in (
        replace(info, data=huge),
        replace(info, data=info.data[:-4] + b'00"}'),
        replace(info, chain=b""),
        replace(info, chain=other),
        replace(info, chain=info.chain[: len(info.chain) // 2 + 1]),
    ):
        assert not vouched(forged, vendor_roots())
    seen.note([replace(info, data=huge)])
    assert seen.highest() == {}
    assert vouched(info, vendor_roots())
    assert not vouched(info, ())
    own = [replace(root, root_class=RootClass.ADDED) for root in vendor_roots()]
    assert not vouched(info, own)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b'{"schema":"troth/seen/1"}', b'{"schema":"troth/seen/2","highest":{}}',
        b'{"schema":"troth/seen/1","highest":[]}', b'{"schema":"troth/seen/1","highest":{"a":"1"}}',
        b'{"schema":"troth/seen/1","highest":{"a":1,"a":2}}',
    ],
)  # fmt: skip
def test_a_damaged_memory_is_not_an_empty_one(tmp_path: Path, vectors: Path, data: bytes) -> None:
    path = tmp_path / "seen.json"
    path.write_bytes(data)
    for use in (Seen(path).check, Seen(path).note):
        with pytest.raises(Unavailable, match="damaged"):
            use(intel(vectors))
    assert path.read_bytes() == data


def test_where_it_cannot_be(tmp_path: Path, vectors: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable):
        Seen(tmp_path / "file" / "seen.json").note(intel(vectors))
    (tmp_path / "seen.json").mkdir()
    with pytest.raises(Unavailable):
        Seen(tmp_path / "seen.json").check(intel(vectors))


def test_what_has_no_number(tmp_path: Path, vectors: Path) -> None:
    seen = Seen(tmp_path / "seen.json")
    (info,) = (item for item in intel(vectors) if item.kind is Kind.INTEL_TCB_INFO)
    bare = info.data.replace(b'"tcbEvaluationDataNumber":18,', b"", 1)
    with pytest.raises(Malformed):
        seen.check([replace(info, data=bare)])


def _note(path: Path, vectors: Path, name: str) -> None:
    Seen(path).note(intel(vectors, name))


def test_two_at_once_are_both_remembered(tmp_path: Path, vectors: Path) -> None:
    path = tmp_path / "seen.json"
    names = [
        "tdx/collateral/tdx-00806f050000-eval18-20251202-platform.json",
        "tdx/collateral/tdx-20a06f000000-eval18-20251202-platform.json",
        "sgx/collateral/sgx-00606a000000-eval17-20250830-platform.json",
    ]
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=_note, args=(path, vectors, name)) for name in names]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert len(Seen(path).highest()) == 5
