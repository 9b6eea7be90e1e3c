"""What single commands do, and how every command prints and ends. `pipeline/cli.py` is the list of them."""
