"""Intel's documents: exact bytes cut out, every member of one form, nothing but `Malformed` otherwise."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.dcap.made import PKI, good, refused

from troth.errors import Malformed
from troth.model.collateral import Collateral, Item, Kind
from troth.platforms.dcap import collateral, endorsed
from troth.platforms.dcap import simulate_documents as documents

WINDOW = {"issued": PKI.issued, "next_update": PKI.next_update}
INFOS = {
    "SGX": documents.tcb_info(tdx=False, **WINDOW),
    "SGX, version 2": documents.tcb_info(tdx=False, version=2, **WINDOW),
    "TDX": documents.tcb_info(tdx=True, **WINDOW),
}
IDENTITIES = {tdx: documents.qe_identity(tdx=tdx, **WINDOW) for tdx in (False, True)}
ALL: list[tuple[Callable[[Any], Any], dict[str, Any]]] = [
    *((collateral.tcb_info, value) for value in INFOS.values()),
    *((collateral.enclave_identity, value) for value in IDENTITIES.values()),
]
# Members that may be absent: what is open at a level, words for people, and modules past TDX 1.0.
OPTIONAL = {"advisoryIDs", "category", "type", "tdxModuleIdentities"}
EMPTY = [("advisoryIDs", []), ("tdxModuleIdentities", [])]
SIGNATURE = "ab" * 64
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def body(inner: str, member: str = "tcbInfo", signature: str = SIGNATURE) -> bytes:
    return f'{{"{member}":{inner},"signature":"{signature}"}}'.encode()


def cut(data: bytes, member: str = "tcbInfo") -> tuple[dict[str, Any], bytes, bytes]:
    return collateral.cut(data, member)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1}',
        '{"a" : 1 , "b":[ "}" , "\\"}" ]}',
        '{\n  "signature": "00"\n}',
        '{"a":{"a":{"a":"{"}}}',
    ],
)
def test_the_signed_bytes_are_the_bytes_as_they_stand(text: str) -> None:
    value, signed, signature = cut(body(text))
    assert signed == text.encode()
    assert value == json.loads(text)
    assert signature == bytes.fromhex(SIGNATURE)
    assert cut(b" " + body(text) + b"\n")[1] == signed


WRONG_BODIES = {
    "nothing": b"",
    "another member": body("{}", "enclaveIdentity"),
    "the signature first": f'{{"signature":"{SIGNATURE}","tcbInfo":{{}}}}'.encode(),
    "a member more": body("{}")[:-1] + b',"a":1}',
    "bytes behind": body("{}") + b"a",
    "two bodies": body("{}") * 2,
    "no signature": b'{"tcbInfo":{}}',
    "a signature of 63 bytes": body("{}", signature="ab" * 63),
    "a signature that is no hex": body("{}", signature="xy" * 64),
    "no object": body("[]"),
    "no JSON": body("{'a':1}"),
    "a key twice": body('{"a":1,"a":1}'),
    "a key twice, written twice": body('{"a":1,"\\u0061":2}'),
    "a key twice, inside": body('{"b":[{"a":1,"a":2}]}'),
    "no ASCII": body('{"a":"ü"}'),
    "nested deep": body("[" * 100_000),
    "nested deep, and closed": body('{"a":' * 990 + "1" + "}" * 990),
    "a long number": body('{"a":' + "1" * 5000 + "}"),
    "too large": body('{"a":"' + "a" * collateral.MAX_BODY + '"}'),
}


@pytest.mark.parametrize("name", WRONG_BODIES)
def test_bodies_that_are_refused(name: str) -> None:
    with pytest.raises(Malformed):
        collateral.tcb_info(cut(WRONG_BODIES[name])[0])


def test_a_body_has_an_end() -> None:
    least = len(body('{"a":""}'))
    assert cut(body('{"a":"' + "a" * (collateral.MAX_BODY - least) + '"}'))
    with pytest.raises(Malformed, match="is larger"):
        cut(body('{"a":"' + "a" * (collateral.MAX_BODY - least + 1) + '"}'))


def test_no_depth_escapes() -> None:
    for depth in range(900, 1010):
        for one, other in (("[", "]"), ('{"a":', "}")):
            try:
                cut(body('{"x":' + one * depth + "1" + other * depth + "}"))
            except Malformed:
                continue


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every member and element."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@pytest.mark.parametrize("index", range(len(ALL)))
def test_every_member_is_needed(index: int) -> None:
    read, value = ALL[index]
    read(value)
    for path in places(value):
        if path[-1] in OPTIONAL or isinstance(path[-1], int):
            continue
        changed = copy.deepcopy(value)
        del at(changed, path[:-1])[path[-1]]
        with pytest.raises(Malformed):
            read(changed)


@pytest.mark.parametrize("index", range(len(ALL)))
def test_every_member_has_one_type(index: int) -> None:
    """Whatever stands in the place of a member: `Malformed`, but for words that only people read."""
    read, value = ALL[index]
    for path in places(value):
        for other in (None, True, -1, 1.5, 1 << 31, "", "x", "0x", [], {}, [1], {"a": 1}):
            changed = copy.deepcopy(value)
            at(changed, path[:-1])[path[-1]] = other
            if path[-1] in ("category", "type") or (path[-1], other) in EMPTY:
                read(changed)
            elif path[-2:-1] != ("advisoryIDs",) or other not in ("x", "0x"):
                with pytest.raises(Malformed):
                    read(changed)


@given(index=st.integers(0, len(ALL) - 1), data=st.data())
def test_anything_anywhere(index: int, data: st.DataObject) -> None:
    read, value = ALL[index]
    changed = copy.deepcopy(value)
    path = data.draw(st.sampled_from(list(places(value))))
    at(changed, path[:-1])[path[-1]] = data.draw(JSON)
    try:
        read(changed)
    except Malformed:
        pass
    item = PKI.document(
        "tcbInfo" if read is collateral.tcb_info else "enclaveIdentity", documents.written(changed)
    )
    endorsed.Prepared(Collateral(items=(item,))).others(tdx=True)


@given(data=st.binary(max_size=300), chain=st.binary(max_size=100), kind=st.sampled_from(Kind))
def test_random_items(data: bytes, chain: bytes, kind: Kind) -> None:
    prepared = endorsed.Prepared(Collateral(items=(Item(kind=kind, data=data, chain=chain),)))
    assert not prepared.root_lists
    assert not prepared.pck_lists
    assert not prepared.others(tdx=True)
    assert not prepared.others(tdx=False)


@given(where=st.integers(0, 5000), new=st.binary(max_size=6), which=st.integers(0, 5))
def test_damaged_items_are_troubles_and_never_accepted(where: int, new: bytes, which: int) -> None:
    """Whatever is damaged in what a verdict needs, the report says so; it is never an exception."""
    case = good()
    needed = {0: 1, 1: 3, 2: 4, 3: 5}.get(which % 4, 1)
    item = case.collateral.items[needed]
    start = where % len(item.data)
    data = item.data[:start] + new + item.data[start + len(new) + 1 :]
    if data == item.data:
        return
    items = [*case.collateral.items]
    items[needed] = Item(kind=item.kind, data=data, chain=item.chain)
    report = replace(case, collateral=Collateral(items=tuple(items))).report()
    if json_equal(data, item.data):
        return
    assert report.verdict != "accepted", (needed, start)


def json_equal(one: bytes, other: bytes) -> bool:
    """The same signed bytes and signature: blanks around them, or the case of the signature's hex."""
    for member in ("tcbInfo", "enclaveIdentity"):
        try:
            return cut(one, member)[1:] == cut(other, member)[1:]
        except Malformed:
            continue
    return False


