"""One file a claim; `make bench` runs them and keeps the raw samples in bench-output/."""
