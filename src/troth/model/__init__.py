"""Our nouns: evidence, claims, checks, the table of codes, reports and verdicts."""
