"""What a batch shows: a thumbnail of each case, contact sheets, and ``index.html``."""

from .contact_sheet import contact_sheet_names, write_contact_sheets
from .index import write_index
from .thumbnail import write_thumbnail

__all__ = ["contact_sheet_names", "write_contact_sheets", "write_index", "write_thumbnail"]
