"""An append-only log of releases on plain files: tiles, checkpoints, witnesses, proofs.

The formats are public ones, so that others' tools read what troth writes: tlog-tiles, signed notes,
checkpoints and cosignatures of C2SP, hashing of RFC 6962.
"""
