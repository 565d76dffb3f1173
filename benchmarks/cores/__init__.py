"""What a second core can give to a server: the figures of docs/second-core.md."""
