"""Plain data in, words out: text, JSON, HTML."""
