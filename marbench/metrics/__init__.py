"""Image quality: conventions with an id, and the measures that follow them. Arrays in, numbers out."""
