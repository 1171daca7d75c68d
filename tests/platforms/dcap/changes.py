"""The changes that the tables of mutations name, made on real quotes and their collateral."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.platforms.dcap.rows import P256_ORDER, Row, changed

from troth.platforms.dcap import quote
from troth.trust.served import to_pem

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)


def made(row: Row, vectors: Path) -> Row:
    """The row with its change made; the tables give some a word and some a sentence."""
    if row.operation == "collateral":
        return _COLLATERAL[row.name](row)
    edit = re.fullmatch(
        r"(xor|zero|set|negate_s|truncate)@(\d+)(?:[=+](?:0x)?(\w+))?", row.operation
    )
    if edit:
        return replace(row, data=_bytes(row.data, edit[1], int(edit[2]), edit[3] or ""))
    cut = re.fullmatch(r"truncate-(\d+)", row.operation)
    if cut:
        return replace(row, data=row.data[: -int(cut[1])])
    tail = re.fullmatch(r"append ([0-9a-f]+)(?:\*(\d+))?", row.operation)
    if tail:
        return replace(row, data=row.data + bytes.fromhex(tail[1]) * int(tail[2] or 1))
    return replace(row, data=_rebuilt(row, vectors))


def _bytes(data: bytes, verb: str, at: int, argument: str) -> bytes:
    match verb:
        case "xor":
            return data[:at] + bytes((data[at] ^ int(argument, 16),)) + data[at + 1 :]
        case "zero":
            return data[:at] + bytes(int(argument)) + data[at + int(argument) :]
        case "set":
            value = bytes.fromhex(argument)
            return data[:at] + value + data[at + len(value) :]
        case "negate_s":
            s = P256_ORDER - int.from_bytes(data[at : at + 32], "big")
            return data[:at] + s.to_bytes(32, "big") + data[at + 32 :]
        case _:
            return data[:at]


def parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """(up to the certification data's own type and size, the certification data, nothing behind it)."""
    parsed = quote.parse(data)
    start = len(parsed.signed) + 4 + 128 + (6 if parsed.version > 3 else 0) + 384 + 64
    start += 2 + len(parsed.qe_auth) + 6
    return data[: start - 6], data[start - 6 : start], data[start:]


def rebuilt(
    data: bytes, certification: bytes, *, kind: bytes = b"\5\0", behind: bytes = b""
) -> bytes:
    """The quote with other certification data, all lengths right."""
    parsed = quote.parse(data)
    head, _, _ = parts(data)
    body = head[len(parsed.signed) + 4 :]
    tail = kind + len(certification).to_bytes(4, "little") + certification + behind
    if parsed.version > 3:
        inner = body[134:] + tail
        body, tail = body[:130], len(inner).to_bytes(4, "little") + inner
    size = len(body) + len(tail)
    return parsed.signed + size.to_bytes(4, "little") + body + tail


def _rebuilt(row: Row, vectors: Path) -> bytes:
    pem = parts(row.data)[2].rstrip(b"\0")
    leaf, authority, root = _BLOCK.findall(pem)
    ark = to_pem_file(next((vectors / "snp" / "certs").glob("*[aA][rR][kK]*[mM]ilan*")))
    match row.name:
        case "rebuild_identity":
            return rebuilt(row.data, parts(row.data)[2])
        case "inner_trailing":
            return rebuilt(row.data, parts(row.data)[2], behind=bytes(16))
        case "chain_reversed":
            return rebuilt(row.data, root.rstrip(b"\n") + b"\n" + authority + leaf)
        case "chain_leaf_only":
            return rebuilt(row.data, leaf)
        case "chain_no_root":
            return rebuilt(row.data, leaf + authority)
        case "chain_foreign_root":
            return rebuilt(row.data, leaf + authority + ark)
        case "chain_extra_cert":
            return rebuilt(row.data, leaf + authority + root.rstrip(b"\n") + b"\n" + ark)
        case "chain_text_junk":
            return rebuilt(row.data, leaf + b"junk\n" + authority + root)
        case "chain_nul_padding":
            return rebuilt(row.data, pem + bytes(64))
        case _:
            raise AssertionError(row.name)


def to_pem_file(path: Path) -> bytes:
    data = path.read_bytes()
    return data if data.startswith(b"-----BEGIN") else to_pem(data)


def _blocks(text: str) -> list[str]:
    return [block.decode() for block in _BLOCK.findall(text.encode())]


def _swap(pieces: str, other: str) -> Callable[[Row], Row]:
    """One document, with its signature, in the place of another."""
    return lambda row: changed(
        row,
        **{
            pieces: row.pieces[other],
            f"{pieces}_signature": row.pieces[f"{other}_signature"],
        },
    )


def _flip(piece: str) -> Callable[[Row], Row]:
    def change(row: Row) -> Row:
        text = row.pieces[piece]
        at = len(text) // 2 if "signature" in piece else len(text) - 20
        other = f"{int(text[at], 16) ^ 1:x}"
        return changed(row, **{piece: text[:at] + other + text[at + 1 :]})

    return change


def _text(piece: str, old: str, new: str) -> Callable[[Row], Row]:
    def change(row: Row) -> Row:
        assert old in row.pieces[piece]
        return changed(row, **{piece: row.pieces[piece].replace(old, new, 1)})

    return change


def _patch(row: Row) -> Row:
    for status in ("ConfigurationAndSWHardeningNeeded", "OutOfDate", "SWHardeningNeeded"):
        if f'"{status}"' in row.pieces["tcb_info"]:
            text = row.pieces["tcb_info"].replace(f'"{status}"', '"UpToDate"')
            return changed(row, tcb_info=text)
    raise AssertionError(row.name)


def _twice(row: Row) -> Row:
    text = row.pieces["tcb_info"]
    return changed(row, tcb_info=text[:-1] + ',"tcbLevels":[]}')


def _forged(row: Row) -> Row:
    text = row.pieces["qe_identity"]
    at = text.index('"mrsigner":"') + 12
    return changed(row, qe_identity=text[:at] + "AB" * 32 + text[at + 64 :])


def _no_root(row: Row) -> Row:
    leaf, *_ = _blocks(row.pieces["tcb_info_issuer_chain"])
    return changed(row, tcb_info_issuer_chain=leaf)


def _pck_chain(row: Row) -> Row:
    return changed(row, tcb_info_issuer_chain=row.pieces["pck_crl_issuer_chain"])


def _crls(row: Row) -> Row:
    return changed(row, root_ca_crl=row.pieces["pck_crl"], pck_crl=row.pieces["root_ca_crl"])


def _instant(row: Row) -> Row:
    return row  # the table has the instant in its own column


_COLLATERAL: dict[str, Callable[[Row], Row]] = {
    "time_before_issue": _instant,
    "time_after_expiry": _instant,
    "wrong_fmspc": _instant,  # and the other collateral
    "tcbinfo_ws": _text("tcb_info", ":", ": "),
    "tcbinfo_dupkey": _twice,
    "tcbinfo_status_patch": _patch,
    "tcbinfo_sig_flip": _flip("tcb_info_signature"),
    "qeid_swap_tcbinfo": _swap("qe_identity", "tcb_info"),
    "tcbinfo_is_qeid": _swap("tcb_info", "qe_identity"),
    "qeid_sig_flip": _flip("qe_identity_signature"),
    "qeid_forged_mrsigner": _forged,
    "chain_no_root": _no_root,
    "chain_empty": lambda row: changed(row, tcb_info_issuer_chain=""),
    "chain_is_pck_chain": _pck_chain,
    "no_pck_crl": lambda row: changed(row, pck_crl=""),
    "no_root_crl": lambda row: changed(row, root_ca_crl=""),
    "crl_swapped": _crls,
    "crl_bitflip": _flip("pck_crl"),
    "root_crl_twice": lambda row: changed(row, pck_crl=row.pieces["root_ca_crl"]),
}
