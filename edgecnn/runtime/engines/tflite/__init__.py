"""An ONNX graph rewritten as the flatbuffer that LiteRT runs (TFLite), with nothing but NumPy."""
