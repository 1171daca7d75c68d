"""F: is it well-formed?"""

from typing import Final

from troth.model.codes._code import Code

F101: Final = Code(
    "F101",
    "malformed-evidence",
    "the evidence is not in the form its platform makes",
    "The bytes were read by the platform's strict parser: declared lengths, one encoding for each "
    "value, no duplicate keys, nothing after the end. A document that real hardware could not have "
    "made stops here, before any key is used.",
    "Collect the evidence again and pass its bytes unchanged; `troth inspect` shows how far it reads.",
)
F102: Final = Code(
    "F102",
    "unknown-evidence",
    "no platform of troth recognises this evidence",
    "The first bytes match none of the formats that this version reads.",
    "Check that the file is evidence and not, say, a certificate or a web page; "
    "`troth verify --help` lists what is read.",
)
