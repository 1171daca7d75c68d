"""The formats we read, one folder each, all with the same file names; the registry is a frozen tuple."""
