"""Where frames come from: one file a library, each of them optional."""