def test_blanks_in_hex_are_not_hex() -> None:
    value = copy.deepcopy(IDENTITIES[False])
    value["mrsigner"] = " " * 64
    with pytest.raises(Malformed):
        collateral.enclave_identity(value)
    value["mrsigner"] = "ab " * 21 + "a"
    with pytest.raises(Malformed):
        collateral.enclave_identity(value)


def test_levels_are_sorted_whatever_the_order() -> None:
    value = copy.deepcopy(INFOS["TDX"])
    straight = collateral.tcb_info(value)
    value["tcbLevels"].reverse()
    value["tdxModuleIdentities"][0]["tcbLevels"].reverse()
    turned = collateral.tcb_info(value)
    assert straight.levels == turned.levels
    assert straight.modules == turned.modules


def test_modules_have_names() -> None:
    for name in ("TDX_1", "TDX_001", "TDX_0g", "tdx_01", "TDX_01 ", "", None, 1):
        value = copy.deepcopy(INFOS["TDX"])
        value["tdxModuleIdentities"][0]["id"] = name
        with pytest.raises(Malformed):
            collateral.tcb_info(value)
    value = copy.deepcopy(INFOS["TDX"])
    value["tdxModuleIdentities"] *= 2
    with pytest.raises(Malformed, match="twice"):
        collateral.tcb_info(value)


@pytest.mark.parametrize("version", [1, 2, 4])
def test_other_versions_are_not_read(version: int) -> None:
    for read, value in ALL:
        if value["version"] != version:
            with pytest.raises(Malformed):
                read(value | {"version": version})


def test_what_was_wrong_with_an_item_is_said() -> None:
    case = good()
    items = list(case.collateral.items)
    items[1] = replace(items[1], data=items[1].data.replace(b'"tcbType":0', b'"tcbType":1'))
    report = refused(
        replace(case, collateral=Collateral(items=tuple(items))),
        undecided={"R201", "G203", "G204", "G205", "R202", "T101", "T104", "T110"},
    )
    assert any("tcbType" in check.why for check in report.checks)
