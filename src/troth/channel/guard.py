"""May this request pass a port that every web page of a local browser can reach? Strict, one request."""

import re
from dataclasses import dataclass
from typing import Final

MAX_HEAD: Final = 32 * 1024
_LINE: Final = re.compile(r"[A-Z]{1,16} [\x21-\x7e]+ HTTP/1\.1")
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
_DIGITS: Final = re.compile(r"[0-9]{1,15}")
# What is between the local peer and us alone, and not the application's business.
_HOP: Final = frozenset({"connection", "keep-alive", "proxy-connection", "te", "upgrade"})


class Refusal(Exception):  # noqa: N818 - an answer to the local peer, not an error of ours
    """The request does not pass.

    Attributes:
        status: HTTP's status line.
        reason: why, in words.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that may pass.

    Attributes:
        head: as it is to be sent on, asking for the connection's end after the answer.
        body_start: the first bytes of the body, if some came with the head.
        body_size: bytes of the whole body.
    """

    head: bytes
    body_start: bytes
    body_size: int


def check(data: bytes, *, port: int) -> Request:
    """Reads the head of a request to the proxy at 127.0.0.1:`port`, and what came with it.

    Raises:
        Refusal: not plain HTTP/1.1 with at most one length; another host than this proxy; or the doing
            of another site's page.
    """
    raw, _, rest = data.partition(b"\r\n\r\n")
    if len(raw) > MAX_HEAD:
        raise Refusal("431 Request Header Fields Too Large", "the request's head is too long")
    line, *lines = raw.decode("latin-1").split("\r\n")
    if not _LINE.fullmatch(line):
        raise Refusal("400 Bad Request", "the first line is no HTTP/1.1 request")
    headers = [_header(one) for one in lines]
    _same_site(headers, port)
    size = _size(headers)
    kept = [f"{name}: {value}" for name, value in headers if name.lower() not in _HOP]
    head = "\r\n".join([line, *kept, "Connection: close", "", ""])
    return Request(head=head.encode("latin-1"), body_start=rest[:size], body_size=size)


def _header(line: str) -> tuple[str, str]:
    match = _HEADER.fullmatch(line)
    if match is None:
        raise Refusal("400 Bad Request", "a header is malformed")
    # Not by the pattern, which could match white space in many ways.
    return match[1], match[2].strip(" \t")


def _all(headers: list[tuple[str, str]], wanted: str) -> list[str]:
    return [value for name, value in headers if name.lower() == wanted]


def _same_site(headers: list[tuple[str, str]], port: int) -> None:
    hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
    given = _all(headers, "host")
    if len(given) != 1 or given[0].lower() not in hosts:
        raise Refusal("403 Forbidden", f"the Host header is not {hosts[0]}")
    origins = [f"http://{host}" for host in hosts]
    if any(origin.lower() not in origins for origin in _all(headers, "origin")):
        raise Refusal("403 Forbidden", "the request comes from another site's page (Origin)")
    # Pages of other sites cause GET requests without Origin (images, links); browsers mark them.
    if any(site not in ("same-origin", "none") for site in _all(headers, "sec-fetch-site")):
        raise Refusal(
            "403 Forbidden", "the request comes from another site's page (Sec-Fetch-Site)"
        )


def _size(headers: list[tuple[str, str]]) -> int:
    if _all(headers, "transfer-encoding"):
        raise Refusal("411 Length Required", "a chunked body; send it with its length")
    lengths = _all(headers, "content-length")
    if not lengths:
        return 0
    if len(lengths) != 1 or not _DIGITS.fullmatch(lengths[0]):
        raise Refusal("400 Bad Request", "the Content-Length is not one number")
    return int(lengths[0])
