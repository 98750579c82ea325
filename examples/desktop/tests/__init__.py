"""What the window promises, apart from drawing: `python3 -m unittest discover -t . -s tests`."""
