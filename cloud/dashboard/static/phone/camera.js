// The phone's camera: frames as bytes, and as a JPEG what is kept.
const WIDTH = 640;
const HEIGHT = 360;
const QUALITY = 0.9;

const refusals = {
  NotAllowedError: "The browser may not use the camera: allow it for this page (in the address bar, or the browser's settings), then start again.",
  NotFoundError: "This device has no camera that the browser finds.",
  NotReadableError: "The camera can't be read: another app may hold it.",
  OverconstrainedError: "There is no such camera here: choose the other one.",
};

// Why there can be no camera here at all, in words; empty: there may be one.
export function noCamera() {
  if (!window.isSecureContext) {
    return "A browser gives the camera only to pages that came by TLS (https), or from this machine itself. Open this page by https: docs/SECURITY.md says how.";
  }
  return navigator.mediaDevices?.getUserMedia ? "" : "This browser can't use a camera.";
}

export class Camera {
  constructor(video) {
    this.video = video;
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.stream = null;
    this.isFresh = true;
    this.awake = null;
  }

  // Opens the camera that faces the "user" or the "environment"; `ended` is called if it goes away.
  async open(facing, ended) {
    const video = { facingMode: { ideal: facing }, width: { ideal: WIDTH }, height: { ideal: HEIGHT } };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    } catch (error) {
      throw new Error(refusals[error.name] ?? `The camera can't be opened: ${error.message || error.name}`);
    }
    this.stream.getVideoTracks()[0].addEventListener("ended", () => { if (this.stream) ended(); });
    this.video.srcObject = this.stream;
    await this.video.play();
    this.watch();
    this.stayAwake();
  }

  // The screen stays on; not every browser lets it, and none has to.
  async stayAwake() {
    this.awake = await navigator.wakeLock?.request("screen").catch(() => null);
    if (!this.stream) this.awake?.release();
  }

  // Learns of each picture that the camera gives, so that none is looked at twice; where a browser tells.
  watch() {
    this.isFresh = true;
    this.video.requestVideoFrameCallback?.(() => { if (this.stream) this.watch(); });
  }

  // The newest frame: { pixels (RGBA), width, height }; null: there is none that was not looked at.
  frame() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!this.stream || !width || !height || !this.isFresh) return null;
    this.isFresh = !this.video.requestVideoFrameCallback;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.context.drawImage(this.video, 0, 0, width, height);
    return { pixels: this.context.getImageData(0, 0, width, height).data, width, height };
  }

  // The frame last read, as the bytes of a JPEG.
  async jpeg() {
    const blob = await new Promise((done) => { this.canvas.toBlob(done, "image/jpeg", QUALITY); });
    if (!blob) throw new Error("the picture can't be written as a JPEG");
    return new Uint8Array(await blob.arrayBuffer());
  }

  close() {
    const stream = this.stream;
    this.stream = null;
    stream?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
    this.awake?.release();
    this.awake = null;
  }
}
