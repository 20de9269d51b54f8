"""Training: classes of somebody's photos, integers that learn, and the digits of the demo."""
