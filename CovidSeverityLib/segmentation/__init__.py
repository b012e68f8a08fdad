"""What is infected: by density and thickness in the lung (lesions), or by the published method (infection)."""
