"""The whole verifier on an SNP report that is accepted, and one with the host's table behind it."""

from fuzz import judged
from fuzz.simulated import report_cases

TARGET = judged.target(lambda: report_cases()[:2], longest=8192)
