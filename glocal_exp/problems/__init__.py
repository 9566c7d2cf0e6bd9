"""Problems that bring their own examples: no images, no networks."""
