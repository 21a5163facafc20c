// Hands over what the microphone gives, piece by piece. It plays nothing itself, or the speaker would whistle.
registerProcessor("tap", class extends AudioWorkletProcessor {
  process([[samples]]) {
    if (samples) this.port.postMessage(samples.slice());
    return true;
  }
});
