"""What a batch shows: a thumbnail of each case, contact sheets, and ``index.html``."""
