"""``report.html``: a result as one page for browsers, with all slices, that needs neither network nor server."""

from .page import html_text, write_html

__all__ = ["html_text", "write_html"]
