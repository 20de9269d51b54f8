"""Training, small so far: a supervised loop and the digits networks of the demo."""
