"""The whole verifier on a Nitro document that is accepted."""

from fuzz import judged
from fuzz.simulated import nitro_case

TARGET = judged.target(lambda: [nitro_case()], longest=8192)
