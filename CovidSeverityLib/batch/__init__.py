"""Many CTs analysed one by one on Dask: where cases come from, one task a case, where results go."""
