"""Where slices come from: procedural patients, DICOM, NIfTI, DeepLesion; and the metal library."""
