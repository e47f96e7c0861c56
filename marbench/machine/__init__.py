"""The machine below the benchmark: files, devices, memory, interrupts."""
