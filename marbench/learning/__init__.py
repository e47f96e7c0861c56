"""Training: cases simulated on the fly, a pool of them, the trainer, its checkpoints, and the weights it leaves."""
