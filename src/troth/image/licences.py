"""Under which licences a part is, as it says itself: Debian's copyright files, and the metadata of wheels.

Does not verify: that it is so. Where a part says nothing that a program can read, there is no licence here
and never a guess.
"""

import re
from email.parser import HeaderParser
from typing import Final

_FORMAT: Final = re.compile(
    r"\AFormat:\s*https?://\S*(?:copyright-format/1\.0|dep5|dep-5)", re.IGNORECASE
)
_LICENCE: Final = re.compile(r"^License:[ \t]*([!-~][ -~]{0,199})$", re.MULTILINE)
_WORD: Final = re.compile(r"[ -~]{1,200}")
_CLASSIFIER: Final = "License :: "
# Those that ask whoever passes a program on to offer its source, by what their names begin with.
_COPYLEFT: Final = re.compile(
    r"(?:GNU )?(?:A?GPL|LGPL|MPL|EPL|CDDL|EUPL|OSL|CECILL|GFDL|SSPL|QPL|CC-BY-SA)"
    r"|(?:GNU|Mozilla|Eclipse) .*(?:Public|Documentation) License",
    re.IGNORECASE,
)
_BETWEEN: Final = re.compile(r"\b(?:and/or|and|or|with)\b|[(),]", re.IGNORECASE)


def of_copyright(text: str) -> tuple[str, ...]:
    """Names of the licences in a copyright file of the machine-readable format (DEP 5), sorted.

    Nothing where the file is in no such format.
    """
    text = text.replace("\r\n", "\n")
    if not _FORMAT.match(text.lstrip("\n")):
        return ()
    return tuple(sorted({" ".join(match[1].split()) for match in _LICENCE.finditer(text)}))


def of_metadata(text: str) -> tuple[str, ...]:
    """What a wheel's METADATA states: its expression (PEP 639), else its old field, else its classifiers."""
    said = HeaderParser().parsestr(text)
    for field in ("License-Expression", "License"):
        value = str(said.get(field, "")).strip()
        if value == "UNKNOWN" or not _WORD.fullmatch(value):
            continue  # also the licence's whole text, which old ones have here
        return (value,)
    classes = (str(value) for value in said.get_all("Classifier", []))
    found = {value.split(" :: ")[-1] for value in classes if value.startswith(_CLASSIFIER)}
    return tuple(sorted(word for word in found if _WORD.fullmatch(word)))


def copyleft(licence: str) -> bool:
    """Whether a name, or a part of an expression, is of a licence that asks for the source to be offered."""
    return any(_COPYLEFT.match(part.strip()) for part in _BETWEEN.split(licence))
