"""One file a figure or family of figures; configs/figure names them."""
