//! One signature: whose scheme, which key, which bytes.

use aws_lc_rs::signature::{
    UnparsedPublicKey, VerificationAlgorithm, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, RSA_PSS_2048_8192_SHA384,
};

/// Number of a scheme, as the caller writes it, to what checks it. What is not here is checked by nobody.
fn scheme(number: u8) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match number {
        1 => &ECDSA_P256_SHA256_ASN1,
        2 => &ECDSA_P256_SHA256_FIXED,
        3 => &ECDSA_P384_SHA384_ASN1,
        4 => &ECDSA_P384_SHA384_FIXED,
        5 => &RSA_PSS_2048_8192_SHA384,
        _ => return None,
    })
}

/// Whether `key` made `signature` over `signed`.
///
/// A key on a curve is its point, uncompressed (SEC 1, 2.3.3); one of RSA is RSAPublicKey (RFC 8017, A.1.1).
pub fn verifies(number: u8, key: &[u8], signature: &[u8], signed: &[u8]) -> bool {
    match scheme(number) {
        Some(scheme) => UnparsedPublicKey::new(scheme, key)
            .verify(signed, signature)
            .is_ok(),
        None => false,
    }
}
