// What a filter without a stem is fed: frames of a stream as `Channels` sees them.
import { Channels, SCALARS, SIDE } from "./channels.js";
import { LOW_LEVEL } from "./low_level.js";

export class ChannelsFeed {
  constructor({ reference, step_s: stepS }, { inputs, run }) {
    this.run = run;
    const lowLevel = LOW_LEVEL.filter((name) => name in inputs);
    this.channels = new Channels({ pairwise: reference === "last kept", stepS, lowLevel });
    const differences = Object.entries(this.channels.differences).map(([name, data]) => [name, { data, dims: [1, 1] }]);
    this.values = {
      channels: { data: this.channels.tensor, dims: [1, 3, SIDE, SIDE] },
      scalars: { data: this.channels.scalars, dims: [1, SCALARS] },
      ...Object.fromEntries(differences),
    };
  }

  // The graph's scores of the next frame.
  async scores(pixels, step, width, height, capturedS) {
    this.channels.see(pixels, step, width, height, capturedS);
    const outputs = Object.values(await this.run(this.values));
    // The last output is carried to the next frame; where there is one output, that is the score.
    this.channels.carry(outputs[outputs.length - 1][0]);
    return outputs[0];
  }

  // Notes that the frame last seen is kept; it learns nothing from the answers.
  kept() {
    this.channels.kept();
    return null;
  }

  reset() {
    this.channels.reset();
  }
}
