"""Many CTs in one run: one task for each case, and the tables and pages of all of them."""
