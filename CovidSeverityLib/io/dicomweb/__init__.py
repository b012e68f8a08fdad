"""A PACS as source of CTs and sink of results, through DICOMweb.

It needs dicomweb-client (``pip install "covid-severity[pacs]"``), which only :mod:`.connection` loads, when a server is
asked. ``docs/pacs.md`` explains what is sent, and what happens when something fails.
"""
