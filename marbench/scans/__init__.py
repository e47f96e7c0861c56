"""Scans of patients with metal, whose truth nobody knows: read, corrected, judged, written and shown."""
