"""The drawings of the metal library: shapes, how they are drawn on a grid, and what each implant is made of."""
