"""B4: is this answer the one that the attested service gave to this request?"""

from typing import Final

from troth.model.codes._code import Code

B411: Final = Code(
    "B411",
    "answer-not-signed",
    "no key that the evidence binds has signed this answer",
    "The receipt or signature was fetched for this answer, and checked under the key that the accepted "
    "evidence names. An answer without one, or with one by another key, may come from anybody on the way.",
    "Do not use the answer. Ask again; if it stays so, the service restarted with another key, or "
    "somebody else answers in its place.",
)
B412: Final = Code(
    "B412",
    "receipt-of-another-keyset",
    "the receipt belongs to another keyset than the one in the evidence",
    "A receipt names the digest of the keyset under which it was made. Keys that were replaced since "
    "say nothing of the service that was verified.",
    "Verify the service again, and then ask again.",
)
B413: Final = Code(
    "B413",
    "receipt-of-another-request",
    "the answer was signed for another request than yours",
    "The digest of the request in the receipt was compared with that of the bytes that were sent "
    "(where fields were encrypted: of the body as the service restores it).",
    "Do not use the answer: your request was changed on the way, or this is somebody else's answer.",
)
B414: Final = Code(
    "B414",
    "receipt-of-another-answer",
    "the answer was changed, or cut, on the way",
    "The digest of the answer in the receipt was compared with that of the bytes that came in. A stream "
    "counts as a whole, with its framing.",
    "Do not use the answer; ask again.",
)
B415: Final = Code(
    "B415",
    "receipt-out-of-order",
    "the receipt's events are not those of one answered request",
    "A receipt begins with the request that came in, and holds each of the protocol's events once and "
    "in its order: received, forwarded, upstream verified, returned.",
    "Ask again; if it stays so, the service does not speak the protocol that it names.",
)
B416: Final = Code(
    "B416",
    "receipt-of-another-model",
    "the receipt is for another model, endpoint or method than you asked for",
    "The receipt names the model, the endpoint and the method that the service was asked for, and they "
    "were compared with those of the request.",
    "Do not use the answer: a cheaper model may have given it.",
)
B417: Final = Code(
    "B417",
    "upstream-not-verified",
    "the gateway did not verify the service behind it",
    "A gateway forwards requests. Its receipt says whether it verified who was behind it for this one, "
    "and names the record of that. What it says is as true as its own code.",
    "Ask for verified serving alone (`provider.aci_verified`), or ask another gateway.",
)
