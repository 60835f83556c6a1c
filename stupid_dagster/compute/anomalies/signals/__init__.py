"""What makes an actor unusual: four signals, each with the numbers that it is made of."""
