"""What do Intel's endorsements say? TCB Info, QE identity, evaluation numbers: JSON signed as it stands.

Source: Intel, «API Portal for SGX and TDX Services», version 4 (TCB Info 3, identity 2) and version 3
(TCB Info 2). The signature is over the exact bytes of the inner object, which are cut out and never
written anew. No crypto, no clock, no network: requests are values in `requests.py`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple

from troth.errors import Malformed

MAX_BODY: Final = 1024 * 1024
COMPONENTS: Final = 16
STATUSES: Final = frozenset(
    {
        "UpToDate",
        "SWHardeningNeeded",
        "ConfigurationNeeded",
        "ConfigurationAndSWHardeningNeeded",
        "OutOfDate",
        "OutOfDateConfigurationNeeded",
        "Revoked",
    }
)
_PART_STATUSES: Final = frozenset({"UpToDate", "OutOfDate", "Revoked"})
_MAX_LEVELS: Final = 256
_HEADS: Final = {
    member: re.compile(r'\s*\{\s*"' + member + r'"\s*:\s*')
    for member in ("tcbInfo", "enclaveIdentity", "tcbEvaluationDataNumbers")
}
_TAIL: Final = re.compile(r'\s*,\s*"signature"\s*:\s*"([0-9a-fA-F]{128})"\s*\}\s*')
_SVN: Final = itemgetter("svn")
_MODULE: Final = re.compile(r"TDX_([0-9A-F]{2})")
_ADVISORY: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


class Level(NamedTuple):  # documents have dozens; a dataclass takes three times as long
    """One level of a TCB Info: what it needs, and what its status is.

    Attributes:
        sgx: 16 component versions.
        pce_svn: a number.
        tdx: 16 component versions, or empty (SGX).
        status: Intel's word.
        date: known holes are closed up to here.
        advisories: open at this level.
    """

    sgx: bytes
    pce_svn: int
    tdx: bytes
    status: str
    date: datetime
    advisories: tuple[str, ...]


class SvnLevel(NamedTuple):
    """One level of an enclave or a TDX module: what version it needs, and what its status is."""

    isvsvn: int
    status: str
    date: datetime
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """What a TDX module must be.

    Attributes:
        major: major version (`TDX_03`: 3), or None for the module of TDX 1.0.
        mrsigner: 48 bytes.
        attributes, mask: 8 bytes each.
        levels: highest version first; empty for the module of TDX 1.0, whose versions are components.
    """

    major: int | None
    mrsigner: bytes
    attributes: bytes
    mask: bytes
    levels: tuple[SvnLevel, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TcbInfo:
    """Levels for all platforms of one FMSPC.

    Attributes:
        tdx: whether it is for TDX.
        issued, next_update: its window.
        fmspc, pce_id: whom it is for.
        evaluation_number: grows with each of Intel's TCB recoveries.
        levels: highest first, whatever order the document has.
        described: the components of one level as the document has them, which say what they are.
        modules: TDX modules by major version; None is that of TDX 1.0.
    """

    tdx: bool
    issued: datetime
    next_update: datetime
    fmspc: bytes
    pce_id: bytes
    evaluation_number: int
    levels: tuple[Level, ...]
    described: tuple[Mapping[str, Any], ...]
    modules: Mapping[int | None, Module]

    @property
    def names(self) -> tuple[str, ...]:
        """For each of 16 SGX and, behind them, 16 TDX components: what Intel calls it, or empty.

        Made when asked for: it is needed where a platform is short of something.
        """
        pairs = ((c.get("type"), c.get("category")) for c in self.described)
        return tuple(", ".join(word for word in pair if isinstance(word, str)) for pair in pairs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnclaveIdentity:
    """What Intel's quoting enclave must be; byte fields as they stand in its report.

    Attributes:
        tdx: whether it is the one for TDX quotes.
        issued, next_update: its window.
        evaluation_number: as in `TcbInfo`.
        miscselect, miscselect_mask: 4 bytes each.
        attributes, attributes_mask: 16 bytes each.
        mrsigner: 32 bytes.
        isvprodid: a number.
        levels: highest version first.
    """

    tdx: bool
    issued: datetime
    next_update: datetime
    evaluation_number: int
    miscselect: bytes
    miscselect_mask: bytes
    attributes: bytes
    attributes_mask: bytes
    mrsigner: bytes
    isvprodid: int
    levels: tuple[SvnLevel, ...]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once)


def cut(body: bytes, member: str) -> tuple[dict[str, Any], bytes, bytes]:
    """Cuts a served body `{"<member>":{…},"signature":"…"}` apart.

    Returns:
        The inner object, the exact bytes that are signed, and the signature r ‖ s.

    Raises:
        Malformed: another shape, text that is not ASCII, or a key that stands twice.
    """
    if len(body) > MAX_BODY:
        raise Malformed(f"is larger than {MAX_BODY} bytes", field=member)
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError as error:
        raise Malformed("is not ASCII", field=member, offset=error.start) from None
    head = _HEADS[member].match(text)
    if head is None:
        raise Malformed(f'does not begin with {{"{member}":', field=member, offset=0)
    try:
        value, end = _DECODER.raw_decode(text, head.end())
    except (ValueError, RecursionError):
        raise Malformed(
            "is not JSON, or has a key twice", field=member, offset=head.end()
        ) from None
    tail = _TAIL.fullmatch(text, end)
    if tail is None or not isinstance(value, dict):
        raise Malformed("is not one object and its signature", field=member, offset=end)
    return value, body[head.end() : end], bytes.fromhex(tail[1])


def tcb_info(value: Mapping[str, Any]) -> TcbInfo:
    """The inner object of a TCB Info body.

    Raises:
        Malformed: a version that is not read here, a missing member, or one of another form.
    """
    where = "tcbInfo"
    version = _int(value, "version", where)
    kind = value.get("id") if version == 3 else "SGX"
    if version not in (2, 3) or kind not in ("SGX", "TDX") or (version == 2 and "id" in value):
        raise Malformed(f"is {value.get('id')!r} of version {version}", field=where)
    if _int(value, "tcbType", where) != 0:
        raise Malformed("is not 0", field="tcbInfo.tcbType")
    tdx = kind == "TDX"
    entries = _list(value, "tcbLevels", where)
    read = _level3 if version == 3 else _level2
    levels = [read(entry, tdx=tdx) for entry in entries]
    levels.sort(key=attrgetter("sgx", "pce_svn", "tdx"), reverse=True)
    return TcbInfo(
        tdx=tdx,
        issued=_instant(value, "issueDate", where),
        next_update=_instant(value, "nextUpdate", where),
        fmspc=_hex(value, "fmspc", 6, where),
        pce_id=_hex(value, "pceId", 2, where),
        evaluation_number=_int(value, "tcbEvaluationDataNumber", where),
        levels=tuple(levels),
        described=_described(entries[0], tdx=tdx) if version == 3 else (),
        modules=_modules(value) if tdx else {},
    )


def enclave_identity(value: Mapping[str, Any]) -> EnclaveIdentity:
    """The inner object of a QE identity body.

    Raises:
        Malformed: of another enclave or version, a missing member, or one of another form.
    """
    where = "enclaveIdentity"
    kind, version = value.get("id"), _int(value, "version", where)
    if kind not in ("QE", "TD_QE") or version != 2:
        raise Malformed(f"is {kind!r} of version {version}", field=where)
    return EnclaveIdentity(
        tdx=kind == "TD_QE",
        issued=_instant(value, "issueDate", where),
        next_update=_instant(value, "nextUpdate", where),
        evaluation_number=_int(value, "tcbEvaluationDataNumber", where),
        # Hex of the fields' bytes as they stand in the report, MISCSELECT too (Intel's own samples).
        miscselect=_hex(value, "miscselect", 4, where),
        miscselect_mask=_hex(value, "miscselectMask", 4, where),
        attributes=_hex(value, "attributes", 16, where),
        attributes_mask=_hex(value, "attributesMask", 16, where),
        mrsigner=_hex(value, "mrsigner", 32, where),
        isvprodid=_int(value, "isvprodid", where),
        levels=_svn_levels(value, where),
    )


def _level3(entry: Any, *, tdx: bool) -> Level:
    where = "tcbInfo.tcbLevels"
    tcb = _dict(entry, "tcb", where)
    return Level(
        _components(tcb, "sgxtcbcomponents", where),
        _int(tcb, "pcesvn", where),
        _components(tcb, "tdxtcbcomponents", where) if tdx else b"",
        *_standing(entry, where, STATUSES),
    )


def _level2(entry: Any, *, tdx: bool) -> Level:
    del tdx  # version 2 is SGX's alone
    where = "tcbInfo.tcbLevels"
    tcb = _dict(entry, "tcb", where)
    versions = [_int(tcb, f"sgxtcbcomp{index:02d}svn", where) for index in range(1, 17)]
    return Level(
        _as_bytes(versions, where),
        _int(tcb, "pcesvn", where),
        b"",
        *_standing(entry, where, STATUSES),
    )


def _svn_levels(value: Mapping[str, Any], where: str) -> tuple[SvnLevel, ...]:
    levels = [
        SvnLevel(
            _int(_dict(entry, "tcb", where), "isvsvn", where),
            *_standing(entry, where, _PART_STATUSES),
        )
        for entry in _list(value, "tcbLevels", where)
    ]
    levels.sort(key=attrgetter("isvsvn"), reverse=True)
    return tuple(levels)


def _modules(value: Mapping[str, Any]) -> dict[int | None, Module]:
    base = _dict(value, "tdxModule", "tcbInfo")
    found: dict[int | None, Module] = {None: _module(base, None, ())}
    where = "tcbInfo.tdxModuleIdentities"
    entries = value.get("tdxModuleIdentities", [])
    if not isinstance(entries, list):
        raise Malformed("is no list", field=where)
    for entry in entries:
        name = entry.get("id") if isinstance(entry, dict) else None
        match = _MODULE.fullmatch(name) if isinstance(name, str) else None
        if match is None:
            raise Malformed(f"has the id {name!r}", field=where)
        major = int(match[1], 16)
        if major in found:
            raise Malformed(f"has {name} twice", field=where)
        found[major] = _module(entry, major, _svn_levels(entry, where))
    return found


def _module(entry: Mapping[str, Any], major: int | None, levels: tuple[SvnLevel, ...]) -> Module:
    where = "tcbInfo.tdxModule"
    return Module(
        major,
        _hex(entry, "mrsigner", 48, where),
        _hex(entry, "attributes", 8, where),
        _hex(entry, "attributesMask", 8, where),
        levels,
    )


def _standing(
    entry: Mapping[str, Any], where: str, known: frozenset[str]
) -> tuple[str, datetime, tuple[str, ...]]:
    status = entry.get("tcbStatus")
    if not isinstance(status, str) or status not in known:
        raise Malformed(f"has the status {status!r}", field=where)
    advisories = entry.get("advisoryIDs", ())
    try:
        named = type(advisories) in (list, tuple) and all(map(_ADVISORY.fullmatch, advisories))
    except TypeError:  # a member that is no text
        named = False
    if not named:
        raise Malformed("has advisories that are no names", field=where)
    return status, _instant(entry, "tcbDate", where), tuple(advisories)


def _components(tcb: Mapping[str, Any], name: str, where: str) -> bytes:
    entries = tcb.get(name)
    if not isinstance(entries, list) or len(entries) != COMPONENTS:
        raise Malformed(f"has not {COMPONENTS} {name}", field=where)
    try:
        return _as_bytes([*map(_SVN, entries)], where)
    except (TypeError, KeyError):
        raise Malformed(f"has a component without its svn in {name}", field=where) from None


def _as_bytes(versions: list[Any], where: str) -> bytes:
    try:
        if bool not in map(type, versions):
            return bytes(versions)
    except (TypeError, ValueError):
        pass
    raise Malformed("has a component that is no number of 0 to 255", field=where)


def _described(entry: Any, *, tdx: bool) -> tuple[Mapping[str, Any], ...]:
    tcb = entry["tcb"]
    return (*tcb["sgxtcbcomponents"], *(tcb["tdxtcbcomponents"] if tdx else ()))


def _int(value: Mapping[str, Any], key: str, where: str) -> int:
    number = value.get(key)
    if type(number) is not int or not 0 <= number < 1 << 31:
        raise Malformed(f"is {number!r}, should be a number", field=f"{where}.{key}")
    return number


def _hex(value: Mapping[str, Any], key: str, size: int, where: str) -> bytes:
    text = value.get(key)
    if not isinstance(text, str) or len(text) != 2 * size:
        raise Malformed(f"should be {size} bytes in hex", field=f"{where}.{key}")
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != size:  # blanks between digits are skipped by the library
        raise Malformed(f"should be {size} bytes in hex", field=f"{where}.{key}")
    return found


def _instant(value: Mapping[str, Any], key: str, where: str) -> datetime:
    text = value.get(key)
    if isinstance(text, str) and len(text) == 20 and text[19] == "Z":
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise Malformed(f"is {text!r}, should be an instant in UTC", field=f"{where}.{key}")


def _dict(value: Any, key: str, where: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    if not isinstance(inner, dict):
        raise Malformed("is missing or no object", field=f"{where}.{key}")
    return inner


def _list(value: Mapping[str, Any], key: str, where: str) -> list[Any]:
    inner = value.get(key)
    if not isinstance(inner, list) or not 1 <= len(inner) <= _MAX_LEVELS:
        raise Malformed(f"should be a list of 1 to {_MAX_LEVELS}", field=f"{where}.{key}")
    return inner
