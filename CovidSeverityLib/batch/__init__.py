"""Many CTs on Dask: one task a case, and a folder of results that an interrupted run goes on with."""
