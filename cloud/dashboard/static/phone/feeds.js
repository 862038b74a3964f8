// What feeds a filter's graph: `feed_of` of filters/gates/learned.py.
import { ChannelsFeed } from "./channels_feed.js";
import { HeldFeed } from "./held_feed.js";
import { ImageFeed } from "./image_feed.js";
import { StemFeed } from "./stem_feed.js";

// `scores` takes the next frame; `kept` notes that it is kept, and gives what takes the models' own outputs for it, or null.
export function feedOf(spec, graph) {
  if (!spec.stem) return spec.modality ? new ImageFeed(spec, graph) : new ChannelsFeed(spec, graph);
  return Object.keys(spec.compared).length ? new HeldFeed(spec, graph) : new StemFeed(spec, graph);
}
