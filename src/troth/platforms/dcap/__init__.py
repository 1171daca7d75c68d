"""What Intel SGX and Intel TDX share: the quote, its certificates, the collateral, the TCB levels.

Source: Intel, «SGX ECDSA QuoteLibReference DCAP API», «TDX DCAP Quoting Library API», «PCS API v4»,
and the rules of Intel's quote verification library. Platforms do not know each other; these two share
this folder.
"""
