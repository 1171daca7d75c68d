"""AMD SEV-SNP: attestation reports signed by the AMD secure processor."""
