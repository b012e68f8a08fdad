"""Lesions laid into real CTs."""
