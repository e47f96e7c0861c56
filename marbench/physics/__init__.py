"""X-ray physics: spectra, attenuation, polychromatic transmission, photon noise, beam-hardening correction."""
