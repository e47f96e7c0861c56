"""Where slices of real patients come from, DICOM, NIfTI, DeepLesion; which of them serve, and in which split."""
