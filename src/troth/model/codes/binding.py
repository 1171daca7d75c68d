"""B: is it bound to this question, this key, this channel?"""

from typing import Final

from troth.model.codes._code import Code

B101: Final = Code(
    "B101",
    "wrong-nonce",
    "the evidence does not carry your nonce",
    "The nonce was compared, byte for byte, with the one in the evidence. Another nonce, or none, "
    "means that the evidence answers somebody else's question: a replay.",
    "Ask again with a new nonce; if it stays so, somebody between you and the enclave replays.",
)
B201: Final = Code(
    "B201",
    "wrong-key",
    "the evidence does not bind the key you expect",
    "The key given was compared with the public key inside the evidence (its SubjectPublicKeyInfo, "
    "or the raw bytes the enclave put there).",
    "Check that the key belongs to this enclave and this start of it: keys made inside die with it.",
)
B202: Final = Code(
    "B202",
    "key-not-expected",
    "the policy requires a bound key and none was given",
    "The policy says that evidence counts only for a given key.",
    "Pass the key with `--key`, or give the expectation up by name with `--waive key`.",
)
B301: Final = Code(
    "B301",
    "wrong-binding",
    "the evidence is bound to something else than this session",
    "The agent binds a hash over a tag (channel, identity, app data), and the fields of that purpose. "
    "For a channel these are the TLS exporter of the session, the certificate's key and the nonce. "
    "Evidence made for another session, another key or another purpose, gives another hash.",
    "Connect directly to the enclave; if it stays so, somebody relays or splices the connection.",
)
B401: Final = Code(
    "B401",
    "bad-receipt",
    "the receipt was not signed by the key in this evidence",
    "A receipt counts if the evidence binds an identity key under the identity tag, and that key "
    "signed exactly these bytes. It says that the measured code signed them, at some time after the "
    "enclave started; not that what they say is true.",
    "Ask for the receipt and its bundle again; one of the two was changed or belongs to another start.",
)
