"""From Hounsfield units to lungs: what happens before anything is segmented."""
