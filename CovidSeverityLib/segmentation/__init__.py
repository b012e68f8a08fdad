"""What is infected: mixture, vessels, infection mask."""
