"""Images to calibrate, evaluate and measure with: folders, labelled sets, calibration sets."""
