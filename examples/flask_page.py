"""A web page with the camera's picture and what the model sees in it. Needs Flask and Pillow.

python examples/flask_page.py mobilenetv2.int8.onnx v4l2:///dev/video0     then http://127.0.0.1:8000
"""

import io
import sys
import threading

from flask import Flask, Response
from PIL import Image, ImageDraw

from edgecnn.runtime import Camera, load


class Latest:
    """The newest answer as a JPEG, for any number of viewers."""

    def __init__(self, model, camera):
        self._model, self._camera, self._jpeg = model, camera, b""
        self._changed = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        for answer in self._model.stream(self._camera, smoothing=0.6):
            text = "\n".join(f"{label.name} {label.score:.2f}" for label in answer.result.top(3))
            picture = Image.fromarray(answer.frame.image.copy())
            ImageDraw.Draw(picture).text((8, 8), text, fill="yellow")
            picture.save(buffer := io.BytesIO(), "JPEG", quality=80)
            with self._changed:
                self._jpeg = buffer.getvalue()
                self._changed.notify_all()

    def parts(self):
        """The JPEGs as they come."""
        while True:
            with self._changed:
                self._changed.wait(10)
                jpeg = self._jpeg
            yield b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n"


def page(model, camera):
    app, latest = Flask(__name__), Latest(model, camera)

    @app.get("/")
    def index():
        return '<img src="/video" style="width: 100%">'

    @app.get("/video")
    def video():
        return Response(latest.parts(), mimetype="multipart/x-mixed-replace; boundary=frame")

    return app


if __name__ == "__main__":
    with load(sys.argv[1]) as model, Camera(sys.argv[2]) as camera:
        page(model, camera).run(host="127.0.0.1", port=8000, threaded=True)
