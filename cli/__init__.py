"""The command line, `tfp-vae`: each command parses, calls the library, and prints."""
