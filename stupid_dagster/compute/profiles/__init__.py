"""What sets a segment or community apart: the ground that labels stand on."""
