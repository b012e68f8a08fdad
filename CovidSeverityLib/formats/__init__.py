"""What the files that leave the program hold: the columns of every CSV table and the schema of every JSON file."""
