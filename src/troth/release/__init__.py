"""What becomes of an image after it is built: it is signed, by whoever holds the key, wherever that is."""
