"""What `make bench` times: a file an entry, each with `build(scale) -> Entry`; found by name."""
