"""AMD's certificates of VCEKs and VLEKs."""

from fuzz.target import Target
from fuzz.targets.certificate import endorsements
from troth.platforms.snp import endorsement

TARGET = Target(
    run=endorsement.read,
    seeds=endorsements,
    longest=4096,
    words=(b"\x2b\x06\x01\x04\x01\x9c\x78\x01", b"\x02\x01", b"\x16\x05Turin", b"\x04\x40"),
)
