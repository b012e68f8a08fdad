"""Reading of DICOM, NIfTI, NRRD and MetaImage: chest CTs in Hounsfield units, and masks on the grid of a CT."""
