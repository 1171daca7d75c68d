"""TCB Info, QE identity and evaluation numbers as Intel writes them, of levels that the caller chooses.

Source: Intel, «API Portal for SGX and TDX Services», version 4, and version 3 for TCB Info 2.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from troth.platforms.dcap.collateral import Level, Module, SvnLevel

COMPONENTS: Final = bytes(
    (11, 200, 3, 3, 255, 1, 0, 0, *bytes(8))
)  # one of them needs a leading 00
OLD_COMPONENTS: Final = bytes((9, *COMPONENTS[1:]))
PCE_SVN: Final = 13
TDX_SVN: Final = bytes((5, 1, 2, *bytes(13)))  # module 1.5
TDX_10_SVN: Final = bytes((4, 0, 2, *bytes(13)))
FMSPC: Final = bytes.fromhex("00d0d0d0d0d0")  # of no real platform
PCE_ID: Final = bytes(2)
EVALUATION_NUMBER: Final = 20
QE_SVN: Final = 8
QE_FLAGS: Final = 0x15.to_bytes(8, "little") + 0xE7.to_bytes(8, "little")
QE_MASK: Final = bytes.fromhex("fbffffffffffffff0000000000000000")
QE_SIGNERS: Final = {
    False: hashlib.sha256(b"troth development: signer of the QE").digest(),
    True: hashlib.sha256(b"troth development: signer of the TD QE").digest(),
}
QE_PRODUCTS: Final = {False: 1, True: 2}
NEW: Final = datetime(2026, 8, 12, tzinfo=UTC)
OLD: Final = datetime(2024, 3, 13, tzinfo=UTC)
ADVISORY: Final = "INTEL-SA-00999"


def levels(*, tdx: bool, status: str = "UpToDate") -> tuple[Level, ...]:
    """Two levels: that of the simulated platform with this status, and an older one, out of date."""
    versions = TDX_10_SVN if tdx else b""
    advisories = () if status == "UpToDate" else (ADVISORY,)
    return (
        Level(COMPONENTS, PCE_SVN, versions, status, NEW, advisories),
        Level(OLD_COMPONENTS, PCE_SVN - 2, versions, "OutOfDate", OLD, (ADVISORY,)),
    )


def svn_levels(best: int, status: str = "UpToDate") -> tuple[SvnLevel, ...]:
    """Levels of an enclave or a module: this version with this status, and an older one, out of date."""
    advisories = () if status == "UpToDate" else (ADVISORY,)
    return (
        SvnLevel(best, status, NEW, advisories),
        SvnLevel(best - 2, "OutOfDate", OLD, (ADVISORY,)),
    )


def modules() -> tuple[Module, ...]:
    """The module of TDX 1.0, and 1.x of which 5 is up to date."""
    return (
        Module(None, bytes(48), bytes(8), b"\xff" * 8, ()),
        Module(1, bytes(48), bytes(8), b"\xff" * 8, svn_levels(TDX_SVN[0])),
    )


def tcb_info(
    *,
    tdx: bool,
    version: int = 3,
    issued: datetime,
    next_update: datetime,
    fmspc: bytes = FMSPC,
    pce_id: bytes = PCE_ID,
    evaluation_number: int = EVALUATION_NUMBER,
    tcb_levels: Sequence[Level] | None = None,
    tdx_modules: Sequence[Module] | None = None,
) -> dict[str, Any]:
    """The inner object of a TCB Info."""
    rows = levels(tdx=tdx) if tcb_levels is None else tcb_levels
    write = _level3 if version == 3 else _level2
    value: dict[str, Any] = {"id": "TDX" if tdx else "SGX"} if version == 3 else {}
    value |= {
        "version": version,
        **_window(issued, next_update),
        "fmspc": fmspc.hex(),
        "pceId": pce_id.hex(),
        "tcbType": 0,
        "tcbEvaluationDataNumber": evaluation_number,
    }
    if tdx:
        known = modules() if tdx_modules is None else tdx_modules
        value["tdxModule"] = _module(next(m for m in known if m.major is None))
        value["tdxModuleIdentities"] = [
            {
                "id": f"TDX_{m.major:02X}",
                **_module(m),
                "tcbLevels": [_svn_level(v) for v in m.levels],
            }
            for m in known
            if m.major is not None
        ]
    return value | {"tcbLevels": [write(row) for row in rows]}


def qe_identity(
    *,
    tdx: bool,
    issued: datetime,
    next_update: datetime,
    evaluation_number: int = EVALUATION_NUMBER,
    qe_levels: Sequence[SvnLevel] | None = None,
    mrsigner: bytes | None = None,
    isvprodid: int | None = None,
) -> dict[str, Any]:
    """The inner object of a QE identity."""
    return {
        "id": "TD_QE" if tdx else "QE",
        "version": 2,
        **_window(issued, next_update),
        "tcbEvaluationDataNumber": evaluation_number,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": bytes(a & m for a, m in zip(QE_FLAGS, QE_MASK, strict=True)).hex().upper(),
        "attributesMask": QE_MASK.hex().upper(),
        "mrsigner": (QE_SIGNERS[tdx] if mrsigner is None else mrsigner).hex().upper(),
        "isvprodid": QE_PRODUCTS[tdx] if isvprodid is None else isvprodid,
        "tcbLevels": [
            _svn_level(row) for row in (svn_levels(QE_SVN) if qe_levels is None else qe_levels)
        ],
    }


def evaluation_numbers(
    *, tdx: bool, issued: datetime, next_update: datetime, numbers: Sequence[int]
) -> dict[str, Any]:
    """The inner object of the list of evaluation numbers, newest first."""
    return {
        "id": "TDX" if tdx else "SGX",
        "version": 1,
        **_window(issued, next_update),
        "tcbEvalNumbers": [
            {
                "tcbEvaluationDataNumber": number,
                "tcbRecoveryEventDate": instant(NEW),
                "tcbDate": instant(NEW),
            }
            for number in numbers
        ],
    }


def written(value: Mapping[str, Any]) -> bytes:
    """The exact bytes that are signed: minified."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def instant(at: datetime) -> str:
    """An instant in Intel's form."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _window(issued: datetime, next_update: datetime) -> dict[str, str]:
    return {"issueDate": instant(issued), "nextUpdate": instant(next_update)}


def _level3(level: Level) -> dict[str, Any]:
    tcb: dict[str, Any] = {"sgxtcbcomponents": _components(level.sgx), "pcesvn": level.pce_svn}
    if level.tdx:
        tcb["tdxtcbcomponents"] = _components(level.tdx)
    return {"tcb": tcb, **_standing(level)}


def _level2(level: Level) -> dict[str, Any]:
    tcb = {f"sgxtcbcomp{i:02d}svn": svn for i, svn in enumerate(level.sgx, start=1)}
    return {"tcb": tcb | {"pcesvn": level.pce_svn}, **_standing(level)}


def _components(versions: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"svn": svn} for svn in versions]
    if rows:
        rows[0] |= {"category": "BIOS", "type": "Early Microcode Update"}
        rows[1] |= {"category": "OS/VMM", "type": "SGX Late Microcode Update"}
    return rows


def _svn_level(level: SvnLevel) -> dict[str, Any]:
    return {"tcb": {"isvsvn": level.isvsvn}, **_standing(level)}


def _standing(level: Level | SvnLevel) -> dict[str, Any]:
    value: dict[str, Any] = {"tcbDate": instant(level.date), "tcbStatus": level.status}
    return value | ({"advisoryIDs": list(level.advisories)} if level.advisories else {})


def _module(module: Module) -> dict[str, str]:
    return {
        "mrsigner": module.mrsigner.hex().upper(),
        "attributes": module.attributes.hex().upper(),
        "attributesMask": module.mask.hex().upper(),
    }
