"""Networks: each maps a batch of images to logits."""
