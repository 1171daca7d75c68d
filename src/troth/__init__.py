"""troth: build, run, attest, verify, talk to and keep the keys of applications in trusted execution environments."""
