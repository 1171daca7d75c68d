"""A vsock device for QEMU's guests, as a vhost-user back end: no kernel module, no program beside troth.

The guest is hostile, and so may be its front end once the guest has taken it over.
"""

from troth.runtime.vsock.backend import GUEST_CID, Vsock

__all__ = ["GUEST_CID", "Vsock"]
