"""How firmly what is sent is tied to evidence: four degrees, and which of two is the weaker."""

from enum import StrEnum


class Binding(StrEnum):
    """From the strongest to the weakest; a policy names the weakest that it takes."""

    SESSION = "session"
    """The evidence is over this very TLS session (its exporter) and the caller's nonce."""
    KEY = "key"
    """What is sent goes only to a key in the evidence: of TLS, or one that bodies are encrypted to.
    Whoever gets hold of that key, on any machine, can stand in."""
    ANSWER = "answer"
    """Answers are signed by a key in the evidence; what is sent may have been read by anybody."""
    NONE = "none"
    """Nothing on the way is tied to the evidence."""

    def weaker(self, other: "Binding") -> "Binding":
        """The weaker of two."""
        return other if self.at_least(other) else self

    def at_least(self, wanted: "Binding") -> bool:
        """Whether this is as strong as `wanted`, or stronger."""
        order = tuple(Binding)
        return order.index(self) <= order.index(wanted)
