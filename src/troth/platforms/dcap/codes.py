"""The questions that must be answered before a quote is accepted."""

from typing import Final

from troth.model.codes import Code
from troth.model.codes.fresh import R103, R201, R202, R203, R204
from troth.model.codes.genuine import G101, G102, G103, G201, G202, G203, G204, G205, G206
from troth.model.codes.tcb import T110

SGX: Final[tuple[Code, ...]] = (
    *(G206, G202, G201, G101, R103, G102, R201, G103),
    *(R203, R204, G204, G205, R202, G203),
)
TDX: Final[tuple[Code, ...]] = (*SGX, T110)
