"""The whole verifier on one quote each of SGX and TDX that is accepted."""

from fuzz import judged
from fuzz.simulated import quote_cases

TARGET = judged.target(lambda: (quote_cases()[0], quote_cases()[-1]), longest=8192)
